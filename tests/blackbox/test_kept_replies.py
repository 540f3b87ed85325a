"""Answers that the server gives again without making them anew: the same bytes, and never old ones."""
import pytest
import repos
from program import CACHE, SOURCES, until

STATUS = CACHE + '/status'
TIMES = 4                      # the first makes it, the second keeps it, the others get it again


@pytest.fixture
def repo(github):
    return github.add(repos.skills_repo(owner='kept'))


@pytest.fixture
def source(server, repo):
    return server.create(repo)


def again(server, path, **how):
    """The answer to all of `TIMES` requests, which must be one and the same."""
    replies = [server.get(path, **how) for _ in range(TIMES)]
    assert {(reply.status, reply.body, reply.headers.get('etag')) for reply in replies} == {
        (replies[0].status, replies[0].body, replies[0].headers.get('etag'))}
    assert len({reply.headers['x-request-id'] for reply in replies}) == TIMES
    return replies[0]


def test_the_same_question_gets_the_same_bytes(server, source):
    for path in ('%s/%s' % (SOURCES, source['id']), '%s/%s/artifacts?limit=2' % (SOURCES, source['id']),
                 SOURCES + '?limit=3', CACHE + '/marketplace?limit=5', CACHE + '/search?query=canvas'):
        first = again(server, path)
        assert first.status == 200 and first.headers['etag']
        head = server.request('HEAD', path)
        assert (head.status, head.body, head.headers['etag']) == (200, b'', first.headers['etag'])
        assert int(head.headers['content-length']) == len(first.body)
        for tag in (first.headers['etag'], '*'):
            assert server.get(path, headers={'If-None-Match': tag}).status == 304
        assert server.get(path, headers={'If-None-Match': '"other"'}).body == first.body


def test_the_figures_are_kept_while_they_are_true(larder):
    one = larder({'projects.ttl': '2s', 'projects.refresh_interval': '1h'})

    def figures(**wanted):
        """An answer with these figures, given TIMES times and then not again: what goes on meanwhile shows in them too."""
        replies = [one.get(STATUS) for _ in range(TIMES)]
        tags, told = {reply.headers['etag'] for reply in replies}, {reply.body for reply in replies}
        assert len(tags) >= len(told), 'one tag for two answers'
        again = one.get(STATUS, headers={'If-None-Match': replies[0].headers['etag']})
        return replies[0] if again.status == 304 and wanted.items() <= replies[0].json().items() else None
    one.report('proj-1', [('canvas', '1.0.0')])
    first = until(lambda: figures(stale_projects=0, total_artifacts=1), 'the report to show')
    second = until(lambda: figures(stale_projects=1), 'time alone to make it stale')
    assert one.get(STATUS, headers={'If-None-Match': first.headers['etag']}).status == 200
    one.report('proj-1', [('canvas', '1.0.0'), ('docker', '1.0.0')])
    third = until(lambda: figures(stale_projects=0, total_artifacts=2), 'the next report to show')
    assert len({first.headers['etag'], second.headers['etag'], third.headers['etag']}) == 3


def test_a_change_shows_at_once(server, source):
    path = '%s/%s' % (SOURCES, source['id'])
    for words in ('one', 'two', 'three'):
        changed = server.patch(path, {'description': words})
        assert changed.status == 200
        assert again(server, path).json() == changed.json()


def test_a_scan_shows_in_every_list(server, repo, source):
    listed, searched = '%s/%s/artifacts' % (SOURCES, source['id']), CACHE + '/search?query=slides'
    before = again(server, listed), again(server, searched)
    repo.advance()
    server.rescan(source['id'])
    after = again(server, listed)
    assert after.headers['etag'] != before[0].headers['etag']
    assert {row['name']: row['status'] for row in after.json()['items']}['sheets'] == 'removed'

    def found(reply):
        return {row['id'] for row in reply.json()['items'] if row['source_id'] == source['id']}
    assert not found(before[1]) and len(found(again(server, searched))) == 1


def test_what_is_gone_is_not_given_again(server, source):
    path = '%s/%s' % (SOURCES, source['id'])
    assert again(server, path).status == 200
    assert server.delete(path).status == 204
    assert again(server, path).status == 404


def test_a_kept_answer_still_needs_a_key(server, source):
    path = CACHE + '/search?query=pdf'
    assert again(server, path).status == 200
    assert server.get(path, key=None).status == 401
    assert server.get(path, key='wrong').status == 401


def test_a_kept_answer_is_compressed_for_those_who_take_that(server, source):
    path = CACHE + '/marketplace?limit=500'
    plain = again(server, path)
    packed = [server.get(path, headers={'Accept-Encoding': 'gzip'}) for _ in range(TIMES)]
    assert all(reply.headers.get('content-encoding') == 'gzip' for reply in packed)
    assert len(packed[0].body) < len(plain.body)
