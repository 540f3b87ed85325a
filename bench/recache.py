"""Scenarios of recaching: URLs queued, beside Redis; stored pages, beside nginx; what a page costs."""
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from urllib.parse import quote

from peers import Peers
from report import LAG
from rig import CLIENT_CPU, PROGRAMS, SERVER_CPU, TOP, Case, free_port, histogram, answers, on_client_cpu, until

KEY = 'of-the-bench'
AUTH = 'X-Internal-Auth: ' + KEY
AT_ONCE = 10000                # URLs a request
QUEUED = 1000000               # in all, on either side
PAGES, TABS = 3000, 100
SITE = 'localhost'
SCRIPTED = os.path.join(TOP, 'tests', 'render', 'scripted.py')
P99_AIM_MS = 10
PAGE_AIM_US = 50


def configuration(rig, name, services=()):
    """A file, for lists of hosts can't be told on the command line."""
    dimension = {'id': 1, 'width': 1200, 'height': 700, 'render_ua': 'Bench'}
    host = {'id': 1, 'domain': [SITE], 'ttl': '24h', 'dimensions': {'desktop': dimension}}
    with open(rig.path(name), 'w', encoding='ascii') as f:
        json.dump({'recache': {'auth_key': [KEY], 'hosts': [host], 'accel_prefix': '/pages/', 'allow_private': True,
                               'render_services': [{'url': url} for url in services]}}, f)
    return rig.path(name)


def page_url(number):
    return 'https://%s/category/outdoor-equipment/product-%08d.html?v=%d' % (SITE, number, number % 10)


class Link:
    """A connection that is kept; what is sent was made before the clock runs."""
    def __init__(self, server):
        self.socket = socket.create_connection(('127.0.0.1', server.port), 60)

    def ask(self, request, is_whole):
        """(the answer, seconds). `is_whole`: whether these bytes are all of it."""
        began, got = time.monotonic(), b''
        self.socket.sendall(request)
        while not is_whole(got):
            piece = self.socket.recv(1 << 20)
            assert piece, got
            got += piece
        return got, time.monotonic() - began

    def close(self):
        self.socket.close()


# ---- queueing --------------------------------------------------------------------------------------
def our_request(first, count=AT_ONCE):
    body = json.dumps({'host_id': 1, 'dimension_ids': [1], 'priority': 'normal',
                       'urls': [page_url(i) for i in range(first, first + count)]}).encode()
    return ('POST /internal/cache/recache HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Type: application/json\r\n'
            'Content-Length: %d\r\n\r\n' % (AUTH, len(body))).encode() + body


def is_whole_reply(got):
    head, found, body = got.partition(b'\r\n\r\n')
    return found and len(body) >= int(re.search(rb'content-length: (\d+)', head.lower()).group(1))


def enqueue(link, first, count=AT_ONCE):
    """Seconds."""
    answer, took = link.ask(our_request(first, count), is_whole_reply)
    assert answer.startswith(b'HTTP/1.1 200') and b'"entries_enqueued":%d' % count in answer, answer
    return took


def enqueue_to_redis(link, first, rng):
    """The same URLs, each a ZADD with the time it is due; they go as a pipeline. Seconds."""
    parts = []
    for i in range(first, first + AT_ONCE):
        due, url = str(1700000000000 + rng.randrange(86400000)), page_url(i)
        parts.append('*4\r\n$4\r\nZADD\r\n$1\r\nq\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' % (len(due), due, len(url), url))
    whole = b':1\r\n' * AT_ONCE
    answer, took = link.ask(''.join(parts).encode(), lambda got: len(got) >= len(whole))
    assert answer == whole, answer[:200]
    return took


def queueing(stage):
    """Rounds in which ours and Redis take the same URLs; at the end both hold a million."""
    rig, rng, rates = stage.rig, random.Random(4), {'larder': [], 'redis': []}
    ours = rig.larder(rig.path('queued'), 'queued', configuration(rig, 'queued.yaml'))
    redis = rig.redis()
    links = Link(ours), Link(redis)
    requests = QUEUED // AT_ONCE // rig.rounds + 1
    empty, at = [one.resident()[1] for one in (ours, redis)], 0
    with on_client_cpu():
        while at < QUEUED:
            firsts = range(at, min(QUEUED, at + requests * AT_ONCE), AT_ONCE)
            for name, took in (('larder', [enqueue(links[0], first) for first in firsts]),
                               ('redis', [enqueue_to_redis(links[1], first, rng) for first in firsts])):
                rates[name].append(len(firsts) * AT_ONCE / sum(took))
            at = firsts[-1] + AT_ONCE
    figures = {name: statistics.median(of) for name, of in rates.items()}
    for name, rate in figures.items():
        stage.report.fact('{:,} URLs queued in one request, durable: entries/s, {}'.format(AT_ONCE, name),
                          '{:,.0f} /s'.format(rate))
    stage.report.aim('{:,} URLs queued in one request: entries/s ÷ Redis, pipelined ZADDs'.format(AT_ONCE),
                     figures['larder'] / figures['redis'], 1, at_least=True)
    own = [one.resident()[1] - least for one, least in zip((ours, redis), empty)]
    for name, server in (('larder', ours), ('redis', redis)):
        stage.report.memory('{} with {:,} entries queued'.format(name, QUEUED), server)
    stage.report.aim('memory for {:,} entries, without pages of files ÷ Redis'.format(QUEUED), own[0] / own[1], 1)
    redis.stop()
    ours.apart()
    before = histogram(ours, LAG)
    with on_client_cpu():
        for first in range(QUEUED, 2 * QUEUED, AT_ONCE):
            enqueue(links[0], first)
    stage.report.loop_held('the queueing', ours, before)
    for link in links:
        link.close()
    ours.stop()


class Queueing:
    """URLs are queued, one request after the other, while the `with` lasts."""
    def __init__(self, server):
        self.server, self.stopped, self.requests = server, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        link = Link(self.server)
        while not self.stopped.is_set():
            enqueue(link, self.requests * AT_ONCE)
            self.requests += 1
        link.close()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def others_meanwhile(stage):
    """How long others wait for their answers while URLs are queued, reading and writing."""
    rig, sources = stage.rig, stage.point[:50]
    folder = rig.path('others')
    subprocess.run([os.path.join(PROGRAMS, 'seed'), folder, '20000'], check=True)
    server = rig.larder(folder, 'others', configuration(rig, 'others.yaml'))
    reads = ['GET ' + target for target in sources + ['/api/v1/cache/status', '/internal/cache/queue?host_id=1',
                                                      '/api/v1/cache/search?query=pdf']]
    writes = ['PATCH %s {"description":"number %d"}' % (target, i) for i in range(20) for target in sources]
    kinds = {'reads': Case('reads', server, rig.requests('others-read', reads), (AUTH,)),
             'writes': Case('writes', server, rig.requests('others-write', writes), ('Content-Type: application/json',))}
    alone = rig.compare(kinds.values(), connections=1)
    queueing_now = Queueing(server)
    with on_client_cpu(), queueing_now:
        beside = rig.compare(kinds.values(), connections=1)
    for kind in kinds:
        assert not alone[kind].failed + beside[kind].failed
        stage.report.fact(kind + ' of one connection, alone: p99', '%.2f ms' % (alone[kind].p99 / 1e3))
        stage.report.aim('{} while {:,} URLs a request are queued: p99'.format(kind, AT_ONCE), beside[kind].p99 / 1e3,
                         P99_AIM_MS, ' ms')
    stage.report.fact('and so many URLs were queued meanwhile', '{:,}'.format(queueing_now.requests * AT_ONCE))
    server.stop()


# ---- pages -----------------------------------------------------------------------------------------
def services(rig, count=2):
    """Render services that answer at once, on the client's processor."""
    ports = [free_port() for _ in range(count)]
    found = [rig.start('service%d' % i, [sys.executable, '-B', SCRIPTED, '--port', str(port), '--pool',
                                        str(TABS // count), '--name', 'rs-%d' % i], port, processor=CLIENT_CPU)
             for i, port in enumerate(ports)]
    until(lambda: all(answers(port) for port in ports))
    return found


def rendered(stage, server):
    """Queues pages and waits until all are stored."""
    link = Link(server)
    spent, began = server.cpu(), time.monotonic()
    enqueue(link, 0, PAGES)
    request = ('GET /internal/cache/summary?host_id=1 HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n' % AUTH).encode()

    def are_all():
        return json.loads(link.ask(request, is_whole_reply)[0].partition(b'\r\n\r\n')[2])['data']['total_urls'] == PAGES
    until(are_all, 120, 0.2)
    took, spent = time.monotonic() - began, server.cpu() - spent
    link.close()
    name = '{:,} pages rendered, over HTTP, compressed and stored'.format(PAGES)
    stage.report.fact(name + ': pages/s', '{:,.0f} /s'.format(PAGES / took))
    stage.report.fact(name + ': processor time a page', '%.0f µs' % (spent * 1e6 / PAGES))


def pages(stage):
    """From the queue to the stored page, and where nginx may find it."""
    rig = stage.rig
    scripted = services(rig)
    server = rig.larder(rig.path('stored'), 'stored', configuration(
        rig, 'stored.yaml', ['http://127.0.0.1:%d' % one.port for one in scripted]))
    rendered(stage, server)
    for one in scripted:
        one.stop()
    targets = ['/internal/cache/page?host_id=1&dimension_id=1&url=' + quote(page_url(i), safe='')
               for i in range(0, PAGES, 3)]
    peers = Peers(rig, stage.report, server, 'stored')
    peers.asks_with = (AUTH,)
    peers.answer_too(targets)
    _, headers, body = peers.ask(targets[0])
    assert body == b'' and headers['x-cache'] == 'fresh', headers
    told = ''.join('add_header %s \'%s\'; ' % (name, headers[name]) for name in ('etag', 'x-cache', 'age',
                                                                              'x-accel-redirect'))
    nginx = rig.nginx('nginx-pages', [peers.nginx_return(targets[0], told)])[0]
    file = peers.repeated(targets)
    figures = rig.compare([Case('larder', server, file, (AUTH,)), Case('(c)', peers.yard, file),
                           Case('nginx', nginx, file)])
    stage.report.runs('where a stored page lies', figures)
    for peer, ratio in (('nginx', 1.0), ('(c)', 1.3)):
        stage.report.aim('where a stored page lies: CPU per request ÷ ' + peer, figures['larder'].cpu / figures[peer].cpu,
                         ratio)
    for one in (server, peers.yard, nginx):
        one.stop()


def scheduling(stage):
    """The service alone: renderers that answer at once, no HTTP, no files."""
    done = subprocess.run(['taskset', '-c', SERVER_CPU, os.path.join(PROGRAMS, 'queue_bench'),
                           stage.rig.path('scheduled'), '40000', '4000'], capture_output=True, text=True, check=True)
    stage.report.text('The queue, without HTTP', done.stdout)
    a_page = float(re.search(r'^pages without a file, CPU per page\s+([\d.]+) us', done.stdout, re.M).group(1))
    stage.report.aim('scheduling: processor time a page', a_page, PAGE_AIM_US, ' µs')


SCENARIOS = [queueing, others_meanwhile, pages, scheduling]
