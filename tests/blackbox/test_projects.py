"""Projects: reporting them, listing them, forgetting them; invalidation."""
import re
import threading
from urllib.parse import quote

import pytest
from program import CACHE, SOURCES, Larder, asking, until
from wire import request

PATH = CACHE + '/projects'
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$')
CANVAS = {'name': 'canvas', 'type': 'skill', 'deployed_version': '1.0.0', 'upstream_version': '1.2.0'}
DOCKER = {'name': 'docker', 'type': 'command', 'deployed_version': '2.0.0', 'upstream_version': '2.0.0'}
BODY = {'name': 'My Project', 'path': '/p/mine', 'artifacts': [CANVAS, DOCKER]}


@pytest.fixture(scope='module')
def shelf(session_github, tmp_path_factory):
    """A server of this file's own, so that lists and totals are known whole."""
    one = Larder(tmp_path_factory.mktemp('projects'), asking(session_github)).start()
    yield one
    one.stop()


@pytest.fixture
def one(shelf):
    yield shelf
    for row in shelf.listed('/projects'):
        assert shelf.delete('%s/%s' % (PATH, quote(row['id'], safe=''))).status == 204


def names(rows):
    return [row['name'] for row in rows]


# ---- reporting ---------------------------------------------------------------------------------
def test_a_report_makes_a_project(one):
    reply = one.put(PATH + '/proj-1', BODY)
    assert reply.status == 201
    project = reply.json()
    assert {'id': 'proj-1', 'name': 'My Project', 'path': '/p/mine', 'status': 'active',
            'artifact_count': 2, 'outdated_count': 1, 'origin': 'reported'}.items() <= project.items()
    assert TIME.match(project['last_fetched'])
    assert one.get(PATH + '/proj-1').json() == project
    assert one.get(PATH).json() == {'items': [project], 'total': 1, 'skip': 0, 'limit': 100, 'next_cursor': None}


def test_the_same_report_again_changes_nothing_but_when_it_was_learnt(one):
    first = one.put(PATH + '/proj-1', BODY)
    again = one.put(PATH + '/proj-1', BODY)
    assert (first.status, again.status) == (201, 200)
    same = {name for name in first.json() if name != 'last_fetched'}
    assert all(first.json()[name] == again.json()[name] for name in same)
    assert first.headers['etag'] == again.headers['etag']


def test_a_report_replaces_the_whole_content(one):
    one.report('proj-1', [CANVAS, DOCKER], name='Old')
    ids = {row['name']: row['id'] for row in one.listed('/artifacts')}
    project = one.report('proj-1', [dict(CANVAS, deployed_version='1.2.0'), {'name': 'new', 'type': 'agent'}], name='New')
    assert project['name'] == 'New' and project['artifact_count'] == 2 and project['outdated_count'] == 0
    rows = one.listed('/artifacts')
    assert names(rows) == ['canvas', 'new']
    assert rows[0]['id'] == ids['canvas'] and rows[0]['deployed_version'] == '1.2.0'
    assert one.search('docker')['total'] == 0


def test_an_empty_project_is_a_project(one):
    assert one.report('empty')['artifact_count'] == 0
    assert one.get(PATH).json()['total'] == 1


def test_two_artifacts_may_share_a_name_but_not_also_the_type(one):
    one.report('a', [CANVAS, dict(CANVAS, type='agent')])
    reply = one.put(PATH + '/b', {'name': 'b', 'path': '/b', 'artifacts': [CANVAS, DOCKER, CANVAS]})
    assert reply.status == 422 and 'canvas' in reply.detail and 'artifacts[' in reply.detail
    assert one.get(PATH + '/b').status == 404


def test_mcp_has_one_type_however_it_is_spelt(one):
    one.report('a', [{'name': str(i), 'type': kind} for i, kind in enumerate(('mcp', 'mcp_server', 'MCP-Server'))])
    assert {row['type'] for row in one.listed('/artifacts')} == {'mcp'}


IDS = ['proj-1', 'a b', 'a/b', '../..', '%', '%41', 'ünïcödé', '日本', 'x' * 200, '"', "'", '?', '#', '+', '.', '..', '~']


@pytest.mark.parametrize('project_id', IDS, ids=lambda text: ascii(text[:9]))
def test_any_text_may_be_an_id(one, project_id):
    assert one.report(project_id, [CANVAS])['id'] == project_id
    assert one.listed('/artifacts', project_id=project_id)[0]['project_id'] == project_id
    assert one.search('canvas', project_id=project_id)['total'] == 1


@pytest.mark.parametrize('raw', ['x' * 201, '%C3%A9' * 101, 'a%00b', 'a%0Ab', '%7F', '%1f', '%FF', 'a%C3', '%zz', '%',
                                 'x' * 1000], ids=lambda raw: raw[:9])
def test_no_id_is_too_long_or_holds_control_characters(one, raw):
    reply = one.put('%s/%s' % (PATH, raw), BODY)
    assert reply.status == 400 and ('id' in reply.detail or 'path' in reply.detail)
    assert [one.delete('%s/%s' % (PATH, raw)).status, one.get('%s/%s' % (PATH, raw)).status] == [400, 400]
    assert one.get(PATH).json()['total'] == 0


def bodies():
    for field in ('name', 'path', 'artifacts'):
        yield field + ' missing', {name: value for name, value in BODY.items() if name != field}, field
        for value in (None, 7, {}, True):
            yield '%s %r' % (field, value), dict(BODY, **{field: value}), field
    yield 'name empty', dict(BODY, name=''), 'name'
    yield 'name long', dict(BODY, name='x' * 201), 'name'
    yield 'name huge', dict(BODY, name='x' * 1000000), 'name'
    yield 'path empty', dict(BODY, path=''), 'path'
    yield 'path long', dict(BODY, path='x' * 1001), 'path'
    yield 'name with NUL', dict(BODY, name='a\0b'), 'name'
    for value in (None, 7, 'canvas', [], True):
        yield 'artifact %r' % (value,), dict(BODY, artifacts=[CANVAS, value]), 'artifacts[1]'
    for field in ('name', 'type'):
        rest = {name: value for name, value in CANVAS.items() if name != field}
        yield 'artifact without ' + field, dict(BODY, artifacts=[rest]), 'artifacts[0].' + field
        for value in ('', None, 7, 'x' * 1000):
            yield 'artifact %s %.9r' % (field, value), dict(BODY, artifacts=[dict(CANVAS, **{field: value})]), field
    yield 'unknown type', dict(BODY, artifacts=[dict(CANVAS, type='gadget')]), 'artifacts[0].type'
    for field, longest in (('source', 500), ('deployed_version', 200), ('upstream_version', 200),
                           ('content_hash', 200), ('description', 2000)):
        for value in ('x' * (longest + 1), 7, [], True):
            yield 'artifact %s %.9r' % (field, value), dict(BODY, artifacts=[dict(CANVAS, **{field: value})]), field
    for control in ('\n', '\x01', '\x1b[31m', '\x7f', '\x9b'):
        text = 'a%sb' % control
        for field in ('name', 'path'):
            yield '%s with %r' % (field, control), dict(BODY, **{field: text}), field + ': String should not contain control'
        for field in ('name', 'source', 'deployed_version', 'upstream_version', 'content_hash'):
            yield ('artifact %s with %r' % (field, control), dict(BODY, artifacts=[dict(CANVAS, **{field: text})]),
                   'artifacts[0].%s: String should not contain control characters' % field)
        yield 'tag with %r' % control, dict(BODY, artifacts=[dict(CANVAS, tags=['fine', text])]), 'artifacts[0].tags[1]'
    for value in ('a', ['a', 7], ['x' * 51], ['t'] * 51, [''], {}):
        yield 'tags %.12r' % (value,), dict(BODY, artifacts=[dict(CANVAS, tags=value)]), 'tags'
    yield 'too many', dict(BODY, artifacts=[{'name': str(i), 'type': 'skill'} for i in range(10001)]), 'artifacts'


MISFITS = {name: (body, field) for name, body, field in bodies()}


@pytest.mark.parametrize('name', MISFITS)
def test_reports_that_do_not_fit_are_refused_and_named(one, name):
    body, field = MISFITS[name]
    with one.wire() as wire:
        reply = one.put(PATH + '/bad', body, wire=wire)
        assert reply.status == 422 and field in reply.detail, reply.body
        assert one.get(PATH, wire=wire).json()['total'] == 0


@pytest.mark.parametrize('body', [b'', b'{', b'null', b'[]', b'"x"', b'\xff', b'{"name":"\xff"}', b'{"name":1,"name":2}',
                                  b'[' * 100000], ids=lambda body: repr(body[:9]))
def test_bodies_that_are_no_reports_are_refused(one, body):
    with one.wire() as wire:
        reply = one.put(PATH + '/bad', body=body, wire=wire)
        assert reply.status in (400, 422) and reply.detail
        assert one.get(PATH, wire=wire).json()['total'] == 0


def test_what_a_report_need_not_say_may_be_null_or_absent(one):
    empty = {field: None for field in ('source', 'deployed_version', 'upstream_version', 'content_hash', 'description',
                                       'tags')}
    one.report('a', [dict(name='n', type='skill', **empty), {'name': 'm', 'type': 'skill', 'surprise': [1, {}]}])
    for row in one.listed('/artifacts'):
        assert row['deployed_version'] is None and row['upstream_version'] is None and row['is_outdated'] is False


def test_a_body_past_the_limit_is_413(one):
    body = b'{"name":"' + b'x' * (9 << 20)
    assert one.put(PATH + '/big', body=body).status == 413
    assert one.get(PATH).json()['total'] == 0


@pytest.mark.parametrize('key, status', [(None, 401), ('lk_wrong', 401), ('reader', 403)])
def test_who_may_not_report_is_told_so_before_a_large_report_is_read(one, key, status):
    """A report may be larger than other bodies; a stranger's may not."""
    headers = {'Content-Length': str(3 << 20)}
    if key:
        headers['X-API-Key'] = one.new_key(scopes=['cache:read']) if key == 'reader' else key
    with one.wire() as wire:
        reply = wire.send(request('PUT', PATH + '/big', headers)).reply()
    assert reply.status == status and reply.detail
    assert ('x-ratelimit-remaining' in reply.headers) == (status == 401)  # the key of this test has no limits
    assert status == 401 or reply.detail == 'This key lacks the scope cache:write'
    assert reply.headers.get('www-authenticate') == ('Bearer' if status == 401 else None)
    headers['X-API-Key'] = one.key
    with one.wire() as wire:
        wire.send(request('PUT', PATH + '/big', {**headers, 'Expect': '100-continue'}))
        assert wire.socket.recv(12) == b'HTTP/1.1 100'


def test_a_large_report_is_seen_whole_or_not_at_all(one):
    """While ten thousand artifacts are written, a reader sees the old ones or the new ones, never some of both."""
    def artifacts(version):
        return [{'name': 'artifact-%05d' % i, 'type': 'skill', 'deployed_version': version} for i in range(10000)]
    one.report('big', artifacts('1.0.0'))
    seen, done = set(), threading.Event()

    def read():
        with one.wire() as wire:
            while not done.is_set():
                page = one.get(CACHE + '/artifacts', params={'skip': 9900}, wire=wire).json()
                assert page['total'] == 10000 and len(page['items']) == 100
                first = one.get(CACHE + '/artifacts', params={'limit': 1}, wire=wire).json()
                seen.add((first['total'], first['items'][0]['deployed_version']))
                assert len({row['deployed_version'] for row in page['items']}) == 1
    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert one.report('big', artifacts('2.0.0'))['artifact_count'] == 10000
    finally:
        done.set()
        reader.join()
    assert seen <= {(10000, '1.0.0'), (10000, '2.0.0')}
    assert one.get(CACHE + '/artifacts', params={'limit': 1}).json()['items'][0]['deployed_version'] == '2.0.0'


# ---- conditions --------------------------------------------------------------------------------
def test_if_match_guards_a_report(one):
    tag = one.put(PATH + '/a', BODY).headers['etag']
    assert one.get(PATH + '/a').headers['etag'] == tag
    changed = one.put(PATH + '/a', dict(BODY, name='Second'), headers={'If-Match': tag})
    assert changed.status == 200 and changed.headers['etag'] != tag
    late = one.put(PATH + '/a', dict(BODY, name='Third'), headers={'If-Match': tag})
    assert late.status == 412 and "'a'" in late.detail
    assert one.get(PATH + '/a').json()['name'] == 'Second'
    both = one.put(PATH + '/a', dict(BODY, name='Third'), headers={'If-Match': '%s, %s' % (tag, changed.headers['etag'])})
    assert both.status == 200


@pytest.mark.parametrize('tag', ['"0"', '"-1"', '"x"', 'x', '""', '"', 'W/"1"', '1', '"99999999999999999999"', ','])
def test_tags_that_are_none_match_nothing(one, tag):
    one.report('a')
    assert one.put(PATH + '/a', BODY, headers={'If-Match': tag}).status == 412
    assert one.delete(PATH + '/a', headers={'If-Match': tag}).status == 412


def test_any_version_and_none(one):
    assert one.put(PATH + '/a', BODY, headers={'If-Match': '*'}).status == 412
    assert one.put(PATH + '/a', BODY, headers={'If-None-Match': '*'}).status == 201
    assert one.put(PATH + '/a', BODY, headers={'If-None-Match': '*'}).status == 412
    assert one.put(PATH + '/a', BODY, headers={'If-Match': '*'}).status == 200
    assert one.delete(PATH + '/a', headers={'If-Match': '*'}).status == 204


def test_if_none_match_spares_the_body(one):
    tag = one.put(PATH + '/a', BODY).headers['etag']
    reply = one.get(PATH + '/a', headers={'If-None-Match': tag})
    assert reply.status == 304 and reply.headers['etag'] == tag and not reply.body


# ---- forgetting --------------------------------------------------------------------------------
def test_forgetting_takes_all_of_a_project_along(one):
    one.report('a', [CANVAS])
    one.report('b', [CANVAS])
    assert one.delete(PATH + '/a').status == 204
    assert one.delete(PATH + '/a').detail == "Project 'a' not found"
    assert [row['project_id'] for row in one.listed('/artifacts')] == ['b']
    until(lambda: one.search('canvas')['total'] == 1, 'search to have heard')
    status = one.get(CACHE + '/status').json()
    assert (status['total_projects'], status['total_artifacts'], status['outdated_artifacts']) == (1, 1, 1)


def test_forgetting_heeds_if_match(one):
    tag = one.put(PATH + '/a', BODY).headers['etag']
    one.report('a', [CANVAS], name='other')
    assert one.delete(PATH + '/a', headers={'If-Match': tag}).status == 412
    assert one.delete(PATH + '/a', headers={'If-Match': one.get(PATH + '/a').headers['etag']}).status == 204


# ---- listing -----------------------------------------------------------------------------------
def test_projects_are_listed_by_name_and_then_id(one):
    for project_id, name in (('3', 'beta'), ('1', 'beta'), ('2', 'alpha'), ('4', 'Ägypten'), ('5', 'Zulu')):
        one.report(project_id, name=name)
    assert [row['id'] for row in one.listed('/projects')] == ['5', '2', '1', '3', '4']


def test_totals_are_exact_past_a_hundred(one):
    for i in range(130):
        one.report('p%03d' % i, [CANVAS])
    page = one.get(PATH).json()
    assert page['total'] == 130 and len(page['items']) == 100
    rest = one.get(PATH, params={'skip': 100}).json()
    assert len(rest['items']) == 30 and rest['skip'] == 100 and rest['next_cursor'] is None
    for limit in (1, 7, 130, 131):
        assert names(one.listed('/projects', limit=limit)) == ['p%03d' % i for i in range(130)]
    assert one.get(PATH, params={'skip': 2147483647}).json()['items'] == []
    assert one.get(CACHE + '/artifacts').json()['total'] == 130
    assert one.post(CACHE + '/invalidate', {}).json()['invalidated_count'] == 130


def test_a_cursor_stays_good_when_projects_come_and_go(one):
    for name in 'abcdef':
        one.report(name)
    page = one.get(PATH, params={'limit': 3}).json()
    assert names(page['items']) == ['a', 'b', 'c']
    one.delete(PATH + '/c')
    one.report('aa')
    one.report('dd')
    rest = one.get(PATH, params={'limit': 10, 'cursor': page['next_cursor']}).json()
    assert names(rest['items']) == ['d', 'dd', 'e', 'f'] and rest['next_cursor'] is None


def test_status_filters(one):
    one.report('fresh')
    one.report('marked')
    assert one.post(CACHE + '/invalidate', {'project_id': 'marked'}).status == 200
    # the scheduler takes it up soon: until then it is stale
    stale = one.get(PATH, params={'status': 'stale'}).json()
    if stale['total']:
        assert stale['items'][0]['id'] == 'marked' and stale['items'][0]['status'] == 'stale'
    until(lambda: one.get(PATH, params={'status': 'active'}).json()['total'] == 2, 'the refresh')
    assert one.get(PATH, params={'status': 'error'}).json()['items'] == []


def test_what_is_older_than_the_ttl_is_stale(larder):
    one = larder({'projects.ttl': '1s', 'projects.refresh_interval': '365d'})
    one.report('a')
    until(lambda: one.get(PATH, params={'status': 'stale'}).json()['total'] == 1, 'a second to pass')
    assert one.get(PATH + '/a').json()['status'] == 'stale'
    assert one.get(PATH, params={'status': 'active'}).json()['total'] == 0
    assert one.get(CACHE + '/status').json()['stale_projects'] == 1
    one.report('a')
    assert one.get(PATH + '/a').json()['status'] == 'active'


# ---- invalidation ------------------------------------------------------------------------------
def test_invalidation_counts_and_says_so(one):
    for name in 'abc':
        one.report(name, [CANVAS])
    assert one.post(CACHE + '/invalidate', {'project_id': 'b'}).json() == {
        'success': True, 'invalidated_count': 1, 'message': 'Invalidated 1 project(s) successfully'}
    for everything in ({}, {'project_id': None}, {'project_id': ''}):
        assert one.post(CACHE + '/invalidate', everything).json() == {
            'success': True, 'invalidated_count': 3, 'message': 'Invalidated entire cache (3 projects)'}
    reply = one.post(CACHE + '/invalidate', {'project_id': 'proj-999'})
    assert reply.status == 404 and reply.json() == {'detail': "Project 'proj-999' not found"}
    assert len(one.listed('/artifacts')) == 3


def test_an_empty_cache_can_be_invalidated(one):
    assert one.post(CACHE + '/invalidate', {}).json()['message'] == 'Invalidated entire cache (0 projects)'


# ---- who may -----------------------------------------------------------------------------------
def test_changes_need_the_scope_to_write(one):
    reader, other = one.new_key(scopes=['cache:read']), one.new_key(scopes=['sources:write'])
    changes = [('PUT', PATH + '/a', BODY), ('DELETE', PATH + '/a', None), ('POST', CACHE + '/invalidate', {}),
               ('POST', CACHE + '/refresh', {})]
    for method, path, body in changes:
        assert one.request(method, path, body, key=reader).status == 403
        nobody = one.request(method, path, body, key=None)
        assert nobody.status == 401 and nobody.json() == {'detail': 'Missing or invalid API key'}
    for path in (PATH, PATH + '/a', CACHE + '/artifacts', CACHE + '/stale-artifacts', CACHE + '/events'):
        assert one.get(path, key=other).status == 403
        assert one.get(path, key=None).status == 401
    assert one.get(PATH, key=reader).status == 200


def test_a_writer_may_not_read(one):
    writer = one.new_key(scopes=['cache:write'])
    assert one.put(PATH + '/a', BODY, key=writer).status == 201
    assert one.get(PATH + '/a', key=writer).status == 403


# ---- what lasts --------------------------------------------------------------------------------
def what_lasts(one):
    """All but when each project was last learnt of: what is new is soon refreshed, one after another."""
    projects = [{name: row[name] for name in row if name != 'last_fetched'} for row in one.listed('/projects')]
    return projects, one.listed('/artifacts')


def test_what_was_reported_survives_a_kill(larder):
    one = larder()
    for i in range(20):
        one.report('p%02d' % i, [CANVAS, DOCKER])
    before = what_lasts(one)
    one.kill()
    one.start()
    assert what_lasts(one) == before
    assert one.search('canvas', limit=1)['total'] == 20
    one.stop()
    one.command('check')
    one.start()


def test_methods_that_are_none(one):
    for path, allow in ((PATH, 'GET'), (PATH + '/a', 'DELETE, GET, PUT'), (CACHE + '/refresh', 'POST'),
                        (CACHE + '/events', 'GET')):
        reply = one.request('PATCH', path, {})
        assert reply.status == 405 and reply.detail == 'Method Not Allowed'
        assert set(allow.split(', ')) <= set(reply.headers['allow'].split(', '))


def test_head_is_get_without_the_body(one):
    one.report('a')
    for path in (PATH, PATH + '/a', CACHE + '/artifacts', CACHE + '/stale-artifacts'):
        get, head = one.get(path), one.request('HEAD', path)
        assert (head.status, head.body) == (200, b'')
        assert head.headers['content-length'] == get.headers['content-length']


def test_many_reports_on_one_connection(one):
    with one.wire() as wire:
        wire.send(b''.join(
            request('PUT', '%s/p%d' % (PATH, i), {'Authorization': 'Bearer ' + one.key},
                    b'{"name":"p%d","path":"/p","artifacts":[]}' % i) for i in range(20)))
        assert [wire.reply().status for _ in range(20)] == [201] * 20
    assert one.get(PATH).json()['total'] == 20


def test_projects_are_no_sources(one):
    one.report('a', [CANVAS])
    assert one.get(SOURCES).json()['items'] == []
    assert one.get(CACHE + '/marketplace').json()['total'] == 0
