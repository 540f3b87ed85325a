"""What operators look at: health, readiness, metrics, the OpenAPI document."""
import math
import os
import re
import shutil
import subprocess

import pytest
import repos
from program import SOURCES, until

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
HERE = os.path.dirname(os.path.abspath(__file__))


def parse(text):
    """The exposition format, strictly: ({family: type}, [(name, labels, value)])."""
    types, helped, samples = {}, set(), []
    assert text.endswith('\n')
    for line in text.splitlines():
        if line.startswith('# HELP '):
            name, _, words = line[7:].partition(' ')
            assert words and name not in helped, line
            helped.add(name)
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert kind in ('counter', 'gauge', 'histogram', 'summary', 'untyped') and name not in types, line
            types[name] = kind
        elif line:
            match = SAMPLE.match(line)
            assert match, line
            labels = dict(LABEL.findall(match[2] or ''))
            assert LABEL.sub('', match[2] or '') == '', line
            samples.append((match[1], labels, float(match[3])))
    assert helped == set(types)
    for name, labels, _ in samples:
        family = name if name in types else re.sub(r'_(bucket|sum|count)$', '', name)
        assert family in types, name
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in samples]
    assert len(set(keys)) == len(keys), 'a sample stands twice'
    return types, samples


@pytest.fixture
def scrape(server):
    return lambda: parse(server.get('/metrics').body.decode())


def total(samples, pattern, **labels):
    """The sum of the samples whose name fits and whose labels have these values; None when there is none."""
    values = [value for name, given, value in samples
              if re.fullmatch(pattern, name) and labels.items() <= given.items()]
    return sum(values) if values else None


def test_health_says_that_it_lives(server):
    reply = server.get('/healthz', key=None)
    assert reply.status == 200 and isinstance(reply.json(), dict)


def test_ready_says_that_it_serves(server):
    reply = server.get('/readyz', key=None)
    assert reply.status == 200 and isinstance(reply.json(), dict)


def test_metrics_are_well_formed(server, scrape):
    assert server.get('/metrics').headers['content-type'].startswith('text/plain')
    types, samples = scrape()
    for family, kind in types.items():
        assert family.startswith(('larder_', 'process_', 'edgecomet_cd_')), family
        assert family.endswith('_total') == (kind == 'counter'), family
        if kind != 'histogram':
            continue
        rows = {}
        for name, labels, value in samples:
            if name == family + '_bucket':
                rest = tuple(sorted((k, v) for k, v in labels.items() if k != 'le'))
                rows.setdefault(rest, []).append((float(labels['le']), value))
        for rest, buckets in rows.items():
            bounds, counts = zip(*buckets)
            assert list(bounds) == sorted(bounds) and bounds[-1] == math.inf, family
            assert list(counts) == sorted(counts), family
            assert total(samples, family + '_count', **dict(rest)) == counts[-1]


FAMILIES = {                  # what the operators were promised, and how a family of that kind may be called
    'requests by route and status': (r'larder_http_requests?_total', {'route', 'status'}),
    'latency by route': (r'larder_http_request.*_bucket', {'route', 'le'}),
    'loop lag': (r'larder_loop_lag_seconds.*', set()),
    'connections': (r'larder_.*connections.*', set()),
    'store commits': (r'larder_store_commits?_total', set()),
    'batch sizes': (r'larder_store_.*batch.*', set()),
    'commit latency': (r'larder_store_commit_.*seconds.*', set()),
    'map size': (r'larder_store_.*(map|size).*', set()),
    'outbound requests': (r'larder_(outbound|client|github)_.*requests?_total', {'origin', 'status'}),
    'quota left': (r'larder_github_(quota|rate).*', set()),
    'scans': (r'larder_.*scans?_.*', set()),
}


@pytest.mark.parametrize('what', FAMILIES)
def test_a_promised_family_is_there(server, scrape, github, what):
    assert server.create(github.add(repos.skills_repo()))['scan_status'] == 'success'
    pattern, labels = FAMILIES[what]
    names = [(name, given) for name, given, _ in scrape()[1] if re.fullmatch(pattern, name)]
    assert names, 'no family for %s' % what
    assert any(labels <= given.keys() for _, given in names), names[:3]


def test_requests_are_counted_by_route_not_by_path(server, scrape):
    def count(status):
        return total(scrape()[1], r'larder_http_requests?_total', route=SOURCES + '/{id}', status=status) or 0
    before = count('404')
    for i in range(5):
        server.get('%s/src_nobody_%d' % (SOURCES, i))
    assert count('404') == before + 5
    assert not [labels for _, labels, _ in scrape()[1] if 'src_nobody' in str(labels)]


def test_metrics_move(server, scrape, github):
    names = (r'larder_store_commits?_total', r'larder_(outbound|client|github)_.*requests?_total',
             r'larder_.*scans?_total')
    before = [total(scrape()[1], name) or 0 for name in names]
    server.create(github.add(repos.skills_repo()))
    until(lambda: all((total(scrape()[1], n) or 0) > b for n, b in zip(names, before)), 'the counters to move')


def test_what_search_finds_is_counted(larder):
    one = larder()
    one.report('proj-1', [('canvas', '1.0.0'), ('docker', '1.0.0')])
    until(lambda: one.search('a')['total'] == 1, 'search to know it')
    lines = dict(line.rsplit(' ', 1) for line in one.get('/metrics').body.decode().splitlines() if line[0] != '#')
    assert lines['larder_search_documents'] == '2' and int(lines['larder_search_bytes']) > 100


def test_quota_left_is_what_github_said(larder, own_github):
    one = larder(standin=own_github)
    one.create(own_github.add(repos.skills_repo()))
    left = own_github.quota('').limit - own_github.quota('').used
    _, samples = parse(one.get('/metrics').body.decode())
    values = [v for name, _, v in samples if re.fullmatch(r'larder_github_(quota|rate).*(left|remaining).*', name)]
    assert left in values


def test_the_document_is_openapi_3_1(server):
    document = server.get('/openapi.json').json()
    assert document['openapi'].startswith('3.1.') and document['info']['title'] and document['info']['version']
    calls = {(row[0], re.sub(r'\{\w+\}', '{id}', row[1])) for row in server.document.rows}
    ids = [row[3]['operationId'] for row in server.document.rows]
    assert len(set(ids)) == len(ids) > 10
    assert all(row[3].get('summary') for row in server.document.rows)
    for method, template in (('POST', SOURCES), ('GET', SOURCES), ('GET', SOURCES + '/{id}'),
                             ('PATCH', SOURCES + '/{id}'), ('DELETE', SOURCES + '/{id}'),
                             ('POST', SOURCES + '/{id}/rescan'), ('GET', SOURCES + '/{id}/artifacts'),
                             ('POST', SOURCES + '/infer-url'), ('GET', '/api/v1/cache/search'),
                             ('GET', '/api/v1/cache/marketplace'), ('GET', '/api/v1/cache/status')):
        assert (method, template) in calls


def test_the_document_need_not_be_fetched_twice(server):
    first = server.get('/openapi.json')
    again = server.get('/openapi.json', headers={'If-None-Match': first.headers['etag']})
    assert again.status == 304 and not again.body and again.headers['etag'] == first.headers['etag']
    assert server.get('/openapi.json', headers={'If-None-Match': '"other"'}).body == first.body


def test_the_server_as_a_whole_says_what_it_understands(server):
    reply = server.request('OPTIONS', '*', key=None, checked=False)
    assert reply.status == 204 and {'GET', 'POST', 'PATCH', 'DELETE'} <= set(reply.headers['allow'].split(', '))


def test_a_linter_from_outside_likes_the_document(server, tmp_path):
    tools = os.path.join(HERE, '..')
    if not shutil.which('node') or not os.path.isdir(os.path.join(tools, 'node_modules')):
        pytest.skip('tests/node_modules is not installed')
    path = tmp_path / 'openapi.json'
    path.write_bytes(server.get('/openapi.json').body)
    done = subprocess.run(['node', os.path.join(tools, 'lint-openapi.mjs'), str(path)], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_idle_costs_next_to_nothing(larder):
    """Readiness probes, timers and counters must not turn into a busy loop."""
    one = larder()
    until(lambda: one.get('/readyz').status == 200)
    before, wakes = one.cpu, 0
    with one.wire() as wire:
        for _ in range(20):
            wire.socket.settimeout(0.1)
            try:
                wire.socket.recv(1)
            except TimeoutError:
                wakes += 1
    assert wakes == 20 and one.cpu - before < 1.0
