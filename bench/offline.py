"""Scenarios that start servers of their own: writes, instructions, sizes, start, a scan."""
import os
import random
import re
import socket
import statistics
import struct
import subprocess
import sys
import time

from rig import LARDER, PROGRAMS, SERVER_CPU, TOP, Case, environment, free_port, medians, until

SOURCES = '/api/v1/marketplace/sources'
IDLE_CONNECTIONS = 10000
SCANNED_FILES, FILE_BYTES = 15000, 3000
RECORD_BYTES = 500             # about what a source takes in the store


def small_store(stage, name, entries=20000):
    folder = stage.rig.path(name)
    subprocess.run([os.path.join(PROGRAMS, 'seed'), folder, str(entries)], check=True)
    return folder


# ---- writes ----------------------------------------------------------------------------------------
def durable_writes(stage):
    rig, rng = stage.rig, random.Random(2)
    server = rig.larder(small_store(stage, 'writes'))
    lines = ['PATCH %s {"description":"%s %d"}' % (target, rng.choice(('now', 'soon', 'late')), i)
             for i in range(10) for target in stage.point[:200]]
    case = Case('larder', server, rig.requests('writes.txt', lines), ('Content-Type: application/json',))
    runs, commits = [], []
    for i in range(rig.rounds):
        folder = rig.path('commits%d' % i)
        os.makedirs(folder)
        done = subprocess.run(['taskset', '-c', SERVER_CPU, os.path.join(PROGRAMS, 'yard_commits'), folder,
                               str(rig.seconds), str(RECORD_BYTES)], capture_output=True, text=True, check=True)
        commits.append(float(done.stdout))
        runs.append(rig.load(case))
    server.stop()
    figure = medians(runs)
    stage.report.runs('PATCH of a source, 64 connections', {'larder': figure})
    stage.report.fact('one commit per write (LMDB, fsync each)', '{:,.0f} /s'.format(statistics.median(commits)))
    stage.report.aim('durable writes: requests/s ÷ one commit per write', figure.rate / statistics.median(commits), 4,
                     at_least=True)


# ---- instructions ----------------------------------------------------------------------------------
def requests_counted(server):
    body = server.get('/metrics')[2].decode()
    return sum(int(n) for n in re.findall(r'^larder_http_requests_total\S* (\d+)$', body, re.M))


def instructions(stage):
    """User-space instructions of an authorised point read, by callgrind, which counts only while wrk asks."""
    rig, out = stage.rig, stage.rig.path('callgrind.out')
    data, port = small_store(stage, 'counted'), free_port()
    key = subprocess.run([LARDER, 'key', 'new', '--label', 'bench', '--rate', 'unlimited', '--scope', 'admin', '--set',
                          'data_dir=' + data], capture_output=True, text=True, check=True).stdout.split()[-1]
    server = rig.start('counted', ['valgrind', '--tool=callgrind', '--instr-atstart=no',
                                   '--callgrind-out-file=' + out, *rig.larder_command(port, data)], port, key)
    until(lambda: 'listening' in open(rig.path('counted.out'), encoding='utf-8').read())
    case = Case('larder', server, rig.requests('counted.txt', ['GET ' + stage.point[0]]))
    rig.load(case, connections=8)
    subprocess.run(['callgrind_control', '-i', 'on', str(server.process.pid)], capture_output=True, check=True)
    before = requests_counted(server)
    rig.load(case, connections=8)
    asked = requests_counted(server) - before
    subprocess.run(['callgrind_control', '-i', 'off', str(server.process.pid)], capture_output=True, check=True)
    server.stop()
    with open(out, encoding='utf-8', errors='replace') as f:
        counted = sum(int(n) for n in re.findall(r'^totals: (\d+)', f.read(), re.M))
    stage.report.aim('one source by id: user-space instructions per request', counted / asked, 8400)


# ---- sizes -----------------------------------------------------------------------------------------
def connect(port):
    s = socket.create_connection(('127.0.0.1', port), 60)
    s.sendall(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    s.recv(4096)
    return s


def idle(stage):
    server = stage.rig.larder(stage.rig.path('empty'), **{'http.idle_timeout': '10m'})
    time.sleep(1)
    stage.report.aim('resident, empty store, idle', server.resident()[0] / 1e6, 10, ' MB')
    many = [connect(server.port) for _ in range(IDLE_CONNECTIONS)]
    time.sleep(1)
    stage.report.aim('resident with {:,} idle connections'.format(len(many)), server.resident()[0] / 1e6, 40, ' MB')
    for s in many:             # reset, so that no port waits for its end
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()
    server.stop()


def ready(stage):
    """From the start of the process to the line that says it listens, and to an answer."""
    listening, answered, found = [], [], []
    for _ in range(stage.rig.rounds):
        port = free_port()
        began = time.monotonic()
        process = subprocess.Popen(['taskset', '-c', SERVER_CPU, *stage.rig.larder_command(port, stage.data)],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        try:
            process.stdout.readline()
            listening.append(time.monotonic() - began)
            connect(port).close()
            answered.append(time.monotonic() - began)
            with socket.create_connection(('127.0.0.1', port), 60) as s:
                s.sendall(b'GET /api/v1/cache/search?query=pdf HTTP/1.1\r\nHost: localhost\r\n'
                          b'Authorization: Bearer ' + stage.ours.key.encode() + b'\r\n\r\n')
                s.recv(4096)
            found.append(time.monotonic() - began)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
    stage.report.aim('ready with the large store: listens', statistics.median(listening) * 1e3, 100, ' ms')
    stage.report.aim('ready with the large store: answers /healthz', statistics.median(answered) * 1e3, 100, ' ms')
    stage.report.fact('and answers the first search (the index is made at the start)',
                      '%.1f s' % statistics.median(found))


# ---- a scan ----------------------------------------------------------------------------------------
def large_files():
    """Texts that compress about as well as sources do; each tenth is the manifest of a skill."""
    rng = random.Random(3)
    words = [''.join(rng.choice('abcdefghijklmnopqrstuvwxyz_') for _ in range(rng.randint(2, 11))) for _ in range(4000)]
    files = {}
    for i in range(SCANNED_FILES):
        text, folder = ' '.join(rng.choices(words, k=FILE_BYTES // 8)), 'skills/skill-%05d' % (i // 10)
        if i % 10 == 0:
            files[folder + '/SKILL.md'] = '---\nname: skill-%05d\ndescription: Number %d\n---\n%s\n' % (i // 10, i, text)
        else:
            files['%s/part/%05d.py' % (folder, i)] = text
    return files


def scan(stage):
    sys.path.insert(0, os.path.join(TOP, 'tests', 'blackbox'))
    import repos               # pylint: disable=import-outside-toplevel
    from github_standin import StandIn  # pylint: disable=import-outside-toplevel
    repo = repos.Repo('bench', 'large', large_files())
    with StandIn(stage.rig.path('github')) as github:
        github.add(repo)
        repo.archive(repo.head)    # made before the clock runs
        server = stage.rig.larder(stage.rig.path('scanned'), **{'github.api_url': github.url,
                                                                 'github.ca_file': github.ca_file})

        def settle(method, target, body=None):
            github.forget()
            spent, began = server.cpu(), time.monotonic()
            source = server.ask(method, target, body)
            assert source[0] in (200, 201), source
            found = until(lambda: b'"scan_status":"scanning"' not in (text := server.get(SOURCES)[2]) and text,
                          pause=0.05)
            assert b'"scan_status":"success"' in found, found
            return server.cpu() - spent, time.monotonic() - began, len(github.seen())
        cpu, took, asked = settle('POST', SOURCES, {'repo_url': repo.url})
        name = 'scan of {:,} files'.format(SCANNED_FILES)
        stage.report.aim(name + ': processor time', cpu, 1.5, ' s')
        stage.report.aim(name + ': resident at most', server.peak() / 1e6, 100, ' MB')
        stage.report.aim(name + ': requests to GitHub', asked, 4)
        stage.report.fact(name + ': took', '%.1f s' % took)
        cpu, _, asked = settle('POST', '%s/src_%s_%s/rescan' % (SOURCES, repo.owner, repo.name))
        stage.report.aim('scan again, unchanged: requests to GitHub', asked, 1)
        server.stop()


SCENARIOS = [durable_writes, instructions, idle, ready, scan]
