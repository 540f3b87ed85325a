"""GET /cache/marketplace and /cache/status: the catalogues of all sources, as the artifact cache shows them."""
import re

import pytest
import repos
from program import CACHE, SOURCES

PATH = CACHE + '/marketplace'
STATUS = CACHE + '/status'


@pytest.fixture
def stall(larder, github):
    """A server with two sources; (server, sources)."""
    one = larder()
    return one, [one.create(github.add(make())) for make in (repos.skills_repo, repos.plugin_repo)]


def test_every_entry_is_there(stall):
    one, sources = stall
    page = one.get(PATH).json()
    entries = {row['id']: row for source in sources for row in one.artifacts(source['id'])}
    assert page['total'] == len(entries) == 13 and (page['skip'], page['limit']) == (0, 100)
    assert {row['id'] for row in page['items']} == set(entries)
    for row in page['items']:
        entry = entries[row['id']]
        assert (row['name'], row['type'], row['url']) == (entry['name'], entry['artifact_type'], entry['upstream_url'])
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', row['cached_at'])
        assert {'publisher', 'license', 'tags', 'version'} <= row['data'].keys()
        assert row['data']['publisher'] == 'acme' and isinstance(row['data']['tags'], list)


def test_pages_join_and_the_order_is_by_name_then_id(stall):
    one, _ = stall
    rows = []
    for skip in range(0, 20, 4):
        page = one.get(PATH, params={'skip': skip, 'limit': 4}).json()
        assert page['total'] == 13 and (page['skip'], page['limit']) == (skip, 4)
        rows += [row['id'] for row in page['items']]
    whole = one.get(PATH).json()['items']
    assert rows == [row['id'] for row in whole] and len(set(rows)) == 13
    assert [(r['name'], r['id']) for r in whole] == sorted((r['name'], r['id']) for r in whole)


@pytest.mark.parametrize('wanted', [{}, {'type': 'skill'}], ids=repr)
def test_cursors_walk_the_list_also_while_entries_go(stall, wanted):
    one, sources = stall
    whole = one.get(PATH, params=wanted).json()['items']
    for limit in (1, 2, len(whole)):
        assert one.listed('/marketplace', limit=limit, **wanted) == whole
    first = one.get(PATH, params=dict(wanted, limit=2)).json()
    gone = first['items'][-1]['data']['source_id']           # the cursor names an entry of it
    assert one.delete('%s/%s' % (SOURCES, gone)).status == 204
    rest = one.get(PATH, params=dict(wanted, cursor=first['next_cursor'])).json()
    assert rest['items'] == [row for row in whole[2:] if row['data']['source_id'] != gone]
    assert rest['next_cursor'] is None and gone in [source['id'] for source in sources]


def test_a_cursor_is_of_its_own_list(stall):
    one, _ = stall
    of_all = one.get(PATH, params={'limit': 1}).json()['next_cursor']
    of_skills = one.get(PATH, params={'limit': 1, 'type': 'skill'}).json()['next_cursor']
    for params in ({'type': 'skill', 'cursor': of_all}, {'cursor': of_skills}, {'type': 'agent', 'cursor': of_skills}):
        reply = one.get(PATH, params=params)
        assert reply.status == 400 and reply.detail == 'Invalid cursor: not the next_cursor of a page of this list'


def test_the_type_filter_counts_what_it_shows(stall):
    one, sources = stall
    for kind in ('skill', 'command', 'agent', 'hook', 'composite', 'nothing'):
        page = one.get(PATH, params={'type': kind}).json()
        expected = sum(source['counts_by_type'].get(kind, 0) for source in sources)
        assert page['total'] == len(page['items']) == expected
        assert {row['type'] for row in page['items']} <= {kind}
    for kind in ('mcp', 'mcp_server', 'mcp-server'):
        assert one.get(PATH, params={'type': kind}).json()['total'] == 1


def test_it_follows_rescan_and_delete(stall, github):
    one, sources = stall
    assert one.delete('%s/%s' % (SOURCES, sources[1]['id'])).status == 204
    page = one.get(PATH).json()
    assert page['total'] == 3 and {row['name'] for row in page['items']} == {'pdf', 'sheets', 'canvas'}


@pytest.mark.parametrize('params, words', [
    ({'limit': 0}, ['limit', '0', '1', '500']), ({'limit': 501}, ['limit', '501', '500']),
    ({'limit': 'all'}, ['limit', 'all']), ({'skip': -1}, ['skip', '-1']), ({'skip': 'x'}, ['skip', 'x'])], ids=repr)
def test_bad_parameters_are_400_and_named(server, params, words):
    reply = server.get(PATH, params=params)
    assert reply.status == 400
    for word in words:
        assert word in reply.detail, reply.detail


def test_an_empty_store_has_an_empty_market(larder):
    one = larder()
    assert one.get(PATH).json() == {'items': [], 'total': 0, 'skip': 0, 'limit': 100, 'next_cursor': None}
    status = one.get(STATUS).json()
    assert status['total_artifacts'] == 0 and status['total_projects'] == 0


def test_a_skip_beyond_the_end_is_an_empty_page(stall):
    one, _ = stall
    page = one.get(PATH, params={'skip': 1000000}).json()
    assert page['items'] == [] and page['total'] == 13


def test_status_has_the_spec_s_fields(stall):
    one, _ = stall
    status = one.get(STATUS).json()
    for name in ('total_projects', 'total_artifacts', 'stale_projects', 'outdated_artifacts', 'cache_size_bytes'):
        assert isinstance(status[name], int) and status[name] >= 0, name
    assert {'oldest_entry', 'newest_entry', 'last_refresh'} <= status.keys()
    assert {'is_running', 'next_run_time', 'last_run_time'} <= status['refresh_job_status'].keys()
    assert status['cache_size_bytes'] > 0
