"""Listing sources, and listing the entries of one: filters, order, pages, totals."""
import itertools

import pytest
import repos
from program import SOURCES

TYPES = ('skill', 'command', 'agent', 'mcp', 'hook', 'composite')


def pages(server, path, **params):
    """All pages of a list, one after the other."""
    while True:
        reply = server.get(path, params=params)
        assert reply.status == 200, reply.body
        page = reply.json()
        yield page
        info = page['page_info']
        ids = [row['id'] for row in page['items']]
        assert (info['start_cursor'], info['end_cursor']) == ((ids[0], ids[-1]) if ids else (None, None))
        if not info['has_next_page']:
            return
        params['cursor'] = info['end_cursor']


def all_items(server, path, **params):
    return [row for page in pages(server, path, **params) for row in page['items']]


@pytest.fixture(scope='module')
def shelf(session_server, session_github):
    """Twelve sources of a run of their own, told apart from all others by the tag `shelf`."""
    made = {}
    for i in range(12):
        make = (repos.skills_repo, repos.flat_repo, repos.plugin_repo)[i % 3]
        repo = session_github.add(make(owner='shelf%d' % (i % 2), name=repos.unique('Book')))
        fields = {'tags': ['shelf'] + ['even'] * (i % 2 == 0) + ['third'] * (i % 3 == 0),
                  'trust_level': ('basic', 'verified', 'official', 'untrusted')[i % 4],
                  'description': 'Volume %s of the Encyclopædia' % 'abcdefghijkl'[i]}
        source = session_server.create(repo, **fields)
        assert source['scan_status'] == 'success'
        made[source['id']] = source
    return made


def ids_where(shelf, test):
    return sorted(source_id for source_id, source in shelf.items() if test(source))


# ---- sources -----------------------------------------------------------------------------------
FILTERS = {
    'tags=even': lambda s: 'even' in s['tags'],
    'tags=EVEN&tags=Third': lambda s: {'even', 'third'} <= set(s['tags']),
    'tags=nobody': lambda s: False,
    'trust_level=verified': lambda s: s['trust_level'] == 'verified',
    'trust_level=VERIFIED': lambda s: s['trust_level'] == 'verified',
    'artifact_type=skill': lambda s: 'skill' in s['counts_by_type'],
    'artifact_type=COMMAND': lambda s: 'command' in s['counts_by_type'],
    'artifact_type=mcp': lambda s: 'mcp' in s['counts_by_type'],
    'artifact_type=mcp-server': lambda s: 'mcp' in s['counts_by_type'],
    'artifact_type=mcp_server': lambda s: 'mcp' in s['counts_by_type'],
    'artifact_type=nothing': lambda s: False,
    'search=book': lambda s: True,
    'search=VOLUME+c': lambda s: 'Volume c' in s['description'],
    'search=encyclop%C3%86dia': lambda s: True,
    'search=third': lambda s: 'third' in s['tags'],
    'search=no+such+words': lambda s: False,
    'search=%25': lambda s: False,
    'search=_olume': lambda s: False,
    'artifact_type=skill&tags=even&trust_level=basic': lambda s: (
        'skill' in s['counts_by_type'] and 'even' in s['tags'] and s['trust_level'] == 'basic'),
    'artifact_type=&trust_level=&search=': lambda s: True,
}


@pytest.mark.parametrize('query', FILTERS)
def test_filters_are_anded_and_counted(server, shelf, query):
    expected = ids_where(shelf, FILTERS[query])
    page = server.get('%s?tags=shelf&limit=100&%s' % (SOURCES, query)).json()
    assert [row['id'] for row in page['items']] == expected
    assert page['page_info']['total_count'] == len(expected)


def test_listed_sources_are_those_that_get_shows(server, shelf):
    for row in all_items(server, SOURCES, tags='shelf'):
        assert row == server.source(row['id'])


@pytest.mark.parametrize('size', [1, 2, 5, 11, 12, 13])
def test_pages_of_a_filtered_list_join_without_gap_or_overlap(server, shelf, size):
    got = list(pages(server, SOURCES, tags='shelf', limit=size))
    ids = [row['id'] for page in got for row in page['items']]
    assert ids == sorted(shelf) and len(got) == -(-12 // size)
    assert all(page['page_info']['total_count'] == 12 for page in got)
    assert [page['page_info']['has_previous_page'] for page in got] == [False] + [True] * (len(got) - 1)


def test_the_unfiltered_list_pages_by_id(server, shelf):
    ids = [row['id'] for row in all_items(server, SOURCES, limit=3)]
    assert ids == sorted(ids) and len(set(ids)) == len(ids) and set(shelf) <= set(ids)


def test_the_default_page_has_fifty(larder, github):
    one = larder({'github.api_url': 'https://localhost:1'})
    for i in range(53):
        reply = one.post(SOURCES, {'repo_url': 'https://github.com/acme/default-%02d' % i})
        assert reply.status == 201
    first = one.get(SOURCES).json()
    assert len(first['items']) == 50 and first['page_info']['has_next_page'] is True
    rest = one.get(SOURCES, params={'cursor': first['page_info']['end_cursor']}).json()
    assert len(rest['items']) == 3 and rest['page_info']['has_next_page'] is False


@pytest.mark.parametrize('limit', ['0', '-1', '101', 'ten', '1.5', '99999999999999999999', '1e1', ' 5'])
def test_a_bad_limit_is_refused(server, limit):
    for path in (SOURCES, SOURCES + '/src_no_such/artifacts'):
        reply = server.get(path, params={'limit': limit})
        assert reply.status in (400, 422) and 'limit' in reply.detail


def test_a_cursor_that_is_no_longer_there_goes_on_behind_its_place(server, shelf):
    ids = sorted(shelf)
    page = server.get(SOURCES, params={'tags': 'shelf', 'cursor': ids[4] + '!', 'limit': 100}).json()
    assert [row['id'] for row in page['items']] == ids[5:]
    page = server.get(SOURCES, params={'tags': 'shelf', 'cursor': 'zzz', 'limit': 100}).json()
    assert page['items'] == [] and page['page_info']['has_next_page'] is False


def test_an_empty_cursor_is_the_beginning(server, shelf):
    page = server.get(SOURCES + '?tags=shelf&cursor=').json()
    assert [row['id'] for row in page['items']] == sorted(shelf)


def test_a_deleted_source_does_not_break_the_walk(server, github):
    tag = repos.unique('walk')
    made = [server.create(github.add(repos.skills_repo()), tags=[tag])['id'] for _ in range(4)]
    made.sort()
    first = server.get(SOURCES, params={'tags': tag, 'limit': 2}).json()
    assert [row['id'] for row in first['items']] == made[:2]
    server.delete('%s/%s' % (SOURCES, made[1]))
    rest = server.get(SOURCES, params={'tags': tag, 'limit': 2, 'cursor': made[1]}).json()
    assert [row['id'] for row in rest['items']] == made[2:]


# ---- entries of one source ---------------------------------------------------------------------
@pytest.fixture(scope='module')
def plugin(session_server, session_github):
    repo = session_github.add(repos.plugin_repo())
    source = session_server.create(repo)
    assert source['scan_status'] == 'success'
    return source


@pytest.fixture
def entries(server, plugin):
    return server.artifacts(plugin['id'])


def path_of(source):
    return '%s/%s/artifacts' % (SOURCES, source['id'])


def test_an_entry_says_what_and_where(server, plugin, entries):
    assert len(entries) == plugin['artifact_count'] == 10
    for row in entries:
        assert row['source_id'] == plugin['id'] and row['artifact_type'] in TYPES
        assert row['upstream_url'] == '%s/tree/main/%s' % (plugin['repo_url'], row['path'])
        assert 0 < row['confidence_score'] <= 100 and row['status'] in ('new', 'updated')
        assert {'detected_version', 'detected_sha', 'detected_at', 'id', 'name'} <= row.keys()
    assert len({row['id'] for row in entries}) == 10
    assert {(r['artifact_type'], r['name'], r['path']) for r in entries} == repos.plugin_repo().head.expected


def test_entries_start_with_the_most_certain(entries):
    scores = [row['confidence_score'] for row in entries]
    assert scores == sorted(scores, reverse=True) and scores[0] == 98


ENTRY_FILTERS = {
    'artifact_type=command': lambda r: r['artifact_type'] == 'command',
    'artifact_type=mcp_server': lambda r: r['artifact_type'] == 'mcp',
    'artifact_type=nothing': lambda r: False,
    'min_confidence=70': lambda r: r['confidence_score'] >= 70,
    'max_confidence=69': lambda r: r['confidence_score'] <= 69,
    'min_confidence=41&max_confidence=75': lambda r: 41 <= r['confidence_score'] <= 75,
    'search=DEPLOY': lambda r: 'deploy' in r['name'],
    'search=%25': lambda r: False,
    'status=removed': lambda r: False,
    'artifact_type=agent&search=e&min_confidence=50': lambda r: (
        r['artifact_type'] == 'agent' and 'e' in r['name'] and r['confidence_score'] >= 50),
}


@pytest.mark.parametrize('query', ENTRY_FILTERS)
def test_entry_filters_are_anded_and_counted(server, plugin, entries, query):
    expected = [row['id'] for row in entries if ENTRY_FILTERS[query](row)]
    page = server.get('%s?limit=100&%s' % (path_of(plugin), query)).json()
    assert sorted(row['id'] for row in page['items']) == sorted(expected)
    assert page['page_info']['total_count'] == len(expected)


@pytest.mark.parametrize('key, order', itertools.product(['confidence', 'name', 'date'], ['asc', 'desc']))
def test_entries_sort_and_page(server, plugin, entries, key, order):
    member = {'confidence': 'confidence_score', 'name': 'name', 'date': 'detected_at'}[key]
    rows = all_items(server, path_of(plugin), sort_by=key, sort_order=order, limit=3)
    values = [row[member] for row in rows]
    assert values == sorted(values, reverse=order == 'desc')
    assert {row['id'] for row in rows} == {row['id'] for row in entries} and len(rows) == 10


def test_counts_go_with_the_list(server, plugin):
    page = server.get(path_of(plugin)).json()
    assert page['counts_by_type'] == plugin['counts_by_type']
    assert sum(page['counts_by_status'].values()) == 10


@pytest.mark.parametrize('query', ['sort_by=size', 'sort_order=up', 'min_confidence=101', 'max_confidence=-1',
                                   'min_confidence=x', 'status=perhaps', 'limit=0', 'limit=101'])
def test_bad_parameters_of_the_entries_are_refused(server, plugin, query):
    reply = server.get('%s?%s' % (path_of(plugin), query))
    assert reply.status in (400, 422) and query.partition('=')[0] in reply.detail
