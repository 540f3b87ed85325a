"""Server-Sent Events as a client reads them: `Events` is one stream, open until it is closed."""
import json
import time
from dataclasses import dataclass

import openapi
from program import CACHE
from wire import request

PATH = CACHE + '/events'
PATIENCE = 60


@dataclass
class Event:
    type: str
    data: dict
    id: str


class Events:
    def __init__(self, server, last_id=None, key=True, index=None, version='1.1'):
        headers = {'Authorization': 'Bearer ' + (server.key if key is True else key)} if key else {}
        if last_id is not None:
            headers['Last-Event-ID'] = last_id
        self.wire = server.wire(index)
        self.wire.send(request('GET', PATH, headers, version='HTTP/' + version))
        self.status, self.headers = self._head()
        openapi.called.add(('GET', PATH))
        self.last_id, self.retry, self.comments, self.ended = None, None, 0, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.wire.close()

    def _more(self, deadline):
        left = deadline - time.monotonic()
        assert left > 0, 'no event in time; so far: %r' % self.wire.buffer[-500:]
        self.wire.socket.settimeout(left)
        return self.wire._more()

    def _head(self):
        deadline = time.monotonic() + PATIENCE
        while b'\r\n\r\n' not in self.wire.buffer:
            assert self._more(deadline), 'closed in the head'
        head, self.wire.buffer = self.wire.buffer.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        headers = {name.lower(): value.strip() for name, value in (line.split(':', 1) for line in lines[1:])}
        return int(lines[0].split()[1]), headers

    def block(self, patience=PATIENCE):
        """The next block of lines, without the empty one; None at the end of the stream."""
        deadline = time.monotonic() + patience
        while b'\n\n' not in self.wire.buffer:
            if not self._more(deadline):
                self.ended = True
                return None
        block, self.wire.buffer = self.wire.buffer.split(b'\n\n', 1)
        return block.decode('utf-8')

    def next(self, patience=PATIENCE):
        """The next event; None at the end of the stream."""
        while True:
            block = self.block(patience)
            if block is None:
                return None
            kind, data = 'message', []
            for line in block.split('\n'):
                name, _, value = line.partition(':')
                value = value[1:] if value.startswith(' ') else value
                if not name:
                    self.comments += 1
                elif name == 'id':
                    self.last_id = value
                elif name == 'retry':
                    self.retry = int(value)
                elif name == 'event':
                    kind = value
                elif name == 'data':
                    data.append(value)
            if data:
                return Event(kind, json.loads('\n'.join(data)), self.last_id)

    def until(self, kind, patience=PATIENCE, **wanted):
        """Reads on until an event of this type comes whose data has these values; all events up to it."""
        seen, deadline = [], time.monotonic() + patience
        while True:
            event = self.next(deadline - time.monotonic())
            assert event, 'the stream ended before %s; seen: %r' % (kind, seen)
            seen.append(event)
            if event.type == kind and all(event.data.get(name) == value for name, value in wanted.items()):
                return seen
