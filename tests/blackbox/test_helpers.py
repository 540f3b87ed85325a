"""The suite's own tools: a checker that lets everything pass would make every other test worthless."""
import copy
import socket
import threading

import openapi
import pytest
from program import TROUBLE, nested, until
from wire import Closed, Wire, request


@pytest.fixture
def scripted():
    """Serves fixed bytes to one client; scripted(data) returns a Wire to it."""
    servers = []

    def serve(data):
        server = socket.create_server(('127.0.0.1', 0))
        servers.append(server)

        def answer():
            connection, _ = server.accept()
            connection.sendall(data)
            connection.close()
        threading.Thread(target=answer, daemon=True).start()
        return Wire(server.getsockname()[1], timeout=10)
    yield serve
    for server in servers:
        server.close()


def test_wire_reads_every_framing(scripted):
    wire = scripted(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nab'
                    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\ncd\r\n1\r\ne\r\n0\r\nT: t\r\n\r\n'
                    b'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\nHTTP/1.0 404 No\r\n\r\nto the end')
    first, second, third, last = (wire.reply() for _ in range(4))
    assert (first.status, first.interim, first.body, first.headers['x-a']) == (200, [100], b'ab', '1, 2')
    assert (second.body, third.status, third.body, last.body) == (b'cde', 304, b'', b'to the end')


@pytest.mark.parametrize('data', [
    b'', b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', b'HTTP/1.1 200 OK\r\nA: b\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'])
def test_wire_notices_answers_cut_short(scripted, data):
    with pytest.raises(Closed):
        scripted(data).reply()


@pytest.mark.parametrize('data', [
    b'HTTP/1.1 200 OK\nA: b\r\n\r\n', b'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', b'HTTP/2.0 200 OK\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n'])
def test_wire_refuses_answers_that_are_not_http(scripted, data):
    with pytest.raises(AssertionError):
        scripted(data).reply()


def test_requests_are_framed():
    assert request('GET', '/') == b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
    assert request('POST', '/', {'A': 'b'}, b'xyz').endswith(b'A: b\r\nContent-Length: 3\r\n\r\nxyz')


SCHEMAS = {'Pet': {'type': 'object', 'required': ['name'], 'additionalProperties': False, 'properties': {
    'name': {'type': 'string', 'minLength': 1, 'maxLength': 3, 'pattern': '^[a-z]*$'},
    'age': {'type': ['integer', 'null'], 'minimum': 0, 'maximum': 9},
    'kind': {'enum': ['cat', 'dog']}, 'tags': {'type': 'array', 'maxItems': 2, 'items': {'type': 'string'}},
    'counts': {'type': 'object', 'additionalProperties': {'type': 'integer'}},
    'friend': {'anyOf': [{'$ref': '#/components/schemas/Pet'}, {'type': 'null'}]}}}}
DOCUMENT = {'openapi': '3.1.0', 'components': {'schemas': SCHEMAS}, 'paths': {'/pets/{id}': {'get': {'responses': {
    '200': {'content': {'application/json': {'schema': {'$ref': '#/components/schemas/Pet'}}}},
    '204': {}, '4XX': {'content': {'application/json': {'schema': {'type': 'object'}}}}}}},
    '/pets/first': {'get': {'responses': {'200': {'content': {'application/json': {'schema': {'type': 'null'}}}}}}}}}


@pytest.fixture
def document():
    before = set(openapi.called)
    yield openapi.Document(copy.deepcopy(DOCUMENT))
    openapi.called.clear()
    openapi.called.update(before)


@pytest.mark.parametrize('body', [{'name': 'a'}, {'name': 'abc', 'age': None, 'kind': 'cat', 'tags': ['x'],
                                  'counts': {'a': 1}, 'friend': {'name': 'b', 'friend': None}}])
def test_the_checker_passes_what_fits(document, body):
    document.check('GET', '/pets/7', 200, body)
    document.check('GET', '/pets/7', 404, {})
    document.check('HEAD', '/pets/7', 204, None)
    assert {('GET', '/pets/{id}')} <= openapi.called


@pytest.mark.parametrize('body', [
    [], None, {}, {'name': ''}, {'name': 'abcd'}, {'name': 'A'}, {'name': 1}, {'name': 'a', 'more': 1},
    {'name': 'a', 'age': 10}, {'name': 'a', 'age': -1}, {'name': 'a', 'age': 1.5}, {'name': 'a', 'age': True},
    {'name': 'a', 'kind': 'cow'}, {'name': 'a', 'tags': ['x', 1]}, {'name': 'a', 'tags': list('abc')},
    {'name': 'a', 'counts': {'x': 'y'}}, {'name': 'a', 'friend': {'name': ''}}, {'name': 'a', 'friend': 7}])
def test_the_checker_finds_what_does_not(document, body):
    with pytest.raises(AssertionError):
        document.check('GET', '/pets/7', 200, body)


def test_the_checker_looks_into_what_is_composed(document):
    document.parsed['components']['schemas'].update(
        Base={'type': 'object', 'required': ['id'], 'properties': {'id': {'type': 'integer'}}},
        Both={'allOf': [{'$ref': '#/components/schemas/Base'},
                        {'properties': {'n': {'type': 'integer'}, 'm': {'type': 'integer'}},
                         'dependentRequired': {'n': ['m']}}]})
    both = {'$ref': '#/components/schemas/Both'}
    assert document.members(both) == {'id', 'n', 'm'} and document.members({'type': 'object'}) is None
    for good in ({'id': 1}, {'id': 1, 'n': 2, 'm': 3}, {'id': 1, 'm': 3}):
        document.fits(good, both, 'here')
    for bad in ({'n': 2, 'm': 3}, {'id': 1, 'n': 2}, {'id': 1, 'n': 'x', 'm': 3}):
        assert not document.accepts(bad, both, 'here')


def test_the_checker_refuses_members_nobody_knows(document):
    del document.parsed['components']['schemas']['Pet']['additionalProperties']
    with pytest.raises(AssertionError, match='does not know .*more'):
        document.check('GET', '/pets/7', 200, {'name': 'a', 'more': 1})


def test_the_checker_knows_paths_statuses_and_media(document):
    document.check('GET', '/pets/first', 200, None)                # the literal path wins
    document.check('GET', '/nowhere', 200, 'not in the document')
    for status, media in ((500, 'application/json'), (200, 'text/plain')):
        with pytest.raises(AssertionError):
            document.check('GET', '/pets/7', status, {'name': 'a'}, media)


def test_small_helpers():
    assert nested({'a.b': 1, 'a.c': 2, 'd': 3}) == {'a': {'b': 1, 'c': 2}, 'd': 3}
    with pytest.raises(AssertionError):
        until(lambda: None, patience=0.05)
    assert TROUBLE.search('==1==ERROR: AddressSanitizer: heap-use-after-free')
    assert TROUBLE.search('a.c:1:2: runtime error: signed integer overflow') and not TROUBLE.search('a usual line')
