"""HTTP/1.1 as a good client speaks it."""
import email.utils
import gzip
import json
import os
import re
import socket
import stat
import threading

import pytest
import repos
from program import SOURCES, until
from wire import Closed, request

HEALTH = request('GET', '/healthz')


def test_a_connection_serves_many_requests(server):
    with server.wire() as wire:
        for _ in range(50):
            assert wire.send(HEALTH).reply().status == 200


def test_connection_close_is_honoured(server):
    with server.wire() as wire:
        reply = wire.send(request('GET', '/healthz', {'Connection': 'close'})).reply()
        assert reply.status == 200 and reply.headers['connection'].lower() == 'close'
        assert wire.is_closed()


def test_http_1_0_closes_unless_asked_to_stay(server):
    with server.wire() as wire:
        assert wire.send(b'GET /healthz HTTP/1.0\r\n\r\n').reply().status == 200
        assert wire.is_closed()
    with server.wire() as wire:
        for _ in range(2):
            reply = wire.send(b'GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n').reply()
            assert reply.status == 200 and reply.headers['connection'].lower() == 'keep-alive'
            assert 'transfer-encoding' not in reply.headers


def test_pipelined_requests_are_answered_in_order(server):
    paths = ['/healthz', '/nowhere', SOURCES + '/src_none_such', '/healthz'] * 25
    with server.wire() as wire:
        wire.send(b''.join(request('GET', path, {'X-Request-ID': 'n%d' % i}) for i, path in enumerate(paths)))
        got = [wire.reply() for _ in paths]
    assert [reply.headers['x-request-id'] for reply in got] == ['n%d' % i for i in range(len(paths))]
    assert [reply.status for reply in got] == [200, 404, 404, 200] * 25


def test_a_slow_answer_holds_back_the_quick_ones_behind_it(server, github):
    repo = github.add(repos.skills_repo())
    github.fault('/repos/' + repo.full_name, 'hold')
    body = json.dumps({'repo_url': repo.url}).encode()
    slow = request('POST', SOURCES, {'Prefer': 'wait=30', 'X-Request-ID': 'slow'}, body)
    with server.wire() as wire:
        wire.send(slow + request('GET', '/healthz', {'X-Request-ID': 'quick'}))
        until(lambda: github.waiting, 'the scan to begin')
        github.release()
        first, second = wire.reply(), wire.reply()
    assert (first.headers['x-request-id'], first.status) == ('slow', 201)
    assert (second.headers['x-request-id'], second.status) == ('quick', 200)


def test_twenty_thousand_pipelined_requests(server):
    count, key = 20000, 'Bearer ' + server.key
    wire = server.wire()

    def one(i):
        return request('GET', SOURCES + '/src_none_such', {'X-Request-ID': 'p%d' % i, 'Authorization': key})

    def send():
        for at in range(0, count, 500):
            wire.send(b''.join(one(i) for i in range(at, at + 500)))
    sender = threading.Thread(target=send)
    sender.start()
    for i in range(count):
        reply = wire.reply()
        assert (reply.status, reply.headers['x-request-id']) == (404, 'p%d' % i)
    sender.join()
    wire.close()


def test_a_request_may_come_byte_by_byte(server, github):
    repo = github.add(repos.skills_repo())
    body = json.dumps({'repo_url': repo.url}).encode()
    with server.wire() as wire:
        for byte in request('POST', SOURCES, {'Content-Type': 'application/json'}, body):
            wire.send(bytes([byte]))
        assert wire.reply().status == 201


def test_chunked_bodies(server, github):
    repo = github.add(repos.skills_repo())
    body = json.dumps({'repo_url': repo.url, 'notes': 'x' * 300}).encode()
    head = request('POST', SOURCES, {'Transfer-Encoding': 'chunked', 'Content-Type': 'application/json'})
    with server.wire() as wire:
        wire.send(head)
        for at in range(0, len(body), 7):
            part = body[at:at + 7]
            wire.send(b'%X\r\n%s\r\n' % (len(part), part))
        wire.send(b'0\r\n\r\n' + HEALTH)
        reply = wire.reply()
        assert reply.status == 201 and reply.json()['notes'] == 'x' * 300
        assert wire.reply().status == 200


def test_chunk_extensions_and_trailers_are_read_over(server):
    head = request('POST', SOURCES, {'Transfer-Encoding': 'chunked', 'Content-Type': 'application/json'})
    with server.wire() as wire:
        wire.send(head + b'2;note=a\r\n{}\r\n0\r\nX-Trailer: t\r\n\r\n' + HEALTH)
        assert wire.reply().status == 422
        assert wire.reply().status == 200


def test_expect_100_continue(server, github):
    repo = github.add(repos.skills_repo())
    body = json.dumps({'repo_url': repo.url}).encode()
    with server.wire() as wire:
        wire.send(request('POST', SOURCES, {'Content-Length': str(len(body)), 'Expect': '100-continue',
                                            'Content-Type': 'application/json'}))
        assert wire.line() == 'HTTP/1.1 100 Continue' and wire.line() == ''
        assert wire.send(body).reply().status == 201


def test_expect_is_refused_at_once_when_the_body_would_be(larder):
    small = larder({'http.max_body_bytes': 4096})
    with small.wire() as wire:
        wire.send(request('POST', SOURCES, {'Content-Length': '1000000', 'Expect': '100-continue'}))
        reply = wire.reply()
    assert reply.status == 413 and not reply.interim


def test_expect_is_refused_at_once_where_there_is_nothing(server):
    for path in ('/nope', SOURCES + '/a/b/c'):
        with server.wire() as wire:
            wire.send(request('POST', path, {'Content-Length': '10', 'Expect': '100-continue'}))
            reply = wire.reply()
        assert reply.status == 404 and not reply.interim, path


def test_a_packed_body_is_refused(server):
    with server.wire() as wire:
        wire.send(request('POST', SOURCES, {'Content-Length': '2', 'Content-Encoding': 'identity',
                                            'Content-Type': 'application/json'}) + b'{}')
        assert wire.reply().status == 422
        wire.send(request('POST', SOURCES, {'Content-Length': '2', 'Content-Encoding': 'gzip'}) + b'{}')
        reply = wire.reply()
    assert reply.status == 415 and 'Content-Encoding' in reply.detail
    assert reply.headers['accept-encoding'] == 'identity'


def plain_paths(server):
    """A request target for every GET of the document whose answer has an end."""
    for method, template, _, _ in server.document.rows:
        if method == 'GET' and not template.endswith('/events'):
            query = '?query=a' if template.endswith('/search') else ''
            yield re.sub(r'\{[^}]*\}', 'src_none_such', template) + query


def test_head_answers_like_get_without_the_body(server):
    seen = 0
    for path in plain_paths(server):
        got, head = server.get(path, checked=False), server.request('HEAD', path, checked=False)
        assert head.status == got.status, path
        assert head.headers.get('content-type') == got.headers.get('content-type'), path
        if path not in ('/metrics', '/healthz') and not path.endswith('/status'):
            assert head.headers.get('content-length') == got.headers.get('content-length'), path
        seen += 1
    assert seen > 5


def test_head_leaves_the_connection_usable(server):
    with server.wire() as wire:
        wire.send(request('HEAD', '/openapi.json') + HEALTH)
        assert wire.reply(head=True).status == 200
        assert wire.reply().status == 200


def test_a_method_that_is_not_there_is_405_and_says_which_are(server):
    have = {}
    for method, template, _, _ in server.document.rows:
        if not template.startswith('/internal/') and template != '/status':  # where that is a 404
            have.setdefault(template, set()).add(method)
    for template, methods in have.items():
        wrong = next(m for m in ('DELETE', 'PUT', 'PATCH', 'POST') if m not in methods)
        reply = server.request(wrong, re.sub(r'\{[^}]*\}', 'src_none_such', template), checked=False)
        assert reply.status == 405, (wrong, template, reply.status)
        allowed = {m.strip() for m in reply.headers['allow'].split(',')}
        assert methods <= allowed and wrong not in allowed
        assert ('GET' in allowed) == ('HEAD' in allowed)
        assert reply.detail


@pytest.mark.parametrize('path', [
    '/', '/nowhere', '/api/v1/marketplace', '/api/v1/cache/nowhere', '//healthz', '/HEALTHZ',
    '/../etc/passwd', '/%2e%2e/etc/passwd', '/healthz%00'])
def test_unknown_paths_are_404(server, path):
    reply = server.get(path, checked=False)
    assert reply.status in ((400, 404) if '%00' in path else (404,))
    assert reply.detail


def test_path_parameters_are_decoded(server, github):
    source = server.create(github.add(repos.skills_repo()))
    path = '%s/%s' % (SOURCES, source['id'].replace('_', '%5F', 1))
    assert server.get(path).json()['id'] == source['id']
    assert server.get(SOURCES + '/a%2Fb').detail == "Source with ID 'a/b' not found"


@pytest.mark.parametrize('target', [
    SOURCES + '/%zz', SOURCES + '/%', SOURCES + '/%f', SOURCES + '?trust_level=%g0'])
def test_broken_escapes_break_nothing(server, target):
    reply = server.get(target, checked=False)
    assert reply.status in (200, 400, 404, 422)
    assert reply.status == 200 or reply.detail
    assert server.get('/healthz').status == 200


def test_too_large_is_said_before_the_body_is_read(larder):
    small = larder({'http.max_body_bytes': 4096})
    with small.wire() as wire:
        wire.send(request('POST', SOURCES, {'Content-Length': '4097'}))
        reply = wire.reply()
    assert reply.status == 413 and reply.detail
    with small.wire() as wire:
        wire.send(request('POST', SOURCES, body=b'x' * 200000))
        assert wire.reply().status == 413
    with small.wire() as wire:
        wire.send(request('POST', SOURCES, {'Transfer-Encoding': 'chunked'}))
        wire.send(b'800\r\n%s\r\n' % (b'x' * 0x800) * 3)
        reply = wire.reply()
    assert reply.status == 413 and reply.detail


def test_a_body_of_just_the_limit_is_read(larder):
    small = larder({'http.max_body_bytes': 4096})
    body = b'{"repo_url": "not a url"}'.ljust(4096)
    assert small.post(SOURCES, body=body).status == 400


def test_a_long_target_is_414(larder):
    small = larder({'http.max_header_bytes': 4096})
    with small.wire() as wire:
        reply = wire.send(request('GET', '/healthz?' + 'x' * 20000)).reply()
        assert reply.status == 414 and reply.detail
        wire.is_closed()


@pytest.mark.parametrize('headers', [{'X-Long': 'x' * 20000}, {'X-%d' % i: 'y' * 20 for i in range(2000)},
                                     {'X' * 20000: 'long name'}], ids=['value', 'count', 'name'])
def test_large_headers_are_431(larder, headers):
    small = larder({'http.max_header_bytes': 4096})
    with small.wire() as wire:
        reply = wire.send(request('GET', '/healthz', headers)).reply()
        assert reply.status == 431 and reply.detail


@pytest.mark.parametrize('part, options', [
    (b'GET /heal', {'http.header_timeout': '1s'}),
    (b'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ', {'http.header_timeout': '1s'}),
    (request('POST', SOURCES, {'Content-Length': '100'}) + b'{', {'http.body_timeout': '1s'}),
    (request('POST', SOURCES, {'Transfer-Encoding': 'chunked'}) + b'5\r\nab', {'http.body_timeout': '1s'}),
], ids=['line', 'header', 'body', 'chunk'])
def test_too_slow_is_408(larder, part, options):
    quick = larder(options)
    with quick.wire() as wire:
        reply = wire.send(part).reply()
        assert reply.status == 408 and reply.detail
        assert wire.is_closed()


def test_idle_connections_are_closed_without_a_word(larder):
    quick = larder({'http.idle_timeout': '1s'})
    with quick.wire() as wire:
        assert wire.send(HEALTH).reply().status == 200
        assert wire.is_closed()
    with quick.wire() as wire:
        assert b'HTTP/1.1 2' not in wire.rest()


def test_request_ids_are_kept_when_sane_and_made_otherwise(server):
    def answered(value):
        headers = {} if value is None else {'X-Request-ID': value}
        return server.get('/healthz', headers=headers, key=None).headers['x-request-id']
    assert answered('trace-42.a_B') == 'trace-42.a_B'
    made = {answered(value) for value in (None, None, '', 'x' * 5000, 'a b', 'ümlaut', 'a"b', '<script>')}
    assert len(made) == 8
    assert all(re.fullmatch(r'[A-Za-z0-9._-]{8,128}', one) for one in made), made


def test_every_answer_says_when(server):
    for path in ('/healthz', '/nowhere', SOURCES):
        assert email.utils.parsedate_to_datetime(server.get(path, checked=False).headers['date'])


def test_reads_have_a_strong_etag_that_turns_into_304(server, github):
    source = server.create(github.add(repos.skills_repo()))
    for path in (SOURCES, '%s/%s' % (SOURCES, source['id']), '%s/%s/artifacts' % (SOURCES, source['id'])):
        first = server.get(path)
        tag = first.headers['etag']
        assert re.fullmatch(r'"[^"]+"', tag), tag
        for given in (tag, '*', '"other", ' + tag, 'W/' + tag):
            again = server.get(path, headers={'If-None-Match': given})
            assert (again.status, again.body, again.headers['etag']) == (304, b'', tag), given
        assert server.get(path, headers={'If-None-Match': '"other"'}).status == 200


def test_the_etag_moves_with_the_content(server, github):
    source = server.create(github.add(repos.skills_repo()))
    path = '%s/%s' % (SOURCES, source['id'])
    tag = server.get(path).headers['etag']
    assert server.patch(path, {'notes': 'changed'}).status == 200
    again = server.get(path, headers={'If-None-Match': tag})
    assert again.status == 200 and again.headers['etag'] != tag and again.json()['notes'] == 'changed'


def test_errors_have_no_etag(server):
    assert 'etag' not in server.get(SOURCES + '/src_none_such').headers
    assert server.get(SOURCES + '/src_none_such', headers={'If-None-Match': '*'}).status == 404


def test_large_answers_are_compressed_when_accepted(server, github):
    source = server.create(github.add(repos.commands_repo(['command-%03d' % i for i in range(100)])))
    for path in ('/openapi.json', '%s/%s/artifacts?limit=100' % (SOURCES, source['id'])):
        plain = server.get(path)
        assert 'content-encoding' not in plain.headers
        for accept in ('gzip', 'br, gzip;q=0.5', '*', 'GZIP'):
            packed = server.get(path, headers={'Accept-Encoding': accept})
            assert packed.headers['content-encoding'] == 'gzip', (path, accept)
            assert gzip.decompress(packed.body) == plain.body
            assert len(packed.body) < len(plain.body) / 2
            assert 'accept-encoding' in packed.headers['vary'].lower()
        for accept in ('gzip;q=0', 'identity', 'br', ''):
            assert 'content-encoding' not in server.get(path, headers={'Accept-Encoding': accept}).headers
        assert 'accept-encoding' in plain.headers['vary'].lower()


def test_the_compressed_form_has_an_etag_of_its_own(server, github):
    source = server.create(github.add(repos.commands_repo(['command-%03d' % i for i in range(100)])))
    path = '%s/%s/artifacts?limit=100' % (SOURCES, source['id'])
    plain, packed = server.get(path), server.get(path, headers={'Accept-Encoding': 'gzip'})
    assert plain.headers['etag'] != packed.headers['etag']
    for tag in (plain.headers['etag'], packed.headers['etag']):
        again = server.get(path, headers={'Accept-Encoding': 'gzip', 'If-None-Match': tag})
        assert again.status == 304


def test_small_answers_are_not_compressed(server):
    assert 'content-encoding' not in server.get('/healthz', headers={'Accept-Encoding': 'gzip'}).headers


def test_json_says_that_it_is_json(server):
    for path in (SOURCES, '/healthz', '/openapi.json', '/nowhere'):
        assert server.get(path, checked=False).headers['content-type'].startswith('application/json')


def test_half_closed_clients_still_get_their_answer(server):
    with server.wire() as wire:
        assert wire.send(HEALTH).finish().reply().status == 200


def test_clients_that_leave_early_disturb_nobody(server, github):
    repo = github.add(repos.skills_repo())
    github.fault('/repos/' + repo.full_name, 'hold')
    body = json.dumps({'repo_url': repo.url}).encode()
    wire = server.wire().send(request('POST', SOURCES, {'Prefer': 'wait=30'}, body))
    until(lambda: github.waiting, 'the scan to begin')
    wire.close()
    assert server.get('/healthz').status == 200
    github.release()
    source_id = 'src_%s_%s' % (repo.owner, repo.name)
    assert server.settled(source_id)['scan_status'] == 'success'


def test_a_unix_socket_serves_the_same(larder, tmp_path):
    path = str(tmp_path / 'larder.sock')
    one = larder({'listen': ['127.0.0.1:0', 'unix:' + path]})
    assert any(name.endswith(path) for name in one.listeners)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    for _ in range(2):
        with one.wire(index=1) as wire:
            assert wire.send(HEALTH).reply().status == 200
            assert wire.send(request('GET', SOURCES)).reply().status == 200
    one.kill()
    one.start()                                    # the socket that the killed one left behind is replaced
    with one.wire(index=1) as wire:
        assert wire.send(HEALTH).reply().status == 200
    one.stop()
    assert not os.path.exists(path)


def test_a_unix_socket_that_is_in_use_is_not_taken_away(larder, tmp_path):
    path = str(tmp_path / 'larder.sock')
    one = larder({'listen': ['unix:' + path, '127.0.0.1:0']})
    other = larder({'listen': ['unix:' + path, '127.0.0.1:0']}, start=False)
    other.start(wait=False)
    assert other.wait_exit() != 0
    with one.wire(index=0) as wire:
        assert wire.send(HEALTH).reply().status == 200


def test_ipv6_listens_too(larder):
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip('no IPv6 on this machine')
    one = larder({'listen': ['[::1]:0', '127.0.0.1:0']})
    there = next(name for name in one.listeners if '[::1]' in name)
    with socket.create_connection(('::1', int(there.rsplit(':', 1)[1])), timeout=60) as s:
        s.sendall(request('GET', '/healthz', {'Connection': 'close'}))
        assert s.makefile('rb').readline().startswith(b'HTTP/1.1 200')


def test_a_port_in_use_refuses_to_start(larder):
    one = larder()
    other = larder({'listen': ['127.0.0.1:%d' % one.port]}, start=False)
    other.start(wait=False)
    assert other.wait_exit() not in (0, None)
    assert str(one.port) in other.errors


def test_nothing_is_answered_to_nothing(server):
    with server.wire() as wire:
        wire.finish()
        with pytest.raises(Closed):
            wire.reply()
