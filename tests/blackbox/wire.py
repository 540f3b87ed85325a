"""HTTP as bytes on a socket, for what a well-behaved client library would never send.

`Wire` is one connection: `send` bytes, `reply` reads the next answer, `rest` reads until the server closes.
`Reply` is an answer as it came, with the body unframed (chunked or Content-Length) but not decompressed.
"""
import json
import socket
from dataclasses import dataclass, field

PATIENCE = 60                  # seconds a read may take on a slow machine before the test gives up


@dataclass
class Reply:
    status: int
    reason: str
    version: str
    headers: dict              # names in lower case; repeated ones joined with ', '
    body: bytes = b''
    interim: list = field(default_factory=list)      # statuses of 1xx answers that came before

    def json(self):
        return json.loads(self.body.decode('utf-8'))

    @property
    def detail(self):
        """The text of an error in the family's shape; fails when the body has another one."""
        body = self.json()
        assert isinstance(body, dict) and isinstance(body.get('detail'), str) and body['detail'], body
        return body['detail']


class Closed(Exception):
    """The server closed the connection where an answer was expected."""


class Wire:
    def __init__(self, address, timeout=PATIENCE, receive_buffer=None, source=None):
        """`address` is a port of 127.0.0.1, or the path of a Unix socket; `source`: the address to come from."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(address if isinstance(address, str) else ('127.0.0.1', address))
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Sends all of it; a server that has already refused and closed is not an error here."""
        data = data.encode('latin-1') if isinstance(data, str) else data
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _more(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            data = b''
        self.buffer += data
        return bool(data)

    def line(self):
        while b'\n' not in self.buffer:
            if not self._more():
                raise Closed(self.buffer)
        line, _, self.buffer = self.buffer.partition(b'\n')
        assert line.endswith(b'\r'), 'a line of the head does not end with CRLF: %r' % line
        return line[:-1].decode('latin-1')

    def _exactly(self, size):
        parts, have = [self.buffer], len(self.buffer)
        while have < size:
            self.buffer = b''
            if not self._more():
                raise Closed(b''.join(parts)[-200:])
            parts.append(self.buffer)
            have += len(self.buffer)
        whole = b''.join(parts)
        self.buffer = whole[size:]
        return whole[:size]

    def _chunks(self):
        out = []
        while True:
            size = int(self.line().partition(';')[0], 16)
            if not size:
                while self.line():
                    pass
                return b''.join(out)
            out.append(self._exactly(size))
            assert self.line() == ''

    def reply(self, head=False):
        """The next final answer; `head` says that it answers a HEAD request and has no body."""
        interim = []
        while True:
            version, status, *reason = self.line().split(' ', 2)
            assert version in ('HTTP/1.1', 'HTTP/1.0'), version
            headers = {}
            while True:
                line = self.line()
                if not line:
                    break
                name, colon, value = line.partition(':')
                assert colon and name == name.strip() and name, line
                name = name.lower()
                headers[name] = headers[name] + ', ' + value.strip() if name in headers else value.strip()
            if status[0] != '1':
                break
            interim.append(int(status))
        reply = Reply(int(status), ''.join(reason), version, headers, interim=interim)
        if head or reply.status in (204, 304):
            return reply
        if headers.get('transfer-encoding', '').lower() == 'chunked':
            assert 'content-length' not in headers
            reply.body = self._chunks()
        elif 'content-length' in headers:
            reply.body = self._exactly(int(headers['content-length']))
        else:
            reply.body = self.rest()
        return reply

    def rest(self):
        """Everything until the server closes."""
        while self._more():
            pass
        out, self.buffer = self.buffer, b''
        return out

    def is_closed(self):
        """Waits for the server to close, and says whether it sent nothing more before."""
        return self.rest() == b''


def request(method, target, headers=(), body=None, version='HTTP/1.1', host='localhost'):
    """A request as bytes; `headers` is a dict; a body brings its Content-Length along."""
    lines = ['%s %s %s' % (method, target, version)]
    given = dict(headers)
    if host is not None and 'Host' not in given:
        lines.append('Host: ' + host)
    if body is not None and 'Content-Length' not in given and 'Transfer-Encoding' not in given:
        given['Content-Length'] = str(len(body))
    lines += ['%s: %s' % item for item in given.items()]
    return '\r\n'.join(lines + ['', '']).encode('latin-1') + (body or b'')
