"""Artifacts of projects: lists, what is outdated, search, figures; and what the family's parameters may be."""
import random

import pytest
import repos
from program import CACHE, Larder, asking, until
from wire import request

ARTIFACTS, STALE, SEARCH = CACHE + '/artifacts', CACHE + '/stale-artifacts', CACHE + '/search'
VERSIONS = [('1.0.0', '2.0.0', 'major version upgrade (1 -> 2)', 5), ('1.0.0', '1.2.0', 'minor version upgrade (0 -> 2)', 4),
            ('1.0.0', '1.0.3', 'patch version upgrade (0 -> 3)', 3),
            ('1.0.0-rc.1', '1.0.0', 'upgrade to stable from pre-release (rc.1)', 2),
            ('1.0.0', '1.0.0', None, 0), ('2.0.0', '1.0.0', None, 0), ('main', 'dev', None, 0), (None, '1.0.0', None, 0)]
TYPES = ['skill', 'command', 'agent', 'hook', 'mcp']


def is_outdated(row):
    return row['deployed_version'] in ('1.0.0', '1.0.0-rc.1') and row['upstream_version'] not in (None, '1.0.0') or \
        (row['deployed_version'], row['upstream_version']) == ('1.0.0-rc.1', '1.0.0')


class Model:
    """What was reported, as plain rows."""

    def __init__(self, server):
        dice = random.Random(7)
        self.rows, self.names = [], {}
        for p in range(23):
            project = 'proj-%02d' % p
            self.names[project] = dice.choice(['Zoo', 'Bar', 'bar', 'Ärzte', 'Foo %d' % p])
            artifacts = {}
            for _ in range(dice.randrange(12, 60)):
                deployed, upstream, _, _ = dice.choice(VERSIONS)
                row = {'name': dice.choice(['canvas', 'docker', 'docker-compose', 'python', 'Docker', 'x%d'])
                       .replace('%d', str(dice.randrange(30))), 'type': dice.choice(TYPES),
                       'deployed_version': deployed, 'upstream_version': upstream}
                artifacts[row['type'], row['name']] = row
            server.report(project, list(artifacts.values()), name=self.names[project])
            self.rows += [dict(row, project_id=project) for row in artifacts.values()]
        for row in self.rows:
            row['is_outdated'] = is_outdated(row)
        self.ids = {(row['project_id'], row['type'], row['name']): row['id'] for row in server.listed('/artifacts')}
        for row in self.rows:
            row['id'] = self.ids[row['project_id'], row['type'], row['name']]

    def where(self, **wanted):
        rows = [row for row in self.rows if all(row[name] == value for name, value in wanted.items())]
        return sorted(rows, key=lambda row: (row['name'].casefold().encode(), row['id']))


@pytest.fixture(scope='module')
def house(session_github, tmp_path_factory):
    one = Larder(tmp_path_factory.mktemp('artifacts'), asking(session_github)).start()
    yield one, Model(one)
    one.stop()


def ids(rows):
    return [row['id'] for row in rows]


# ---- artifacts ---------------------------------------------------------------------------------
def test_items_are_as_the_spec_prints_them(house):
    one, model = house
    page = one.get(ARTIFACTS).json()
    assert set(page) == {'items', 'total', 'skip', 'limit', 'next_cursor'}
    assert (page['total'], page['skip'], page['limit']) == (len(model.rows), 0, 100) and len(page['items']) == 100
    assert page['items'] == model.where()[:100]


FILTERS = [{}, {'project_id': 'proj-03'}, {'type': 'skill'}, {'is_outdated': True}, {'is_outdated': False},
           {'type': 'mcp', 'is_outdated': True}, {'project_id': 'proj-05', 'type': 'agent'},
           {'project_id': 'proj-05', 'is_outdated': True}, {'project_id': 'proj-07', 'type': 'hook', 'is_outdated': False},
           {'project_id': 'no-such'}, {'type': 'gadget'}, {'type': 'workflow'}]


@pytest.mark.parametrize('wanted', FILTERS, ids=repr)
def test_filters_combine_and_are_counted(house, wanted):
    one, model = house
    expected = model.where(**wanted)
    for limit in (1, 7, 500) if len(expected) < 50 else (50, 500):
        assert ids(one.listed('/artifacts', limit=limit, **wanted)) == ids(expected)
    for skip in (0, 1, len(expected) // 2, len(expected), len(expected) + 1):
        page = one.get(ARTIFACTS, params=dict(wanted, skip=skip, limit=10)).json()
        assert ids(page['items']) == ids(expected[skip:skip + 10])
        assert (page['total'], page['skip'], page['limit']) == (len(expected), skip, 10)


@pytest.mark.parametrize('text, meant', [(text, True) for text in ('true', 'TRUE', '1', 't', 'y', 'yes', 'on', 'On')] +
                         [(text, False) for text in ('false', '0', 'f', 'n', 'no', 'off', 'OFF')])
def test_booleans_have_many_spellings(house, text, meant):
    one, model = house
    assert one.get(ARTIFACTS, params={'is_outdated': text}).json()['total'] == len(model.where(is_outdated=meant))


@pytest.mark.parametrize('kind', ['mcp', 'MCP', 'mcp_server', 'mcp-server'])
def test_mcp_servers_are_found_under_each_of_their_names(house, kind):
    one, model = house
    assert one.get(ARTIFACTS, params={'type': kind}).json()['total'] == len(model.where(type='mcp'))


def test_texts_of_any_length_come_whole(larder):
    one = larder()
    rows = [{'name': letter * length, 'type': 'skill', 'deployed_version': '1.%s' % ('0' * length), 'upstream_version':
             '2.0.0-%s' % ('x' * zeros)} for letter in 'aö🚀' for length in (1, 60, 115, 120, 197) for zeros in (0, 190)]
    unique = {row['name']: row for row in rows}
    one.report('p' * 200, list(unique.values()), name='Ñ' * 200)
    for wanted in ({}, {'type': 'skill'}, {'project_id': 'p' * 200}):
        got = one.listed('/artifacts', **wanted)
        assert {row['name'] for row in got} == set(unique)
        heads = [row['name'].casefold().encode()[:230] for row in got]      # so much of a name counts where they are sorted
        assert heads == sorted(heads)
        for row in got:
            want = unique[row['name']]
            assert all(row[name] == want[name] for name in want) and row['project_id'] == 'p' * 200
    for sort_by in ('name', 'project', 'version_diff'):
        got = one.listed('/stale-artifacts', sort_by=sort_by)
        assert sorted(row['id'] for row in got) == sorted(row['id'] for row in one.listed('/artifacts', is_outdated=True))
        assert all(row['project_name'] == 'Ñ' * 200 for row in got)


def test_an_empty_filter_is_none(house):
    one, model = house
    assert one.get(ARTIFACTS + '?project_id=&type=&is_outdated=&cursor=').json()['total'] == len(model.rows)


# ---- what is outdated --------------------------------------------------------------------------
DIFFERENCE = {(deployed, upstream): (text, rank) for deployed, upstream, text, rank in VERSIONS}


def rank(row):
    return DIFFERENCE[row['deployed_version'], row['upstream_version']][1]


def test_stale_items_are_as_the_spec_prints_them(house):
    one, model = house
    page = one.get(STALE).json()
    assert set(page) == {'items', 'total', 'next_cursor'}
    assert page['total'] == len(model.where(is_outdated=True))
    for row in page['items']:
        assert set(row) == {'id', 'name', 'type', 'project_name', 'project_id', 'deployed_version', 'upstream_version',
                            'version_difference'}
        assert row['project_name'] == model.names[row['project_id']]
        assert row['version_difference'] == DIFFERENCE[row['deployed_version'], row['upstream_version']][0]


@pytest.mark.parametrize('order', ['asc', 'desc'])
@pytest.mark.parametrize('sort_by', ['name', 'type', 'project', 'version_diff'])
@pytest.mark.parametrize('wanted', [{}, {'type': 'skill'}, {'project_id': 'proj-03'}], ids=repr)
def test_stale_artifacts_are_sorted(house, sort_by, order, wanted):
    one, model = house
    rows = model.where(is_outdated=True, **wanted)
    if order == 'desc' and sort_by == 'name':
        rows = rows[::-1]
    else:
        key = {'name': lambda row: row['name'].casefold().encode(), 'type': lambda row: row['type'], 'version_diff': rank,
               'project': lambda row: model.names[row['project_id']].casefold().encode()}[sort_by]
        rows.sort(key=key, reverse=order == 'desc')          # stable: ties stay by name, then id
    params = dict(wanted, sort_by=sort_by, sort_order=order)
    got = one.listed('/stale-artifacts', limit=50, **params)
    assert sorted(ids(got)) == sorted(ids(rows))
    assert ids(got) == ids(rows)
    at = len(rows) // 3
    page = one.get(STALE, params=dict(params, skip=at, limit=5)).json()
    assert ids(page['items']) == ids(got[at:at + 5]) and page['total'] == len(rows)


def test_a_bad_sort_is_400_and_says_what_there_is(house):
    one, _ = house
    reply = one.get(STALE, params={'sort_by': 'invalid_field'})
    assert reply.status == 400
    assert reply.json() == {
        'detail': 'Invalid sort_by field: invalid_field. Valid options: name, type, project, version_diff'}
    assert one.get(STALE, params={'sort_by': 'x', 'project_id': 'no-such'}).status == 400
    assert one.get(STALE, params={'sort_order': 'down'}).status == 400


def test_what_can_be_chosen_fits_in_any_case(house):
    one, _ = house
    for path, lower, other in ((STALE, 'sort_order=desc', 'sort_order=DESC'), (STALE, 'sort_by=type', 'sort_by=Type'),
                               (CACHE + '/projects', 'status=active', 'status=Active')):
        assert one.get(path + '?' + other).json() == one.get(path + '?' + lower).json()
    assert one.get(STALE + '?sort_order=Desc').json() != one.get(STALE).json()


# ---- search ------------------------------------------------------------------------------------
def found(one, query, **params):
    rows, skip = [], 0
    while True:
        page = one.get(SEARCH, params=dict(params, query=query, limit=200, skip=skip)).json()
        rows += page['items']
        skip += 200
        if skip >= page['total']:
            assert len(rows) == page['total']
            return rows


def score(name, query):
    name, query = name.casefold(), query.casefold()
    return 100.0 if name == query else 80.0 if name.startswith(query) else 60.0


@pytest.mark.parametrize('query', ['docker', 'DOCKER', 'o', 'compose', 'x1', 'nowhere'])
@pytest.mark.parametrize('wanted', [{}, {'type': 'skill'}, {'project_id': 'proj-04'}, {'project_id': 'nobody'},
                                    {'project_id': 'proj-04', 'type': 'agent'}], ids=repr)
def test_search_finds_what_is_deployed(house, query, wanted):
    one, model = house
    rows = [row for row in model.where(**wanted) if query.casefold() in row['name'].casefold()]
    rows.sort(key=lambda row: (-score(row['name'], query), row['name'].encode(), row['id']))
    got = found(one, query, **wanted)
    assert ids(got) == ids(rows)
    for row, want in zip(got, rows):
        assert (row['project_id'], row['project_name']) == (want['project_id'], model.names[want['project_id']])
        assert row['score'] == score(row['name'], query) and row['type'] == want['type']
        assert row['source_id'] is None and row['url'] is None


def test_search_orders(house):
    one, model = house
    rows = [row for row in model.where() if 'docker' in row['name'].lower()]
    rows.sort(key=lambda row: (row['name'].encode(), row['id']))  # search doesn't fold what it sorts
    assert ids(found(one, 'docker', sort_by='name')) == ids(rows)
    assert ids(found(one, 'docker', sort_by='type')) == ids(sorted(rows, key=lambda row: row['type']))
    assert sorted(ids(found(one, 'docker', sort_by='updated'))) == sorted(ids(rows))


def test_search_covers_projects_and_sources(larder, github):
    one = larder()
    source = one.create(github.add(repos.skills_repo()))
    entry = one.artifacts(source['id'])[0]
    one.report('proj-1', [(entry['name'], '1.0.0')], name='My Project')
    until(lambda: one.search(entry['name'])['total'] == 2, 'both')
    rows = {row['id']: row for row in one.search(entry['name'])['items']}
    assert rows[entry['id']]['source_id'] == source['id'] and rows[entry['id']]['project_id'] is None
    assert rows[entry['id']]['url'] == entry['upstream_url']
    other = [row for row in rows.values() if row['id'] != entry['id']][0]
    assert (other['project_id'], other['project_name'], other['source_id']) == ('proj-1', 'My Project', None)
    assert one.search(entry['name'], project_id='proj-1')['total'] == 1
    one.restart()
    assert one.search(entry['name'])['total'] == 2
    assert one.search(entry['name'], project_id='proj-1')['total'] == 1


# ---- figures and tags --------------------------------------------------------------------------
def test_the_figures_are_exact(house):
    one, model = house
    status = one.get(CACHE + '/status').json()
    assert status['total_projects'] == len(model.names) and status['total_artifacts'] == len(model.rows)
    assert status['outdated_artifacts'] == len(model.where(is_outdated=True))
    assert status['stale_projects'] == 0 and status['total_sources'] == 0
    assert status['refresh_job_status']['is_running'] is True
    for time in (status['oldest_entry'], status['newest_entry'], status['last_refresh'],
                 status['refresh_job_status']['next_run_time']):
        assert time.endswith('Z') and 'T' in time
    assert status['oldest_entry'] <= status['newest_entry']


def test_lists_have_tags_that_change_with_them(house):
    one, _ = house
    for path in (ARTIFACTS, STALE + '?sort_by=type', SEARCH + '?query=canvas'):
        tag = one.get(path).headers['etag']
        assert one.get(path, headers={'If-None-Match': tag}).status == 304
    tag = one.get(ARTIFACTS).headers['etag']
    one.report('passing', [('visitor', '1.0.0')])
    assert one.get(ARTIFACTS, headers={'If-None-Match': tag}).status == 200
    assert one.delete(CACHE + '/projects/passing').status == 204


# ---- parameters out of bounds ------------------------------------------------------------------
LISTS = {CACHE + '/projects': 500, ARTIFACTS: 500, STALE: 500, SEARCH + '?query=a': 200, CACHE + '/marketplace': 500}
BAD_NUMBERS = ['', '-1', '1.5', 'ten', '1e3', '%205', '0x10', '99999999999999999999', '%FF', '1%00', '+1', '--1']


def bad(path, query):
    return path + ('&' if '?' in path else '?') + query


def queries():
    for path, most in LISTS.items():
        for name, more in (('skip', ['2147483648']), ('limit', ['0', str(most + 1)])):
            for value in BAD_NUMBERS + more:
                yield bad(path, '%s=%s' % (name, value)), name
            yield bad(path, '%s=1&%s=2' % (name, name)), name
            yield bad(path, '%s=%s' % (name, '1' * 3000)), name
    for path, names in ((CACHE + '/projects', ['status', 'cursor']), (STALE, ['type', 'project_id', 'sort_by', 'sort_order', 'cursor']),
                        (ARTIFACTS, ['type', 'project_id', 'is_outdated', 'cursor']),
                        (CACHE + '/marketplace', ['type', 'cursor']),
                        (SEARCH + '?query=a', ['type', 'project_id', 'sort_by', 'cursor'])):
        for name in names:
            yield bad(path, '%s=a&%s=a' % (name, name)), name
            for value in ('%FF%FE', '%C3', '%zz', '%'):
                yield bad(path, '%s=%s' % (name, value)), name
            yield bad(path, '%s=%s' % (name, 'x' * 3000)), name
    for path in LISTS:
        for value in ('x', '!', 'AAAA', '%00', 'a+b', 'zzzzzzzzzzzzzzzz'):
            yield bad(path, 'cursor=' + value), 'cursor'
    for value in ('2', 'maybe', 'tru', '%00', 'null'):
        yield bad(ARTIFACTS, 'is_outdated=' + value), 'is_outdated'
    yield CACHE + '/projects?status=sleepy', 'status'
    yield SEARCH, 'query'
    yield SEARCH + '?query=', 'query'
    yield SEARCH + '?query=' + 'x' * 201, 'query'
    yield SEARCH + '?query=a&query=b', 'query'
    yield SEARCH + '?query=a&sort_by=age', 'sort_by'


BAD = list(queries())


@pytest.mark.parametrize('start', range(0, len(BAD), 20))
def test_bad_parameters_are_400_named_and_disturb_nobody(house, start):
    one, _ = house
    with one.wire() as wire:
        for path, name in BAD[start:start + 20]:
            reply = one.get(path, wire=wire)
            assert reply.status == 400, (path[:100], reply.status, reply.body[:200])
            assert name in reply.detail, (path[:100], reply.detail)
            assert set(reply.json()) == {'detail'} and 'x-ratelimit-limit' not in reply.headers
            assert one.get(CACHE + '/status', wire=wire).status == 200


@pytest.mark.parametrize('path', [ARTIFACTS + '?type=', STALE + '?project_id=', CACHE + '/projects?cursor=', SEARCH + '?query=',
                                  CACHE + '/projects/'])
def test_a_megabyte_of_a_parameter_is_refused(house, path):
    one, _ = house
    with one.wire() as wire:
        wire.send(request('GET', path + 'x' * 1000000, {'Authorization': 'Bearer ' + one.key}))
        reply = wire.reply()
        assert reply.status in (414, 431) and reply.detail
    assert one.get(ARTIFACTS).status == 200


def test_parameters_that_are_none_are_not_looked_at(house):
    one, model = house
    assert one.get(ARTIFACTS + '?unknown=1&unknown=%FE&&=&x').json()['total'] == len(model.rows)
