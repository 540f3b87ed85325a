"""The rig: servers pinned to one processor, wrk pinned to the other, and what is read off them.

    with Rig(folder, seconds, rounds) as rig:
        ours = rig.larder('data')                     # a Server: .port, .cpu(), .resident(), .stop()
        file = rig.requests('one.txt', ['GET /healthz'])
        rig.compare([Case('larder', ours, file), ...]) # interleaved rounds; {name: Run of medians}

Everything that was started is stopped when the `with` ends, whatever happened. Only ratios of one run mean anything:
the machine may be shared.
"""
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
LARDER = os.path.join(TOP, 'build', 'larder')
PROGRAMS = os.path.join(TOP, 'build', 'release', 'bench')
TICK = os.sysconf('SC_CLK_TCK')
SERVER_CPU, CLIENT_CPU = '0', '1'


@dataclass
class Run:
    """One run of wrk, or the medians of several."""
    rate: float        # requests per second
    p50: float         # µs
    p99: float
    cpu: float         # µs of the server's processor time per request, user and system
    failed: int        # answers that were not 2xx or 3xx, and socket errors


@dataclass
class Case:
    """What wrk asks of whom: the requests of `file`. `watched`: whose processor time counts, if not the server's alone."""
    name: str
    server: 'Server'
    file: str
    headers: tuple = ()
    watched: tuple = ()


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith('LARDER_')}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def until(probe, seconds=60, pause=0.005):
    deadline = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > deadline:
            raise RuntimeError('waited %d s in vain' % seconds)
        time.sleep(pause)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


class Server:
    """A process that listens on a port."""
    def __init__(self, name, process, port, key='', folder=''):
        self.name, self.process, self.port, self.key, self.folder = name, process, port, key, folder

    def _status(self, field):
        with open('/proc/%d/status' % self.process.pid, encoding='ascii') as f:
            return int(re.search(r'^%s:\s+(\d+)' % field, f.read(), re.M).group(1)) * 1024

    def cpu(self):
        """Seconds of processor time so far, all threads."""
        with open('/proc/%d/stat' % self.process.pid, encoding='ascii') as f:
            fields = f.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self):
        """Bytes in memory: (all, without pages of files)."""
        return self._status('VmRSS'), self._status('RssAnon')

    def peak(self):
        return self._status('VmHWM')

    def ask(self, method, target, body=None, headers=()):
        """(status, headers, body) of one request on a connection of its own."""
        sent = b'' if body is None else json.dumps(body).encode()
        lines = ['%s %s HTTP/1.1' % (method, target), 'Host: localhost', 'Connection: close', *headers]
        if self.key:
            lines.append('Authorization: Bearer ' + self.key)
        if sent:
            lines += ['Content-Type: application/json', 'Content-Length: %d' % len(sent)]
        with socket.create_connection(('127.0.0.1', self.port), 60) as s:
            s.sendall('\r\n'.join(lines + ['', '']).encode() + sent)
            data = b''.join(iter(lambda: s.recv(65536), b''))
        head, _, got = data.partition(b'\r\n\r\n')
        first, *rest = head.decode('latin-1').split('\r\n')
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(': ', 1) for line in rest)}, got

    def get(self, target):
        return self.ask('GET', target)

    def apart(self):
        """The loop alone on its processor, all other threads on the client's: how long the loop is held is its own
        doing then, not a worker's that has its turn on the same processor."""
        for thread in os.listdir('/proc/%d/task' % self.process.pid):
            if int(thread) != self.process.pid:
                os.sched_setaffinity(int(thread), {int(CLIENT_CPU)})

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Rig:
    def __init__(self, folder, seconds, rounds):
        self.folder, self.seconds, self.rounds = folder, seconds, rounds
        self.servers = []
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    # ---- servers -------------------------------------------------------------------------------
    def start(self, name, command, port, key='', folder='', stdin=None, processor=SERVER_CPU):
        with open(self.path(name + '.out'), 'wb') as out, open(self.path(name + '.err'), 'wb') as err:
            process = subprocess.Popen(['taskset', '-c', processor, *command], stdin=stdin or subprocess.DEVNULL,
                                       stdout=out, stderr=err, env=environment())
        server = Server(name, process, port, key, folder)
        self.servers.append(server)
        return server

    def larder_command(self, port, data, file='', **options):
        options = dict({'access.sources': 'required', 'http.max_connections': '20000'}, **options)
        command = [LARDER, 'serve', '--set', 'listen=["127.0.0.1:%d"]' % port, '--set', 'data_dir=' + data]
        if file:
            command += ['-c', file]
        for name, value in options.items():
            command += ['--set', '%s=%s' % (name, value)]
        return command

    def larder(self, data, name='larder', file='', **options):
        """Ours on this data_dir, with a key that is not limited, ready to search. `options`: as --set has them; `file`: of
        a configuration file."""
        made = subprocess.run([LARDER, 'key', 'new', '--label', 'bench', '--scope', 'admin', '--rate', 'unlimited',
                               '--set', 'data_dir=' + data], capture_output=True, text=True, check=True,
                              env=environment())
        port = free_port()
        server = self.start(name, self.larder_command(port, data, file, **options), port, made.stdout.split()[-1], data)
        until(lambda: answers(port))
        server.get('/api/v1/cache/search?query=ready')
        return server

    def yard(self, key, records, name='yard'):
        """The least server, answering `records`: [(target, ETag without quotes, body)]."""
        folder, file, port = self.path(name), self.path(name + '.records'), free_port()
        os.makedirs(folder)
        with open(file, 'wb') as f:
            for target, etag, body in records:
                tag = etag.encode()[:16].ljust(16, b'-')  # of whatever length ours is, it has room for so much
                f.write(b'%d %d %s%s' % (len(target), len(body), tag, target.encode()) + body)
        with open(file, 'rb') as f:
            server = self.start(name, [os.path.join(PROGRAMS, 'yard_uv'), str(port), folder, key], port, key,
                                stdin=f)
        until(lambda: answers(port))
        return server

    def redis(self):
        """As durable as ours: nothing is answered before it is on the disk."""
        folder, port = self.path('redis'), free_port()
        os.makedirs(folder)
        server = self.start('redis', ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '',
                                      '--appendonly', 'yes', '--appendfsync', 'always',
                                      '--auto-aof-rewrite-percentage', '0', '--dir', folder], port)
        until(lambda: answers(port))
        return server

    def nginx(self, name, servers, http=''):
        """One worker. `servers`: what stands inside of `server { listen …; }`, one on a port of its own for each; `http`:
        what stands beside them."""
        ports = [free_port() for _ in servers]
        blocks = '\n'.join('server { listen 127.0.0.1:%d backlog=1024; %s }' % pair for pair in zip(ports, servers))
        temporary = ' '.join('%s_temp_path %s;' % (what, self.path('%s.%s' % (name, what)))
                             for what in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        with open(self.path(name + '.conf'), 'w', encoding='utf-8') as f:
            f.write('worker_processes 1; daemon off; master_process off; pid %s; error_log stderr error;\n'
                    'events { worker_connections 4096; multi_accept on; }\n'
                    'http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;\n'
                    'default_type application/json; %s\n%s\n%s }\n' % (
                        self.path(name + '.pid'), temporary, http, blocks))
        first = self.start(name, ['nginx', '-c', self.path(name + '.conf')], ports[0])
        until(lambda: all(answers(port) for port in ports))
        return [Server(name, first.process, port) for port in ports]

    # ---- load ----------------------------------------------------------------------------------
    def requests(self, name, lines):
        with open(self.path(name), 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines) + '\n')
        return self.path(name)

    def load(self, case, connections=64, depth=1):
        """One run of wrk."""
        server = case.server
        command = ['taskset', '-c', CLIENT_CPU, 'wrk', '-t1', '-c%d' % connections, '-d%ds' % self.seconds, '--latency',
                   '-s', os.path.join(HERE, 'requests.lua')]
        for header in case.headers:
            command += ['-H', header]
        if server.key:
            command += ['-H', 'Authorization: Bearer ' + server.key]
        watched = case.watched or [server]
        before = sum(one.cpu() for one in watched)
        done = subprocess.run([*command, 'http://127.0.0.1:%d/' % server.port, '--', case.file, str(depth)],
                              capture_output=True, text=True, check=True)
        run = read_wrk(done.stdout, sum(one.cpu() for one in watched) - before)
        if 'Non-2xx' in done.stdout:
            raise RuntimeError('%s answered something else than was to be measured:\n%s' % (case.name, done.stdout))
        return run

    def compare(self, cases, **how):
        """Rounds in which each case has its turn; {name: medians}."""
        runs = {case.name: [] for case in cases}
        for _ in range(self.rounds):
            for case in cases:
                runs[case.name].append(self.load(case, **how))
        return {name: medians(of) for name, of in runs.items()}


@contextmanager
def on_client_cpu():
    """This program itself, where it is the client; threads that it begins meanwhile too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(CLIENT_CPU)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def seeded(name, program, *args):
    """A data_dir that `program` has filled; it is kept for the next run."""
    folder = os.path.join(TOP, 'build', 'bench', name)
    if not os.path.exists(folder + '.done'):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        print('filling', name, flush=True)
        subprocess.run([os.path.join(PROGRAMS, program), folder, *map(str, args)], check=True)
        with open(folder + '.done', 'w', encoding='ascii'):
            pass
    return folder


def medians(runs):
    return Run(*(statistics.median(getattr(run, name) for run in runs) for name in ('rate', 'p50', 'p99', 'cpu')),
               sum(run.failed for run in runs))


def microseconds(text):
    number, unit = re.fullmatch(r'([\d.]+)(us|ms|s)', text).groups()
    return float(number) * {'us': 1, 'ms': 1e3, 's': 1e6}[unit]


def read_wrk(text, spent):
    def number(pattern, default=None):
        found = re.search(pattern, text, re.M)
        if not found and default is None:
            raise RuntimeError('wrk said: ' + text)
        return found.group(1) if found else default
    requests = int(number(r'^\s*(\d+) requests in'))
    errors = re.search(r'Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)', text)
    failed = int(number(r'Non-2xx or 3xx responses: (\d+)', 0)) + sum(map(int, errors.groups()) if errors else ())
    return Run(float(number(r'Requests/sec:\s+([\d.]+)')), microseconds(number(r'^\s*50%\s+(\S+)')),
               microseconds(number(r'^\s*99%\s+(\S+)')), spent * 1e6 / max(requests, 1), failed)


# ---- Prometheus text -------------------------------------------------------------------------------
def histogram(server, name):
    """{upper bound: how many are at or below} of a histogram without labels."""
    _, _, body = server.get('/metrics')
    rows = re.findall(r'^%s_bucket\{le="([^"]+)"\} (\S+)' % name, body.decode(), re.M)
    return {float(bound.replace('+Inf', 'inf')): float(count) for bound, count in rows}


def quantile(before, after, q):
    """The bound below which the share q of what was counted in between lies."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    total = counts[float('inf')]
    return min(bound for bound in counts if counts[bound] >= q * total) if total else 0.0
