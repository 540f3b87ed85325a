"""Our figures beside the yardsticks', in one run: bench.py quick|full writes RESULTS.md.

A scenario is a function that takes the Stage and puts what it finds into stage.report. To add one: the function, and its
name in SCENARIOS.
"""
import json
import os
import random
import re
import subprocess
import sys
import time

import offline
import projects
import recache
from peers import Peers
from report import LAG, Report
from rig import HERE, PROGRAMS, TOP, Case, Rig, histogram, seeded

SOURCES, CACHE = '/api/v1/marketplace/sources', '/api/v1/cache'
RECORDS = int(os.environ.get('RECORDS', '1000000'))
MODES = {'quick': (1, 3), 'full': (2, 5)}      # seconds a run of wrk, rounds


class Stage(Peers):
    """The servers that most scenarios ask: ours on the large store; (c) and nginx with the same answers."""
    def __init__(self, rig, data):
        super().__init__(rig, Report(rig), rig.larder(data), 'sources')
        self.data, self.records, self.is_full = data, RECORDS, rig.rounds >= MODES['full'][1]
        self.point = ['%s/%s' % (SOURCES, source) for source in self.source_ids()]
        self.names = self.numbered_names()
        self.search = [target for target in self.names[:2000] if self.found_once(target)][:1000]
        self.market = ['%s/marketplace?limit=100&skip=%d' % (CACHE, skip) for skip in range(0, 1000, 100)]
        self.catalogue = [target + '/artifacts?limit=100' for target in self.point[:20]]
        self.answer_too(self.point + self.search + self.market + self.catalogue)
        self.nginx_point, self.nginx_search = rig.nginx('nginx', [self.nginx_return(self.point[0]),
                                                                  self.nginx_return(self.search[0])])

    def source_ids(self):
        cursor, ids = '', []
        while True:
            page = json.loads(self.ours.get('%s?limit=100%s' % (SOURCES, cursor))[2])
            ids += [row['id'] for row in page['items']]
            if not page['page_info']['has_next_page']:
                return ids
            cursor = '&cursor=' + page['page_info']['end_cursor']

    def numbered_names(self):
        """Searches for exact names of entries from all sources, in no order; most names have one entry."""
        names = {row['name'] for target in self.point
                 for row in json.loads(self.ours.get(target + '/artifacts?limit=100')[2])['items']}
        found = sorted('%s/search?query=%s' % (CACHE, name) for name in names if re.search(r'-\d{4}$', name))
        random.Random(1).shuffle(found)
        return found

    def found_once(self, target):
        return json.loads(self.answer(target)[1])['total'] == 1


# ---- reads -----------------------------------------------------------------------------------------
def one_source(stage):
    stage.compare_reads('one source by id', stage.point, stage.nginx_point, [('nginx', 1.0), ('(c)', 1.3)])


def exact_search(stage):
    stage.compare_reads('search by exact name', stage.search, stage.nginx_search, [('nginx', 1.0), ('(c)', 1.3)],
                        stage.names)


def marketplace(stage):
    stage.compare_reads('100 of the marketplace', stage.market, None, [('(c)', 2.0)])


def catalogue(stage):
    stage.compare_reads('100 of a catalogue', stage.catalogue, None, [('(c)', 2.0)])


def unchanged(stage):
    file, header = stage.repeated(stage.market[:1]), 'If-None-Match: "%s"' % stage.bodies[stage.market[0]][0]
    figures = stage.rig.compare([Case('larder', stage.ours, file, (header,)), Case('(c)', stage.yard, file, (header,))])
    stage.report.runs('unchanged list, 304', figures)
    stage.report.aim('unchanged list, 304: CPU per request ÷ (c)', figures['larder'].cpu / figures['(c)'].cpu, 1.05)


def pipelined(stage):
    file = stage.repeated(stage.point)
    figures = stage.rig.compare([Case('larder', stage.ours, file), Case('(c)', stage.yard, file),
                                 Case('nginx', stage.nginx_point, file)], depth=16)
    stage.report.runs('one source, 16 pipelined', figures)
    stage.report.aim('one source, 16 pipelined: requests/s ÷ nginx', figures['larder'].rate / figures['nginx'].rate, 4,
                     at_least=True)


def one_connection(stage):
    file = stage.repeated(stage.point)
    figures = stage.rig.compare([Case('larder', stage.ours, file), Case('(c)', stage.yard, file)], connections=1)
    stage.report.runs('one source, 1 connection', figures)
    stage.report.aim('one source, 1 connection: p50 ÷ (c)', figures['larder'].p50 / figures['(c)'].p50, 1.2)


def many_connections(stage):
    file = stage.repeated(stage.point)
    figures = stage.rig.compare([Case('larder', stage.ours, file), Case('(c)', stage.yard, file)], connections=512)
    stage.report.runs('one source, 512 connections', figures)
    stage.report.aim('one source, 512 connections: p99 ÷ (c)', figures['larder'].p99 / figures['(c)'].p99, 1.5)


def behind_nginx(stage):
    upstreams, servers = '', []
    for name, server in (('ours', stage.ours), ('yard', stage.yard)):
        upstreams += 'upstream %s { server 127.0.0.1:%d; keepalive 128; keepalive_requests 1000000000; }\n' % (
            name, server.port)
        servers.append('location / { proxy_pass http://%s; proxy_http_version 1.1; proxy_set_header Connection ""; }'
                       % name)
    fronts, file = stage.rig.nginx('front', servers, upstreams), stage.repeated(stage.point)
    for front in fronts:
        front.key = stage.ours.key
    figures = stage.rig.compare([Case('nginx + larder', fronts[0], file, (), (fronts[0], stage.ours)),
                                 Case('nginx + (c)', fronts[1], file, (), (fronts[1], stage.yard))])
    fronts[0].stop()
    stage.report.runs('one source, behind nginx', figures)
    stage.report.aim('one source, behind nginx: requests/s ÷ nginx + (c)',
                     figures['nginx + larder'].rate / figures['nginx + (c)'].rate, 0.95, at_least=True)


# ---- sizes and times -------------------------------------------------------------------------------
def memory(stage):
    for name, server in (('larder', stage.ours), ('(c)', stage.yard), ('nginx', stage.nginx_point)):
        stage.report.memory(name + ' after all of the above', server)


def substring_search(stage):
    program = os.path.join(PROGRAMS, 'search_bench')
    if not os.path.exists(program):
        print('no %s: left out' % program)
        return
    count = RECORDS if stage.is_full else min(RECORDS, 200000)
    done = subprocess.run(['taskset', '-c', '0', program, str(count), 'usual'], capture_output=True, text=True, check=True)
    stage.report.text('Search by a piece of the name, beside SQLite', done.stdout)
    rows = re.findall(r'^(\S+)\s+\d+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+([\d.]+)\s+(?:loop|worker)', done.stdout, re.M)
    ratios = [float(ratio) for query, ratio in rows if 3 <= len(query) <= 6]
    if ratios:
        stage.report.aim('search for 3 to 6 letters: the worst time ÷ FTS5 trigram', max(ratios), 1.0)


READS = [one_source, exact_search, marketplace, catalogue, unchanged, pipelined, one_connection, many_connections,
         behind_nginx]


def main(mode):
    if mode not in MODES or os.cpu_count() < 2:
        sys.exit('usage: bench.py quick|full, on a machine with two processors at least')
    began, data = time.monotonic(), seeded('data-%d' % RECORDS, 'seed', RECORDS)
    with Rig(os.path.join(TOP, 'build', 'bench', 'run'), *MODES[mode]) as rig:
        stage = Stage(rig, data)
        before = histogram(stage.ours, LAG)
        for scenario in READS:
            scenario(stage)
        stage.report.loop_held('all of the above', stage.ours, before)
        memory(stage)
        for server in rig.servers:
            server.stop()
        for scenario in offline.SCENARIOS + projects.SCENARIOS + recache.SCENARIOS:
            scenario(stage)
        substring_search(stage)
        stage.report.write(os.path.join(HERE, 'RESULTS.md'))
    print('%s bench took %.0f s; the tables are in bench/RESULTS.md' % (mode, time.monotonic() - began))


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else 'full')
