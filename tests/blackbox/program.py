"""The program under test: one `Larder` is one data directory with its configuration.

    larder.start(); larder.get('/healthz'); larder.command('check'); larder.stop()

`stop` asks politely and expects exit status 0; `kill` does not ask.  After either, `start` serves the same
data again.  Answers that come through `request` and its short forms are held against the server's OpenAPI
document.  `key` is a key that may do everything and is not limited, made on first use.
"""
import json
import os
import re
import resource
import signal
import subprocess
import time
from urllib.parse import quote, urlencode

import openapi
import yaml
from wire import Wire, request

BINARY = os.path.abspath(os.environ.get('LARDER_BIN', os.path.join(
    os.path.dirname(__file__), '..', '..', 'build', 'larder')))
MB = 1 << 20
PATIENCE = 120                 # seconds until a test gives up waiting for something that must come
SOURCES = '/api/v1/marketplace/sources'
CACHE = '/api/v1/cache'
TROUBLE = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:|'
                     r'Assertion|stack smashing|unanswered')


def is_sanitized():
    """Whether the program was built with AddressSanitizer, which keeps freed memory for a while."""
    try:
        with open(BINARY, 'rb') as f:
            return b'__asan_init' in f.read()
    except FileNotFoundError:
        return False


ROOM = 16 * MB if is_sanitized() else MB       # what one megabyte of a memory bound is allowed to be


def until(probe, what='it', patience=PATIENCE, pause=0.02):
    """Calls `probe` until it returns something true, and returns that."""
    deadline = time.monotonic() + patience
    while True:
        got = probe()
        if got:
            return got
        assert time.monotonic() < deadline, 'waited %d s for %s; last seen: %r' % (patience, what, got)
        time.sleep(pause)


def environment(**more):
    """Ours without the variables that Larder reads as configuration."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith('LARDER_')}
    return dict(clean, **more)


def run(*args, env=None, timeout=PATIENCE, **how):
    """One run of the program to its end."""
    return subprocess.run([BINARY, *args], env=env or environment(), capture_output=True, text=True,
                          timeout=timeout, check=False, stdin=subprocess.DEVNULL, **how)


def nested(options):
    """{'http.idle_timeout': '5s'} as the tree that the configuration file holds."""
    tree = {}
    for name, value in options.items():
        *sections, last = name.split('.')
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = value
    return tree


def asking(standin, options=None):
    """Options for a server whose GitHub is this stand-in."""
    return dict({'github.api_url': standin.url, 'github.ca_file': standin.ca_file}, **(options or {}))


class Larder:
    document = None            # the OpenAPI document, read once from the first server of the run

    def __init__(self, folder, options, args=(), env=None):
        self.folder = str(folder)
        self.data = os.path.join(self.folder, 'data')
        self.config_file = os.path.join(self.folder, 'larder.yaml')
        self.out, self.err = (os.path.join(self.folder, name) for name in ('stdout', 'stderr'))
        self.options = dict({'listen': ['127.0.0.1:0'], 'data_dir': self.data}, **options)
        self.args, self.env = list(args), environment(**(env or {}))
        self.process, self._key = None, None
        self.listeners = []    # as announced: 'http://127.0.0.1:41234', 'unix:/path'
        os.makedirs(self.folder, exist_ok=True)
        self.configure()

    def configure(self, **changed):
        """Writes the configuration file; names are given with '__' for the dot."""
        self.options.update({name.replace('__', '.'): value for name, value in changed.items()})
        with open(self.config_file, 'w', encoding='utf-8') as f:
            yaml.safe_dump(nested(self.options), f, allow_unicode=True)

    # ---- life ----------------------------------------------------------------------------------
    def start(self, limits=(), wait=True):
        """`limits`: pairs (RLIMIT_X, value) that the process starts with."""
        assert self.process is None, 'it runs already'

        def limit():
            for what, value in limits:
                resource.setrlimit(what, (value, value))
        with open(self.out, 'ab') as out, open(self.err, 'ab') as err:
            mark = out.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                [BINARY, 'serve', '-c', self.config_file, *self.args], stdout=out, stderr=err,
                stdin=subprocess.DEVNULL, env=self.env, preexec_fn=limit if limits else None)
        if wait:
            try:
                self.wait_until_ready(mark)
            except BaseException:
                if self.process:
                    self.kill()
                raise
        return self

    def wait_until_ready(self, mark=0):
        def announced():
            if self.process.poll() is not None:
                status, self.process = self.process.returncode, None
                raise AssertionError('it ended with status %d: %s' % (status, self.errors[-3000:]))
            with open(self.out, 'rb') as f:
                f.seek(mark)
                lines = re.findall(r'^larder: listening on (\S+)$', f.read().decode(), re.M)
            return lines if len(lines) == len(self.options['listen']) else None
        self.listeners = until(announced, 'the lines that say it listens')
        if Larder.document is None:
            with self.wire() as wire:
                Larder.document = openapi.Document(wire.send(request('GET', '/openapi.json')).reply().json())

    def wait_exit(self, patience=PATIENCE):
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError('it did not end: %s' % self.errors[-3000:]) from None
        self.process = None
        return status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.wait_exit()
        self.check_clean()
        assert status == 0, 'exit status %d: %s' % (status, self.errors[-3000:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    def restart(self):
        self.stop()
        return self.start()

    def check_clean(self):
        found = TROUBLE.search(self.errors)
        assert not found, self.errors[max(0, found.start() - 500):found.start() + 4000]

    # ---- what it says and is -------------------------------------------------------------------
    @property
    def errors(self):
        with open(self.err, encoding='utf-8', errors='replace') as f:
            return f.read()

    @property
    def output(self):
        with open(self.out, encoding='utf-8', errors='replace') as f:
            return f.read()

    @property
    def url(self):
        return next(name for name in self.listeners if name.startswith('http://'))

    @property
    def port(self):
        return int(self.url.rsplit(':', 1)[1])

    @property
    def resident(self):
        """Bytes of memory in use."""
        with open('/proc/%d/statm' % self.process.pid, encoding='ascii') as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    @property
    def cpu(self):
        """Seconds of processor time so far."""
        with open('/proc/%d/stat' % self.process.pid, encoding='ascii') as f:
            fields = f.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def bytes_left_behind(self):
        """Everything the server wrote: data, logs, output; to search for secrets."""
        parts = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and path != self.config_file and name != 'admin.key':
                    with open(path, 'rb') as f:
                        parts.append(f.read())
        return b'\n'.join(parts)

    # ---- commands ------------------------------------------------------------------------------
    def command(self, *args, status=0):
        """Runs another command of the program on the same data."""
        done = run(*args, '-c', self.config_file, env=self.env)
        assert status is None or done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        assert not TROUBLE.search(done.stderr), done.stderr
        return done

    def new_key(self, label='tests', scopes=('admin',), rate='unlimited'):
        args = ['key', 'new', '--label', label]
        for scope in scopes:
            args += ['--scope', scope]
        if rate:
            args += ['--rate', rate]
        return self.command(*args).stdout.split()[-1]

    @property
    def key(self):
        if self._key is None:
            self._key = self.new_key()
        return self._key

    @property
    def admin_key(self):
        with open(os.path.join(self.data, 'admin.key'), encoding='ascii') as f:
            return f.read().strip()

    # ---- requests ------------------------------------------------------------------------------
    def wire(self, index=None, **how):
        """A connection to one of the listeners, the first TCP one by default."""
        name = self.url if index is None else self.listeners[index]
        where = name[len('unix:'):] if name.startswith('unix:') else int(name.rsplit(':', 1)[1])
        return Wire(where, **how)

    def request(self, method, path, json_body=None, body=None, headers=None, key=True, params=None,
                checked=True, wire=None):
        """`key` True: the unlimited one; None: no key; a text: that one.  `wire`: a connection to use."""
        headers = dict(headers or {})
        if key:
            headers.setdefault('Authorization', 'Bearer ' + (self.key if key is True else key))
        if json_body is not None:
            body = json.dumps(json_body).encode()
        if body is not None:
            headers.setdefault('Content-Type', 'application/json')
        target = path + ('?' + urlencode(params, doseq=True) if params else '')
        used = wire or self.wire()
        try:
            reply = used.send(request(method, target, headers, body)).reply(head=method == 'HEAD')
        finally:
            if not wire:
                used.close()
        media = reply.headers.get('content-type', '').partition(';')[0]
        if checked and Larder.document and 'content-encoding' not in reply.headers:
            parsed = reply.json() if media == 'application/json' and reply.body else None
            Larder.document.check(method, target.partition('?')[0], reply.status, parsed, media)
        return reply

    def get(self, path, **how):
        return self.request('GET', path, **how)

    def post(self, path, json_body=None, **how):
        return self.request('POST', path, json_body, **how)

    def put(self, path, json_body=None, **how):
        return self.request('PUT', path, json_body, **how)

    def patch(self, path, json_body=None, **how):
        return self.request('PATCH', path, json_body, **how)

    def delete(self, path, **how):
        return self.request('DELETE', path, **how)

    # ---- sources -------------------------------------------------------------------------------
    def create(self, repo, settled=True, **fields):
        """Adds a source and, unless told otherwise, waits for the end of its first scan."""
        reply = self.post(SOURCES, dict({'repo_url': getattr(repo, 'url', repo)}, **fields))
        assert reply.status == 201, (reply.status, reply.body)
        return self.settled(reply.json()['id']) if settled else reply.json()

    def source(self, source_id):
        reply = self.get('%s/%s' % (SOURCES, source_id))
        assert reply.status == 200, (reply.status, reply.body)
        return reply.json()

    def settled(self, source_id):
        """The source once its scan has ended, well or badly."""
        def ended():
            source = self.source(source_id)
            return source if source['scan_status'] in ('success', 'error') else None
        return until(ended, 'the end of the scan of ' + source_id, pause=0.05)

    def rescan(self, source_id, settled=True):
        reply = self.post('%s/%s/rescan' % (SOURCES, source_id))
        assert reply.status == 200, (reply.status, reply.body)
        return self.settled(source_id) if settled else reply.json()

    def artifacts(self, source_id, **params):
        """All entries of a source's catalogue, over all pages."""
        items, params = [], dict({'limit': 100}, **params)
        while True:
            reply = self.get('%s/%s/artifacts' % (SOURCES, source_id), params=params)
            assert reply.status == 200, (reply.status, reply.body)
            page = reply.json()
            items += page['items']
            if not page['page_info']['has_next_page']:
                return items
            params['cursor'] = page['page_info']['end_cursor']

    def catalogue(self, source_id):
        """The present entries of a source as a set of (type, name, path)."""
        return {(row['artifact_type'], row['name'], row['path'])
                for row in self.artifacts(source_id) if row['status'] != 'removed'}

    # ---- projects ------------------------------------------------------------------------------
    def report(self, project_id, artifacts=(), name=None, path=None, **how):
        """Reports a project; artifacts are dicts, or (name, deployed[, upstream]) of skills."""
        rows = [one if isinstance(one, dict) else
                dict(zip(('name', 'deployed_version', 'upstream_version'), one), type='skill') for one in artifacts]
        body = {'name': name or project_id, 'path': path or '/p/' + project_id, 'artifacts': rows}
        reply = self.put('%s/projects/%s' % (CACHE, quote(project_id, safe='')), body, **how)
        assert reply.status in (200, 201), (reply.status, reply.body)
        return reply.json()

    def listed(self, path, **params):
        """All items of one of the cache's lists, by its cursors."""
        items, params = [], dict({'limit': 500}, **params)
        while True:
            reply = self.get(CACHE + path, params=params)
            assert reply.status == 200, (reply.status, reply.body)
            page = reply.json()
            items += page['items']
            if page['next_cursor'] is None:
                assert page['total'] == len(items), (page['total'], len(items))
                return items
            params['cursor'] = page['next_cursor']

    def search(self, query, **params):
        reply = self.get(CACHE + '/search', params=dict({'query': query}, **params))
        assert reply.status == 200, (reply.status, reply.body)
        return reply.json()
