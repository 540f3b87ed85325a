"""Who may ask: keys, scopes, and when sources are open."""
import json
import socket

import pytest
import repos
from program import CACHE, SOURCES
from wire import request

REFUSED = 'Missing or invalid API key'
STATUS = CACHE + '/status'


@pytest.mark.parametrize('path', [STATUS, CACHE + '/search?query=a', CACHE + '/marketplace'])
def test_the_cache_always_needs_a_key(server, path):
    reply = server.get(path, key=None)
    assert reply.status == 401 and reply.detail == REFUSED
    assert reply.headers['www-authenticate'].lower().startswith('bearer')


@pytest.mark.parametrize('headers', [
    {'Authorization': 'Bearer wrong'}, {'Authorization': 'Bearer '}, {'Authorization': 'Bearer'},
    {'Authorization': 'Basic YTpi'}, {'Authorization': ''}, {'X-API-Key': 'wrong'}, {'X-API-Key': ''},
    {'Authorization': 'Bearer ' + 'x' * 5000}, {'Authorization': 'Bearer lk_\xff\xfe'}])
def test_wrong_keys_are_refused(server, headers):
    reply = server.get(STATUS, key=None, headers=headers)
    assert reply.status == 401 and reply.detail == REFUSED


def test_both_headers_carry_a_key(server):
    for headers in ({'Authorization': 'Bearer ' + server.key}, {'authorization': 'bearer ' + server.key},
                    {'X-API-Key': server.key}):
        assert server.get(STATUS, key=None, headers=headers).status == 200


def test_the_admin_key_of_the_first_start_works(server):
    assert server.get(STATUS, key=server.admin_key).status == 200


def test_a_key_that_is_nearly_right_is_wrong(server):
    key = server.key
    for near in (key[:-1], key + 'A', key.swapcase(), key[:-1] + ('A' if key[-1] != 'A' else 'B')):
        assert server.get(STATUS, key=near).status == 401


def test_sources_are_open_while_everything_is_local(server, github):
    assert server.get(SOURCES, key=None).status == 200
    repo = github.add(repos.skills_repo())
    assert server.post(SOURCES, {'repo_url': repo.url}, key=None).status == 201


def test_sources_are_open_on_a_unix_socket(larder, tmp_path):
    one = larder({'listen': ['unix:%s' % (tmp_path / 's'), '127.0.0.1:0']})
    with one.wire(index=[n.startswith('unix:') for n in one.listeners].index(True)) as wire:
        assert wire.send(request('GET', SOURCES)).reply().status == 200


@pytest.mark.parametrize('options', [
    {'listen': ['0.0.0.0:0']}, {'http.trusted_proxies': ['127.0.0.1']}, {'access.sources': 'required'}],
    ids=['any-address', 'behind-a-proxy', 'required'])
def test_sources_need_a_key_as_soon_as_others_could_come(larder, options):
    one = larder(options)
    one.listeners = [name.replace('0.0.0.0', '127.0.0.1') for name in one.listeners]
    for method, path in (('GET', SOURCES), ('POST', SOURCES), ('GET', SOURCES + '/src_a_b'),
                         ('DELETE', SOURCES + '/src_a_b'), ('POST', SOURCES + '/infer-url')):
        reply = one.request(method, path, {} if method == 'POST' else None, key=None)
        assert reply.status == 401 and reply.detail == REFUSED, (method, path)
    assert one.get(SOURCES).status == 200


def test_open_means_open_everywhere(larder):
    one = larder({'listen': ['0.0.0.0:0'], 'access.sources': 'open'})
    one.listeners = [name.replace('0.0.0.0', '127.0.0.1') for name in one.listeners]
    assert one.get(SOURCES, key=None).status == 200
    assert one.get(STATUS, key=None).status == 401


def test_probes_and_the_document_need_no_key(larder):
    one = larder({'access.sources': 'required', 'access.metrics': 'required'})
    for path in ('/healthz', '/readyz', '/openapi.json'):
        assert one.get(path, key=None).status == 200
    assert one.get('/metrics', key=None).status == 401
    assert one.get('/metrics', key=one.admin_key).status == 200


def test_a_scope_opens_what_it_names_and_nothing_else(larder):
    one = larder({'access.sources': 'required'})
    reader = one.new_key('reader', scopes=('sources:read',))
    searcher = one.new_key('searcher', scopes=('cache:read',))
    assert one.get(SOURCES, key=reader).status == 200
    assert one.get(STATUS, key=searcher).status == 200
    for reply in (one.get(STATUS, key=reader), one.get(SOURCES, key=searcher), one.post(SOURCES, {}, key=reader),
                  one.delete(SOURCES + '/src_a_b', key=reader)):
        assert reply.status == 403 and reply.detail


def test_refusals_come_before_any_look_at_the_body(larder):
    one = larder({'access.sources': 'required'})
    assert one.post(SOURCES, body=b'{not json', key=None).status == 401


FORWARDED = {'X-Forwarded-For': '203.0.113.7'}


def test_forwarded_addresses_count_only_through_trusted_proxies(larder):
    """Seen by whose budget is used: without a key each address has its own, and 429 follows on 401."""
    options = {'limits.requests_per_minute': 2}
    plain = larder(options)
    got = [plain.get(STATUS, key=None, headers={'X-Forwarded-For': '203.0.113.%d' % i}).status for i in range(4)]
    assert got == [401, 401, 429, 429]
    behind = larder(dict(options, **{'http.trusted_proxies': ['127.0.0.0/8', '10.0.0.0/8']}))

    def ask(forwarded):
        return behind.get(STATUS, key=None, headers={'X-Forwarded-For': forwarded}).status
    assert [ask('203.0.113.7') for _ in range(3)] == [401, 401, 429]
    assert ask('203.0.113.8') == 401
    # The right-most address that is not a trusted proxy is the client; what stands left of it is hearsay.
    assert ask('198.51.100.1, 203.0.113.7') == 429
    assert ask('203.0.113.7, 10.1.2.3') == 429
    assert ask('203.0.113.7, 198.51.100.2') == 401
    assert ask('2001:db8::1') == 401


@pytest.mark.parametrize('value', ['', ',', 'unknown', '203.0.113.999', '::::', 'x' * 3000, '1.2.3.4:5678',
                                   '[2001:db8::2]:99', ', '.join('198.51.100.%d' % i for i in range(200))])
def test_odd_forwarded_headers_break_nothing(larder, value):
    behind = larder({'http.trusted_proxies': ['127.0.0.1/32'], 'access.sources': 'open'})
    assert behind.get(SOURCES, key=None, headers={'X-Forwarded-For': value}).status == 200


def test_an_address_outside_is_not_taken_for_local(larder):
    """`auto` looks at the listeners, not at who happens to connect: one open door closes them all."""
    one = larder({'listen': ['127.0.0.1:0', '0.0.0.0:0']})
    local = next(name for name in one.listeners if '127.0.0.1' in name)
    with socket.create_connection(('127.0.0.1', int(local.rsplit(':', 1)[1])), timeout=60) as s:
        s.sendall(request('GET', SOURCES, {'Connection': 'close'}))
        data = b''.join(iter(lambda: s.recv(65536), b''))
    assert data.startswith(b'HTTP/1.1 401 ')
    assert json.loads(data.partition(b'\r\n\r\n')[2])['detail'] == REFUSED


@pytest.mark.parametrize('origin', ['https://elsewhere.example', 'http://127.0.0.1:1', 'null', 'localhost', ''])
def test_a_page_of_another_site_changes_nothing_where_no_key_is_needed(server, github, origin):
    repo = github.add(repos.skills_repo())
    body = json.dumps({'repo_url': repo.url}).encode()
    headers = {'Origin': origin, 'Content-Type': 'text/plain'}     # what a page may send without asking first
    reply = server.request('POST', SOURCES, body=body, headers=headers, key=None)
    assert reply.status == 403 and 'another site' in reply.detail
    assert server.get(SOURCES, headers={'Origin': origin}, key=None).status == 200


def test_pages_of_this_site_and_whoever_has_a_key_may_change_things(server, github):
    host = 'Larder.localhost:80'
    with server.wire() as wire:
        body = json.dumps({'repo_url': github.add(repos.skills_repo()).url}).encode()
        headers = {'Host': host, 'Origin': 'http://' + host.lower(), 'Content-Type': 'application/json'}
        assert wire.send(request('POST', SOURCES, headers, body)).reply().status == 201
    repo = github.add(repos.skills_repo())
    assert server.post(SOURCES, {'repo_url': repo.url}, headers={'Origin': 'https://elsewhere.example'}).status == 201


@pytest.mark.parametrize('host', ['evil.test', 'evil.test:8080', '127.0.0.1.evil.test', 'localhost.evil.test', 'xlocalhost',
                                  'evil.test:127', '1.2.3.x', 'a]'])
def test_a_name_that_a_page_could_have_is_not_answered_where_no_key_is_needed(server, host):
    """A page may let its own name mean 127.0.0.1; then all it asks is of its own site for the browser."""
    headers = {'Host': host, 'Origin': 'http://' + host, 'Content-Type': 'application/json'}
    for method, path in (('GET', SOURCES), ('HEAD', SOURCES), ('POST', SOURCES), ('GET', '/metrics')):
        reply = server.request(method, path, headers=headers, key=None, body=b'{}' if method == 'POST' else None)
        assert reply.status == 403
        assert method == 'HEAD' or (host in reply.detail and 'localhost' in reply.detail and 'key' in reply.detail)
    assert server.get(SOURCES, headers=headers).status == 200          # with a key
    assert server.get('/healthz', headers=headers, key=None).status == 200


@pytest.mark.parametrize('host', ['localhost', 'LOCALHOST:80', 'larder.localhost', '127.0.0.1', '127.0.0.1:8080', '[::1]',
                                  '[::1]:8080', '192.0.2.7:1', '2130706433', ''])
def test_this_machine_s_own_names_are_answered(server, host):
    assert server.get(SOURCES, headers={'Host': host}, key=None).status == 200


def test_names_are_free_where_a_page_cannot_come_or_the_configuration_says_so(larder, tmp_path):
    one = larder({'listen': ['unix:%s' % (tmp_path / 's'), '127.0.0.1:0'], 'access.metrics': 'open'})
    headers = {'Host': 'cache.example'}
    with one.wire(index=[n.startswith('unix:') for n in one.listeners].index(True)) as wire:
        assert wire.send(request('GET', SOURCES, headers)).reply().status == 200
    assert one.get(SOURCES, headers=headers, key=None).status == 403
    assert one.get('/metrics', headers=headers, key=None).status == 200
    with one.wire() as wire:
        assert wire.send(request('GET', SOURCES, version='HTTP/1.0', host=None)).reply().status == 200
    one.configure(access__sources='open')
    one.restart()
    assert one.get(SOURCES, headers=headers, key=None).status == 200
