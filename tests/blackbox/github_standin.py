"""A small stand-in for GitHub's REST API, run inside the test process and driven by plain method calls.

    with StandIn(folder) as github:
        github.add(repos.skills_repo())          # served at github.url, trusted through github.ca_file
        github.fault('/git/trees', 429, times=1, retry_after=1)
        github.seen()                            # what was asked, in order

Listeners, each an origin of its own: `url` (the API), `codeload_url` (archives; the API redirects there),
`elsewhere_url` (serves everything, to see what a client carries across origins), `plain_url` (the API
without TLS), and three with certificates that a client must refuse: `expired_url`, `wrong_host_url`,
`unknown_ca_url`.

Rules it keeps: no User-Agent -> 403, a wrong token -> 401, limits counted per credential with 304s free,
a private repository is 404 without a token.

Faults: `fault(match, kind, times, **options)` applies to the next `times` requests whose target contains
`match`.  Kinds: a status number (options: message, retry_after, headers), 'secondary' (403 with
Retry-After), 'stall' (silence until `release()`, then close), 'hold' (silence until `release()`, then the
true answer), 'close', 'reset', 'half' (half the body), 'garbage', 'truncated' (half a tree, and it says
so), 'drip', 'loop', 'to_plain', 'elsewhere', 'oversized' (options: size), 'body' (options: data).
"""
import base64
import gzip
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import certs
from repos import Link, as_bytes, path_bytes

ALWAYS = 1 << 30
DOCS = 'https://docs.github.com/rest'


@dataclass
class Seen:
    """One request as it arrived, and how it was answered."""
    role: str                # 'api', 'codeload', 'elsewhere'
    listener: str
    method: str
    target: str
    headers: dict            # names in lower case
    fault: object = None
    status: int = 0
    sent: int = 0            # body bytes that went out


@dataclass
class Answer:
    status: int
    body: bytes = b''
    headers: dict = field(default_factory=dict)
    media: str = 'application/json; charset=utf-8'


@dataclass
class Fault:
    match: str
    kind: object
    times: int
    options: dict


@dataclass
class Quota:
    limit: int
    used: int
    reset: float


def as_json(value, status=200, **headers):
    return Answer(status, json.dumps(value).encode(), headers)


def refusal(status, message, **headers):
    return as_json({'message': message, 'documentation_url': DOCS, 'status': str(status)}, status, **headers)


class StandIn:
    def __init__(self, folder=None, anonymous_limit=60, tokens=('standin-token',)):
        self.folder = folder or tempfile.mkdtemp(prefix='standin-')
        self.anonymous_limit, self.tokens = anonymous_limit, set(tokens)
        self.lock = threading.RLock()
        self.released = threading.Event()
        self.waiting = 0                       # requests that stall or hold right now
        self._repos, self._log, self._faults, self._quotas = {}, [], [], {}
        self.certificates = certs.make(os.path.join(self.folder, 'tls'))
        self.ca_file = self.certificates.ca
        good = self.certificates.good
        self._listeners = [Listener(self, *row) for row in (
            ('api', 'api', good), ('codeload', 'codeload', good), ('elsewhere', 'elsewhere', good),
            ('plain', 'api', None), ('expired', 'api', self.certificates.expired),
            ('wrong_host', 'api', self.certificates.wrong_host),
            ('unknown_ca', 'api', self.certificates.unknown_ca))]
        for listener in self._listeners:
            setattr(self, 'url' if listener.name == 'api' else listener.name + '_url', listener.url)

    # ---- life ----------------------------------------------------------------------------------
    def start(self):
        for listener in self._listeners:
            threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.released.set()
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()
            listener.drop_connections()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    # ---- control -------------------------------------------------------------------------------
    def add(self, repo):
        self._repos[repo.full_name.lower()] = repo
        return repo

    def fault(self, match, kind, times=1, **options):
        with self.lock:
            self._faults.append(Fault(match, kind, times, options))

    def clear_faults(self):
        with self.lock:
            self._faults.clear()
        self.release()

    def release(self):
        """Let every stalled and held request go on; later ones stall again."""
        self.released.set()
        self.released = threading.Event()

    def limit(self, remaining, reset_in, token=''):
        """Leave `remaining` requests to a credential until `reset_in` seconds from now."""
        with self.lock:
            cap = 5000 if token else self.anonymous_limit
            self._quotas[token] = Quota(cap, cap - remaining, time.time() + reset_in)

    def seen(self, match='', role='api'):
        """The requests so far; `role` None means of every listener."""
        with self.lock:
            return [s for s in self._log if match.lower() in s.target.lower() and role in (None, s.role)]

    def accepted(self, listener):
        """How many connections a listener has taken."""
        return next(each.accepted for each in self._listeners if each.name == listener)

    def forget(self):
        with self.lock:
            self._log.clear()

    # ---- for the handlers ----------------------------------------------------------------------
    def record(self, seen):
        with self.lock:
            self._log.append(seen)
            for fault in self._faults:
                if fault.times > 0 and fault.match.lower() in seen.target.lower():
                    fault.times -= 1
                    seen.fault = fault.kind
                    return fault
        return None

    def quota(self, token, count=0):
        with self.lock:
            cap = 5000 if token else self.anonymous_limit
            quota = self._quotas.setdefault(token, Quota(cap, 0, time.time() + 3600))
            if time.time() >= quota.reset:
                quota.used, quota.reset = 0, time.time() + 3600
            quota.used += count
            return quota

    def find(self, owner, name):
        """The repository and whether it goes by this name today."""
        full = ('%s/%s' % (owner, name)).lower()
        if full in self._repos:
            return self._repos[full], True
        return next((r for r in list(self._repos.values()) if full in r.old_names), None), False

    def by_id(self, number):
        return next((r for r in list(self._repos.values()) if str(r.id) == number), None)

    def wait(self):
        """Block until released; at most ten minutes, so that no thread outlives a broken test for long."""
        released = self.released
        with self.lock:
            self.waiting += 1
        released.wait(600)
        with self.lock:
            self.waiting -= 1


class Listener(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, standin, name, role, certificate):
        super().__init__(('127.0.0.1', 0), Handler)
        self.standin, self.name, self.role = standin, name, role
        self.url = '%s://localhost:%d' % ('https' if certificate else 'http', self.server_address[1])
        self.connections = set()
        self.accepted = 0
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections.add(connection)
        self.accepted += 1
        return connection, address

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        """Clients that refuse a certificate or hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version = 'github.com'
    sys_version = ''
    wbufsize = 1 << 16
    timeout = 600

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, ValueError):           # the client went away
            self.close_connection = True

    def do_GET(self):
        standin = self.server.standin
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Seen(self.server.role, self.server.name, self.command, self.path, headers)
        self.fault = standin.record(self.seen)
        kind = self.fault and self.fault.kind
        if kind in ('stall', 'hold'):
            standin.wait()
        if kind in ('stall', 'close'):
            self.close_connection = True
            return
        if kind == 'reset':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send(self.faulty() or Api(standin, self.server.role, self.path, headers, kind).answer())

    do_HEAD = do_GET

    def faulty(self):
        """The answer that a fault puts in place of the true one, if it does."""
        if not self.fault:
            return None
        kind, options = self.fault.kind, self.fault.options
        headers = dict(options.get('headers', {}))
        if 'retry_after' in options:
            headers['Retry-After'] = options['retry_after']
        standin = self.server.standin
        target = {'loop': self.server.url, 'to_plain': standin.plain_url,
                  'elsewhere': standin.elsewhere_url}
        if isinstance(kind, int):
            return refusal(kind, options.get('message', 'Fault %d' % kind), **headers)
        if kind == 'secondary':
            return refusal(403, 'You have exceeded a secondary rate limit. Wait a few minutes.', **headers)
        if kind == 'garbage':
            return Answer(200, b'{"sha": "12", "tree": [{"path": "a", ')
        if kind == 'body':
            return Answer(200, options['data'], headers, options.get('media', 'application/x-gzip'))
        if kind in target:
            return Answer(302, b'', {'Location': target[kind] + self.path})
        return None

    # ---- sending -------------------------------------------------------------------------------
    def send(self, answer):
        kind = self.fault and self.fault.kind
        body = answer.body
        self.seen.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, str(value))
        if answer.status == 304:
            return self.end_headers()
        self.send_header('Content-Type', answer.media)
        if kind == 'oversized':
            self.send_header('Content-Length', str(self.fault.options['size']))
            self.end_headers()
            return self.flood(self.fault.options['size'])
        if 'gzip' in self.headers.get('Accept-Encoding', '') and len(body) > 1000 and 'json' in answer.media:
            body = gzip.compress(body, 1)
            self.send_header('Content-Encoding', 'gzip')
        chunked = answer.media == 'application/x-gzip' and self.request_version == 'HTTP/1.1'
        if chunked:
            self.send_header('Transfer-Encoding', 'chunked')
        else:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command == 'HEAD':
            return None
        step, pause = len(body) + 1, 0
        if kind == 'half':
            body = body[:len(body) // 2]
            self.close_connection = True
        elif kind == 'drip':
            step, pause = max(1, len(body) // 20), 0.05
        for at in range(0, len(body), step):
            part = body[at:at + step]
            self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part) if chunked else part)
            self.wfile.flush()
            self.seen.sent += len(part)
            time.sleep(pause)
        if chunked and kind != 'half':
            self.wfile.write(b'0\r\n\r\n')
        return self.wfile.flush()

    def flood(self, size):
        self.close_connection = True
        block = b' ' * 65536
        while self.seen.sent < size:
            self.wfile.write(block)
            self.seen.sent += len(block)


class Api:
    """One request to be answered truly: no sockets here."""

    def __init__(self, standin, role, target, headers, fault):
        self.standin, self.role, self.headers, self.fault = standin, role, headers, fault
        url = urlsplit(target)
        self.raw_query = url.query
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.parts = [unquote(p, errors='surrogateescape') for p in url.path.strip('/').split('/')]
        self.accept = headers.get('accept', '')
        scheme, _, token = headers.get('authorization', '').partition(' ')
        self.token = token.strip() if scheme.lower() in ('bearer', 'token') else ''

    def answer(self):
        if not self.headers.get('user-agent'):
            return refusal(403, 'Request forbidden by administrative rules: a User-Agent header is required')
        if self.token and self.token not in self.standin.tokens:
            return refusal(401, 'Bad credentials')
        if self.parts[0] not in ('repos', 'repositories'):
            return self.codeload() if self.role != 'api' else refusal(404, 'Not Found')
        quota = self.standin.quota(self.token)
        if quota.used >= quota.limit:
            return self.stamp(refusal(403, 'API rate limit exceeded'))
        answer = self.api()
        if answer.status == 200:
            tag = 'W/"%s"' % hashlib.sha256(answer.media.encode() + answer.body).hexdigest()
            if tag in re.split(r',\s*', self.headers.get('if-none-match', '')):
                answer = Answer(304)
            answer.headers.update({'ETag': tag, 'Cache-Control': 'private, max-age=60', 'Vary': 'Accept'})
        if answer.status != 304:
            self.standin.quota(self.token, count=1)
        return self.stamp(answer)

    def stamp(self, answer):
        quota = self.standin.quota(self.token)
        for name, value in (('Limit', quota.limit), ('Remaining', max(0, quota.limit - quota.used)),
                            ('Used', quota.used), ('Reset', int(quota.reset)), ('Resource', 'core')):
            answer.headers['X-RateLimit-' + name] = value
        return answer

    def visible(self, repo):
        return repo is not None and (not repo.private or self.token)

    def api(self):
        if self.parts[0] == 'repositories' and len(self.parts) > 1:
            repo, rest = self.standin.by_id(self.parts[1]), self.parts[2:]
        elif self.parts[0] == 'repos' and len(self.parts) > 2:
            repo, current = self.standin.find(*self.parts[1:3])
            rest = self.parts[3:]
            if self.visible(repo) and not current:
                there = '%s/repositories/%d' % (self.standin.url, repo.id)
                there = '/'.join([there] + [quote(p) for p in rest]) + (self.raw_query and '?' + self.raw_query)
                return as_json({'message': 'Moved Permanently', 'url': there}, 301, Location=there)
        else:
            return refusal(404, 'Not Found')
        if not self.visible(repo):
            return refusal(404, 'Not Found')
        what = '/'.join(rest[:2]) if rest[:1] == ['git'] else '/'.join(rest[:1])
        answers = {'': self.repository, 'commits': self.commit, 'git/trees': self.tree,
                   'git/blobs': self.blob, 'contents': self.contents, 'readme': self.readme,
                   'tarball': self.tarball, 'tags': self.tags}
        if what not in answers:
            return refusal(404, 'Not Found')
        return answers[what](repo, '/'.join(rest[what.count('/') + 1:]))

    def repository(self, repo, _):
        url = '%s/repos/%s' % (self.standin.url, repo.full_name)
        name = repo.license
        licence = name and {'key': name.lower(), 'name': name, 'spdx_id': name}
        return as_json({
            'id': repo.id, 'name': repo.name, 'full_name': repo.full_name, 'private': repo.private,
            'visibility': 'private' if repo.private else 'public', 'html_url': repo.url, 'fork': False,
            'owner': {'login': repo.owner, 'type': 'Organization'}, 'description': repo.description,
            'default_branch': repo.default_branch, 'topics': repo.topics, 'license': licence,
            'archived': False, 'disabled': False, 'stargazers_count': 7, 'url': url,
            'pushed_at': self.date(repo.head)})

    @staticmethod
    def date(commit):
        return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(commit.when))

    def commit(self, repo, ref):
        commit = repo.find(ref or repo.default_branch)
        if not commit:
            return refusal(422, 'No commit found for SHA: ' + ref)
        if 'vnd.github.sha' in self.accept or 'vnd.github.v3.sha' in self.accept:
            return Answer(200, commit.sha.encode(), media='application/vnd.github.sha; charset=utf-8')
        who = {'name': 'Test', 'email': 'test@example.org', 'date': self.date(commit)}
        return as_json({'sha': commit.sha, 'commit': {'message': 'A commit', 'author': who, 'committer': who,
                                                      'tree': {'sha': commit.tree}}, 'files': []})

    def tree(self, repo, ref):
        commit = repo.find(ref)
        if not commit:
            return refusal(404, 'Not Found')
        deep = self.query.get('recursive') not in (None, '', '0', 'false')
        rows = [row for row in commit.entries if deep or '/' not in row[0]]
        if self.fault == 'truncated':
            rows = rows[:len(rows) // 2]
        tree = []
        for path, mode, kind, sha, size in rows:
            shown = path_bytes(path).decode('utf-8', 'replace')
            tree.append({'path': shown, 'mode': mode, 'type': kind, 'sha': sha})
            if size is not None:
                tree[-1]['size'] = size
        return as_json({'sha': commit.tree, 'tree': tree, 'truncated': self.fault == 'truncated'})

    def blob(self, repo, sha):
        for commit in repo.commits:
            for path, _, kind, row_sha, _ in commit.entries:
                if row_sha == sha and kind == 'blob':
                    return self.content(sha, as_bytes(commit.files[path]))
        return refusal(404, 'Not Found')

    def content(self, sha, data, **more):
        if '.raw' in self.accept:
            return Answer(200, data, media='application/vnd.github.raw; charset=utf-8')
        text = base64.encodebytes(data).decode()
        return as_json(dict({'sha': sha, 'size': len(data), 'encoding': 'base64', 'content': text}, **more))

    def contents(self, repo, path):
        commit = repo.find(self.query.get('ref') or repo.default_branch)
        row = commit and commit.by_path.get(path)
        if commit and (not path or row and row[2] == 'tree'):
            prefix = path + '/' if path else ''
            return as_json([{'name': p.rsplit('/', 1)[-1], 'path': p, 'sha': sha, 'size': size or 0,
                             'type': 'dir' if kind == 'tree' else 'file'}
                            for p, _, kind, sha, size in commit.entries
                            if p.startswith(prefix) and '/' not in p[len(prefix):]])
        if not row:
            return refusal(404, 'Not Found')
        if isinstance(commit.files[path], Link):
            return as_json({'type': 'symlink', 'target': commit.files[path], 'path': path, 'sha': row[3]})
        name = path.rsplit('/', 1)[-1]
        return self.content(row[3], as_bytes(commit.files[path]), type='file', path=path, name=name)

    def readme(self, repo, _):
        commit = repo.find(self.query.get('ref') or repo.default_branch)
        for path in commit.by_path if commit else ():
            if re.fullmatch(r'readme(\.(md|rst|txt))?', path.lower()):
                return self.contents(repo, path)
        return refusal(404, 'Not Found')

    def tags(self, repo, _):
        return as_json([{'name': name, 'commit': {'sha': repo.refs[name].sha}} for name in repo.tags])

    def ticket(self, repo):
        """What a private archive's address carries in place of the token."""
        return hashlib.sha256(b'ticket' + repo.full_name.encode()).hexdigest()[:20]

    def tarball(self, repo, ref):
        there = '%s/%s/legacy.tar.gz/%s' % (self.standin.codeload_url, repo.full_name,
                                            quote(ref or repo.default_branch))
        if repo.private:
            there += '?token=' + self.ticket(repo)
        return Answer(302, b'', {'Location': there})

    def codeload(self):
        if len(self.parts) < 4 or self.parts[2] != 'legacy.tar.gz':
            return refusal(404, 'Not Found')
        repo, _ = self.standin.find(*self.parts[:2])
        commit = repo and repo.find('/'.join(self.parts[3:]))
        if not commit or repo.private and self.query.get('token') != self.ticket(repo):
            return Answer(404, b'404: Not Found', media='text/plain; charset=utf-8')
        tag = '"%s"' % commit.sha
        if self.headers.get('if-none-match') == tag:
            return Answer(304, headers={'ETag': tag})
        return Answer(200, repo.archive(commit), {'ETag': tag}, 'application/x-gzip')
