"""Search over the names of all entries, compared with a plain model of what the spec says."""
import random
import unicodedata

import pytest
import repos
from program import CACHE, SOURCES, Larder, asking, until

PATH = CACHE + '/search'
STEMS = ['pdf', 'code', 'review', 'deploy', 'docker', 'test', 'api', 'lint', 'git', 'docs', 'data', 'a', 'ab', 'abc']


def model(names, query, skip=0, limit=50):
    """(total, the page) of [(name, id)] by relevance."""
    def score(name):
        low, q = name.lower(), query.lower()
        return 100.0 if low == q else 80.0 if low.startswith(q) else 60.0 if q in low else None
    hits = sorted((-score(name), name, entry_id) for name, entry_id in names if score(name))
    return len(hits), [(name, entry_id, -minus) for minus, name, entry_id in hits[skip:skip + limit]]


def got(page):
    return page['total'], [(row['name'], row['id'], row['score']) for row in page['items']]


@pytest.fixture(scope='module')
def reading_room(session_github, tmp_path_factory):
    server = Larder(tmp_path_factory.mktemp('library'), asking(session_github)).start()
    yield server
    server.stop()


@pytest.fixture(scope='module')
def library(reading_room, session_github):
    """A server of its own with some two thousand names; (server, [(name, id)], {id: entry})."""
    rng, server = random.Random(4711), reading_room
    entries = {}
    for folder, count in (('commands', 1200), ('agents', 500), ('commands', 300)):
        names = set()
        while len(names) < count:
            names.add('-'.join(rng.choice(STEMS) for _ in range(rng.randint(1, 4))) +
                      rng.choice(['', '', '%d' % rng.randint(0, 99), '_x', '%', '.v2']))
        repo = session_github.add(repos.commands_repo(sorted(names), folder=folder))
        source = server.create(repo)
        assert source['scan_status'] == 'success' and source['artifact_count'] == count, source
        entries.update({row['id']: row for row in server.artifacts(source['id'])})
    return server, [(row['name'], row['id']) for row in entries.values()], entries


QUERIES = ['pdf', 'PDF', 'pdf-code', 'a', 'ab', 'abc', 'e', '-', '%', '_', '_x', '9', '99', 'code-review', '.v2', 'v2',
           'review-', '-review', 'zzz', 'pdf-pdf-pdf-pdf', 'Deploy', 'dock', 'docker', 'ock', 'x' * 200, 'p%f', 'p_f',
           '\\', "'", '"', '*', '(', 'a b']


@pytest.mark.parametrize('query', QUERIES, ids=lambda q: q[:12])
def test_search_agrees_with_the_model(library, query):
    server, names, _ = library
    assert got(server.search(query)) == model(names, query)
    page = server.search(query, skip=3, limit=7)
    assert got(page) == model(names, query, 3, 7)
    assert (page['query'], page['skip'], page['limit']) == (query, 3, 7)


def test_random_queries_agree_with_the_model(library):
    server, names, _ = library
    rng = random.Random(11)
    for _ in range(150):
        name = rng.choice(names)[0]
        at = rng.randrange(len(name))
        query = name[at:at + rng.randint(1, 8)]
        skip, limit = rng.choice([0, 0, 5, 100, 5000]), rng.choice([1, 10, 200])
        assert got(server.search(query, skip=skip, limit=limit)) == model(names, query, skip, limit), query


def test_pages_join_without_gap_or_overlap(library):
    server, names, _ = library
    rows, skip = [], 0
    while True:
        page = server.search('a', skip=skip, limit=37)
        rows += got(page)[1]
        skip += 37
        if skip >= page['total']:
            break
    assert rows == model(names, 'a', 0, 1 << 30)[1]


@pytest.mark.parametrize('sort_by', ['relevance', 'name', 'type', 'updated'])
@pytest.mark.parametrize('wanted', [{}, {'type': 'agent'}], ids=repr)
def test_cursors_walk_the_same_list_as_skips(library, sort_by, wanted):
    server, _, _ = library
    by_skip, skip = [], 0
    while len(by_skip) < server.search('code', sort_by=sort_by, **wanted)['total']:
        by_skip += server.search('code', sort_by=sort_by, skip=skip, limit=200, **wanted)['items']
        skip += 200
    for limit in (1, 29, 200) if wanted else (29, 200):
        assert server.listed('/search', query='code', sort_by=sort_by, limit=limit, **wanted) == by_skip


def test_a_cursor_goes_on_behind_an_item_that_has_gone(larder):
    one = larder()
    names = ['same', 'same-%s' % ('x' * 180), 'also-same', 'Ähnlich-same'] + ['same-%02d' % i for i in range(40)]
    for project in ('one', 'two', 'three'):
        one.report(project, [(name, '1.0.0') for name in names])
    until(lambda: one.search('same')['total'] == 3 * len(names), 'all')
    for sort_by in ('relevance', 'name', 'type', 'updated'):
        seen, cursor, gone = [], None, 0
        while True:
            page = one.search('same', sort_by=sort_by, limit=7, **({'cursor': cursor} if cursor else {}))
            seen += [row['id'] for row in page['items']]
            cursor = page['next_cursor']
            if cursor is None:
                break
            last = page['items'][-1]
            if last['project_id'] == 'two' and not gone:      # the very item that the cursor names, and later ones
                one.report('two', [])
                gone = 3 * len(names)
                until(lambda: one.search('same')['total'] == 2 * len(names), 'fewer')
        assert gone and len(seen) == len(set(seen))
        stayed = {row['id'] for row in one.listed('/search', query='same', limit=200)}
        assert len(stayed) == 2 * len(names) and stayed <= set(seen), sort_by
        one.report('two', [(name, '1.0.0') for name in names])
        until(lambda: one.search('same')['total'] == 3 * len(names), 'all again')


def test_a_cursor_of_another_order_or_list_is_400(library):
    server, _, _ = library
    cursors = {sort_by: server.search('code', sort_by=sort_by, limit=2)['next_cursor']
               for sort_by in ('relevance', 'name', 'type', 'updated')}
    cursors['market'] = server.get(CACHE + '/marketplace', params={'limit': 2}).json()['next_cursor']
    for asked in ('relevance', 'name', 'type', 'updated'):
        for of, cursor in cursors.items():
            reply = server.get(PATH, params={'query': 'code', 'sort_by': asked, 'cursor': cursor})
            assert reply.status == (200 if of == asked else 400), (asked, of)
            assert of == asked or reply.detail == 'Invalid cursor: not the next_cursor of a page of this list'


def test_items_say_what_they_are(library):
    server, _, entries = library
    for row in server.search('review', limit=200)['items']:
        entry = entries[row['id']]
        assert (row['name'], row['type']) == (entry['name'], entry['artifact_type'])
        assert {'project_id', 'project_name'} <= row.keys()


def test_the_type_filter(library):
    server, names, entries = library
    for kind in ('agent', 'command', 'skill'):
        of_kind = [(name, entry_id) for name, entry_id in names if entries[entry_id]['artifact_type'] == kind]
        assert got(server.search('code', type=kind)) == model(of_kind, 'code')
    assert server.search('code', type='nothing')['total'] == 0


def test_other_orders(library):
    server, names, entries = library
    hits = [(name, entry_id) for name, entry_id in names if 'docker' in name]
    by_name = [row['id'] for row in server.search('docker', sort_by='name', limit=200)['items']]
    assert by_name == [entry_id for _, entry_id in sorted(hits)][:200]
    by_type = [row['id'] for row in server.search('docker', sort_by='type', limit=200)['items']]
    assert by_type == [i for _, _, i in sorted((entries[i]['artifact_type'], n, i) for n, i in hits)][:200]
    assert server.search('docker', sort_by='updated')['total'] == len(hits)


@pytest.mark.parametrize('params, words', [
    ({}, ['query']), ({'query': ''}, ['query']), ({'query': 'a', 'limit': 0}, ['limit', "0", '1', '200']),
    ({'query': 'a', 'limit': 201}, ['limit', '201', '200']), ({'query': 'a', 'limit': 'x'}, ['limit', 'x']),
    ({'query': 'a', 'skip': -1}, ['skip', '-1', '0']), ({'query': 'a', 'skip': '1e3'}, ['skip', '1e3']),
    ({'query': 'a', 'skip': '9' * 30}, ['skip']),
    ({'query': 'a', 'sort_by': 'size'}, ['sort_by', 'relevance', 'name', 'type', 'updated'])], ids=repr)
def test_bad_parameters_are_400_and_named(server, params, words):
    reply = server.get(PATH, params=params)
    assert reply.status == 400
    for word in words:
        assert word in reply.detail, reply.detail


@pytest.mark.parametrize('query', ['query=a&limit=10&limit=20', 'query=a&query=b'])
def test_repeated_parameters_are_refused_or_one_is_taken(server, query):
    assert server.get('%s?%s' % (PATH, query)).status in (200, 400)


@pytest.mark.parametrize('raw', ['%ff', '%c3', '%00', '%ed%a0%80', '%f5%80%80%80', 'a' * 10000, '%', '+', '%20'])
def test_odd_queries_break_nothing(server, raw):
    reply = server.get('%s?query=%s' % (PATH, raw), checked=False)
    assert reply.status in (200, 400, 414, 431)
    reply.json()


def test_letters_beyond_ascii_fold_too(larder, github):
    one = larder()
    one.create(github.add(repos.unicode_repo()))
    for query, name in (('überblick', 'Überblick'), ('ÜBER', 'Überblick'), ('日本', '日本語'), ('ÉMILE', 'émile🚀'),
                        ('🚀', 'émile🚀'), ('50%_OFF', '50%_off'), ('two words', 'two words')):
        page = one.search(query)
        assert [unicodedata.normalize('NFC', row['name']) for row in page['items']] == [name], query
    assert one.search('überblick')['items'][0]['score'] == 100.0


def test_search_follows_every_change(larder, github):
    one = larder()
    repo = github.add(repos.skills_repo())
    source = one.create(repo)

    def total(query):
        return one.search(query)['total']
    assert (total('sheets'), total('slides')) == (1, 0)
    repo.advance()
    one.rescan(source['id'])
    assert (total('sheets'), total('slides'), total('pdf')) == (0, 1, 1)
    one.restart()
    assert (total('sheets'), total('slides'), total('pdf')) == (0, 1, 1)
    other = one.create(github.add(repos.skills_repo()))
    assert total('pdf') == 2
    ids = [row['id'] for row in one.search('pdf')['items']]
    assert ids == sorted(ids)
    one.delete('%s/%s' % (SOURCES, source['id']))
    assert total('pdf') == 1
    one.delete('%s/%s' % (SOURCES, other['id']))
    assert one.search('pdf') == {'items': [], 'total': 0, 'query': 'pdf', 'skip': 0, 'limit': 50, 'next_cursor': None}
