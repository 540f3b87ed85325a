"""What a render service says on the wire: requests checked, pages framed, failures as JSON, /health, registration.

A service derives from `Service` and answers `render(request, reply)`; `reply` has the ways to answer.  It runs in
threads of its own process or test:

    with SomeService(pool=2, cert=(certificate, key)) as service:
        service.url                              # https://127.0.0.1:41234
        service.asked                            # every /render so far, parsed
"""
import json
import socket
import ssl
import struct
import threading
import time
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn


class Reply:
    """One answer.  Exactly one of its methods is called; `raw` serves for what breaks the protocol."""

    def __init__(self, handler, request):
        self.handler, self.request, self.began = handler, request, time.monotonic()

    def about(self, **told):
        about = {'request_id': self.request.get('request_id', ''),
                 'render_time': int((time.monotonic() - self.began) * 1e9),
                 'timestamp': datetime.now(timezone.utc).isoformat(timespec='seconds'), 'chrome_id': 'chrome-0'}
        about.update(told)
        return about

    def page(self, html, status=200, **told):
        """A rendered page: length-prefixed metadata, then HTML."""
        html = html if isinstance(html, bytes) else html.encode()
        metrics = dict({'status_code': status, 'final_url': self.request.get('url', ''), 'timed_out': False},
                       **told.pop('metrics', {}))
        about = self.about(success=True, html_size=len(html), metrics=metrics, **told)
        meta = json.dumps({name: value for name, value in about.items() if value is not None}).encode()
        self.whole(200, 'application/octet-stream', struct.pack('>I', len(meta)) + meta + html)

    def failure(self, error_type, error, status=200, **told):
        """A failed render: JSON, with HTTP status 200 unless the service itself could not."""
        body = json.dumps(self.about(success=False, error=error, error_type=error_type, **told)).encode()
        self.whole(status, 'application/json', body)

    def whole(self, status, content_type, body):
        self.handler.send_response(status)
        self.handler.send_header('Content-Type', content_type)
        self.handler.send_header('Content-Length', str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def raw(self, data):
        """Bytes as they are, then the end of the connection."""
        self.handler.wfile.write(data)
        self.drop()

    def drop(self):
        self.handler.close_connection = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536
    timeout = 120

    def version_string(self):
        return 'RenderService/%s' % self.server.service.id

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass                               # the client went first

    def do_GET(self):
        service = self.server.service
        if self.path != '/health':
            self.answer(404, 'text/plain', b'Not Found')
        elif not service.key_is_right(self.headers):
            self.answer(401, 'text/plain', b'Unauthorized')
        else:
            self.answer(200, 'application/json', json.dumps(service.health()).encode())

    def do_POST(self):
        service = self.server.service
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path != '/render':
            self.answer(404, 'text/plain', b'Not Found')
            return
        if not service.key_is_right(self.headers):
            self.answer(401, 'text/plain', b'Unauthorized')
            return
        request, wrong = checked(body, service.pool)
        reply = Reply(self, request)
        if wrong:
            reply.failure('invalid_url', wrong, status=400)
        else:
            service.take(request, dict(self.headers), reply)
        self.wfile.flush()

    def answer(self, status, content_type, body):
        Reply(self, {}).whole(status, content_type, body)


def checked(body, pool):
    """The request, and what is wrong with it (None: nothing), in the order in which a service looks."""
    try:
        request = json.loads(body)
        if not isinstance(request, dict):
            raise ValueError
    except ValueError:
        return {}, 'Invalid JSON body'
    if not request.get('url'):
        return request, 'url field is required'
    if not request.get('request_id'):
        return request, 'request_id field is required'
    tab = request.get('tab_id', 0)
    if not isinstance(tab, int) or not 0 <= tab < pool:
        return request, 'Invalid tab_id: %s (pool size: %d)' % (tab, pool)
    return request, None


class Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass                                   # handshakes that fail and clients that leave are a test's business


class Service:
    """`cert`: (certificate, key) files for TLS; None: plain HTTP.  `key`: (header, value) that must come with each
    request."""

    def __init__(self, pool=4, cert=None, port=0, host='127.0.0.1', key=None, name='rs-1'):
        self.pool, self.key, self.id = pool, key, name
        self.asked, self.headers = [], []
        self.active = 0
        self.most_active = 0
        self.lock = threading.Lock()
        self.tabs = threading.Semaphore(pool)
        self.stopping = threading.Event()
        self.server = Server((host, port), Handler)
        self.server.service = self
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = '%s://%s:%d' % ('https' if cert else 'http', host, self.port)
        self.threads = []

    # ---- life ----
    def __enter__(self):
        self.spawn(self.server.serve_forever, 0.05)
        return self

    def __exit__(self, *what):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        for thread in self.threads:
            thread.join(10)

    def spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def register_at(self, url, auth, interval=1.0, address='0.0.0.0'):
        """Says each second that it is there, until it stops."""
        def beat():
            while not self.stopping.is_set():
                try:
                    self.register_once(url, auth, address)
                except OSError:
                    pass                       # a server that is away is told the next time
                self.stopping.wait(interval)
        self.spawn(beat)

    def register_once(self, url, auth, address='0.0.0.0'):
        body = json.dumps({'id': self.id, 'address': address, 'port': self.port, 'capacity': self.pool,
                           'load': self.active, 'last_seen': int(time.time()), 'version': '1.0',
                           'metadata': {'pool_size': self.pool, 'available': self.pool - self.active,
                                        'hostname': socket.gethostname()}}).encode()
        request = urllib.request.Request(url + '/internal/render/register', body, method='POST', headers={
            'X-Internal-Auth': auth, 'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status

    # ---- what it does ----
    def key_is_right(self, headers):
        return self.key is None or headers.get(self.key[0]) == self.key[1]

    def health(self):
        return {'status': 'ok', 'pool_size': self.pool, 'available_instances': self.pool - self.active,
                'active_instances': self.active}

    def take(self, request, headers, reply):
        """One page in one tab; it waits while all are busy."""
        with self.tabs:
            with self.lock:
                self.asked.append(request)
                self.headers.append(headers)
                self.active += 1
                self.most_active = max(self.most_active, self.active)
            try:
                self.render(request, reply)
            finally:
                with self.lock:
                    self.active -= 1

    def render(self, request, reply):
        raise NotImplementedError


def run_forever(service, register=None, auth=''):
    """For services as programs: prints the URL, serves until interrupted."""
    with service:
        if register:
            service.register_at(register, auth)
        print(service.url, flush=True)
        try:
            service.stopping.wait()
        except KeyboardInterrupt:
            pass


def options(parser):
    """The options that all services as programs have."""
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--pool', type=int, default=4)
    parser.add_argument('--name', default='rs-1')
    parser.add_argument('--cert', nargs=2, metavar=('CERTIFICATE', 'KEY'), help='files; without them: plain HTTP')
    parser.add_argument('--key', nargs=2, metavar=('HEADER', 'VALUE'), help='must come with each request')
    parser.add_argument('--register', metavar='URL', help='of a server to register at, each second')
    parser.add_argument('--auth', default='', help='the key to register with')
    return parser


def common(args):
    return {'port': args.port, 'host': args.host, 'pool': args.pool, 'name': args.name,
            'cert': tuple(args.cert) if args.cert else None, 'key': tuple(args.key) if args.key else None}
