"""Requests that two servers in a row might read differently, and plain malformed ones.

Each is sent with a second, harmless request glued to its end.  A refused one must be answered 400 once, in
the family's shape, and the connection closed: the second request must not be answered.  The legal oddities
at the end must be served, both of them.
"""
import json

import pytest
import repos
from program import SOURCES
from wire import Closed, request

NEXT = b'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: smuggled\r\n\r\n'
HOST = b'Host: localhost\r\n'
POST = b'POST ' + SOURCES.encode() + b' HTTP/1.1\r\n' + HOST
GET = b'GET /healthz HTTP/1.1\r\n' + HOST
CHUNKED = POST + b'Transfer-Encoding: chunked\r\n'

REFUSED = {
    # Two opinions on where the body ends.
    'cl-and-te': POST + b'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'te-and-cl': POST + b'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    'cl-twice-different': POST + b'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'cl-twice-equal': POST + b'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}',
    'cl-list': POST + b'Content-Length: 2, 2\r\n\r\n{}',
    'cl-list-different': POST + b'Content-Length: 2, 3\r\n\r\n{}',
    'cl-plus': POST + b'Content-Length: +2\r\n\r\n{}',
    'cl-minus': POST + b'Content-Length: -2\r\n\r\n{}',
    'cl-hex': POST + b'Content-Length: 0x2\r\n\r\n{}',
    'cl-blank-inside': POST + b'Content-Length: 1 0\r\n\r\n{}',
    'cl-tab-inside': POST + b'Content-Length: 1\t0\r\n\r\n{}',
    'cl-empty': POST + b'Content-Length: \r\n\r\n',
    'cl-word': POST + b'Content-Length: two\r\n\r\n{}',
    'cl-fraction': POST + b'Content-Length: 2.0\r\n\r\n{}',
    'cl-huge': POST + b'Content-Length: 99999999999999999999999999\r\n\r\n{}',
    'cl-wraps-32': POST + b'Content-Length: 18446744073709551618\r\n\r\n{}',
    'te-twice': POST + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'te-twice-different': CHUNKED + b'Transfer-Encoding: identity\r\n\r\n0\r\n\r\n',
    'te-chunked-identity': POST + b'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'te-identity': POST + b'Transfer-Encoding: identity\r\n\r\n',
    'te-gzip-chunked': POST + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'te-unknown': POST + b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    'te-chunked-with-tail': POST + b'Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n',
    'te-empty': POST + b'Transfer-Encoding: \r\n\r\n',
    'te-quoted': POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    'te-vertical-tab': POST + b'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
    'te-blank-before-colon': POST + b'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    'te-in-http-1.0': b'POST ' + SOURCES.encode() +
                      b' HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n',
    # Lines that do not end as they should.
    'bare-cr-in-value': GET + b'X-A: a\rX-B: b\r\n\r\n',
    'bare-cr-ends-line': GET + b'X-A: a\r\r\n\r\n',
    'bare-cr-in-request-line': b'GET /healthz\r HTTP/1.1\r\n' + HOST + b'\r\n',
    'lf-cr': GET + b'X-A: a\n\rX-B: b\r\n\r\n',
    'bare-cr-in-chunk-line': CHUNKED + b'\r\n2\r{}\r\n0\r\n\r\n',
    'bare-lf-in-chunk-line': CHUNKED + b'\r\n2\n{}\r\n0\r\n\r\n',
    'bare-lf-after-chunk': CHUNKED + b'\r\n2\r\n{}\n0\r\n\r\n',
    'folded-header': GET + b'X-A: a\r\n b\r\n\r\n',
    'folded-with-tab': GET + b'X-A: a\r\n\tb\r\n\r\n',
    'folded-first-header': b'GET /healthz HTTP/1.1\r\n X-A: a\r\n' + HOST + b'\r\n',
    'folded-content-length': POST + b'Content-Length:\r\n 2\r\n\r\n{}',
    'folded-transfer-encoding': POST + b'Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n',
    # Header names and values.
    'host-missing': b'GET /healthz HTTP/1.1\r\n\r\n',
    'host-twice': GET + HOST + b'\r\n',
    'host-twice-different': GET + b'Host: other\r\n\r\n',
    'host-blank-before-colon': b'GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n',
    'host-list': b'GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n',
    'host-with-path': b'GET /healthz HTTP/1.1\r\nHost: localhost/x\r\n\r\n',
    'host-with-user': b'GET /healthz HTTP/1.1\r\nHost: u@localhost\r\n\r\n',
    'name-empty': GET + b': value\r\n\r\n',
    'name-blank': GET + b'X A: value\r\n\r\n',
    'name-tab': GET + b'X-A\t: value\r\n\r\n',
    'name-without-colon': GET + b'X-A\r\n\r\n',
    'name-control': GET + b'X-\x01A: value\r\n\r\n',
    'name-nul': GET + b'X-\0A: value\r\n\r\n',
    'name-not-ascii': GET + b'X-\xc3\xa4: value\r\n\r\n',
    'name-bracket': GET + b'X[A]: value\r\n\r\n',
    'value-nul': GET + b'X-A: a\0b\r\n\r\n',
    'value-control': GET + b'X-A: a\x08b\r\n\r\n',
    'value-delete': GET + b'X-A: a\x7fb\r\n\r\n',
    # Chunks.
    'chunk-size-empty': CHUNKED + b'\r\n\r\n{}\r\n0\r\n\r\n',
    'chunk-size-word': CHUNKED + b'\r\nzz\r\n{}\r\n0\r\n\r\n',
    'chunk-size-negative': CHUNKED + b'\r\n-2\r\n{}\r\n0\r\n\r\n',
    'chunk-size-plus': CHUNKED + b'\r\n+2\r\n{}\r\n0\r\n\r\n',
    'chunk-size-0x': CHUNKED + b'\r\n0x2\r\n{}\r\n0\r\n\r\n',
    'chunk-size-blank-before': CHUNKED + b'\r\n 2\r\n{}\r\n0\r\n\r\n',
    'chunk-size-huge': CHUNKED + b'\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n',
    'chunk-size-too-small': CHUNKED + b'\r\n1\r\n{}\r\n0\r\n\r\n',
    'chunk-size-too-large': CHUNKED + b'\r\n3\r\n{}\r\n0\r\n\r\n',
    'chunk-without-crlf': CHUNKED + b'\r\n2\r\n{}0\r\n\r\n',
    'chunk-extension-control': CHUNKED + b'\r\n2;a=\x01\r\n{}\r\n0\r\n\r\n',
    'chunk-extension-cr': CHUNKED + b'\r\n2;a\rb\r\n{}\r\n0\r\n\r\n',
    'trailer-folded': CHUNKED + b'\r\n2\r\n{}\r\n0\r\nX-A: a\r\n b\r\n\r\n',
    'trailer-without-name': CHUNKED + b'\r\n2\r\n{}\r\n0\r\n: a\r\n\r\n',
    # Request lines.
    'http-0.9': b'GET /healthz\r\n',
    'http-0.9-with-header': b'GET /healthz\r\n' + HOST + b'\r\n',
    'version-lower-case': b'GET /healthz http/1.1\r\n' + HOST + b'\r\n',
    'version-short': b'GET /healthz HTTP/1\r\n' + HOST + b'\r\n',
    'version-long': b'GET /healthz HTTP/1.10\r\n' + HOST + b'\r\n',
    'version-other-protocol': b'GET /healthz ICE/1.0\r\n' + HOST + b'\r\n',
    'version-tail': b'GET /healthz HTTP/1.1x\r\n' + HOST + b'\r\n',
    'version-blank-behind': b'GET /healthz HTTP/1.1 \r\n' + HOST + b'\r\n',
    'version-zero-before': b'GET /healthz HTTP/01.1\r\n' + HOST + b'\r\n',
    'two-targets': b'GET /healthz /nowhere HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-missing': b'GET HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-empty': b'GET  HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-relative': b'GET healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-star': b'GET * HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-nul': b'GET /heal\0thz HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-control': b'GET /heal\x01thz HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-not-ascii': b'GET /h\xc3\xa4lthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'target-tab': b'GET\t/healthz\tHTTP/1.1\r\n' + HOST + b'\r\n',
    'method-lower-case': b'get /healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'method-with-control': b'G\x01ET /healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'method-with-colon': b'GET: /healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'leading-blank': b' GET /healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'tls-on-a-plain-port': bytes.fromhex('16030100a1010000') + b'\x9d' * 60 + b'\r\n\r\n',
    'http-2-preface': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'binary': bytes(range(128, 256)) * 4 + b'\r\n\r\n',
}

# The RFC has a status of its own for these; either is a refusal.
ALSO = {'te-gzip-chunked': 501, 'te-unknown': 501, 'te-identity': 501, 'te-chunked-identity': 501,
        'te-chunked-with-tail': 501, 'te-quoted': 501, 'te-empty': 501, 'te-twice-different': 501,
        'cl-huge': 413, 'cl-wraps-32': 413, 'chunk-size-huge': 413, 'http-2-preface': 505,
        'method-lower-case': 501, 'target-tab': 501, 'method-with-control': 501, 'method-with-colon': 501}


@pytest.mark.parametrize('name', REFUSED)
def test_it_is_refused_and_the_connection_closed(server, name):
    with server.wire() as wire:
        reply = wire.send(REFUSED[name] + NEXT).reply()
        assert reply.status in (400, ALSO.get(name, 400))
        assert reply.headers['connection'].lower() == 'close' and reply.detail
        assert wire.rest() == b''
    with server.wire() as wire:
        assert wire.send(NEXT).reply().status == 200


@pytest.mark.parametrize('name', ['cl-and-te', 'folded-header', 'chunk-size-word', 'host-twice', 'name-empty',
                                  'value-nul', 'http-0.9', 'bare-cr-in-value'])
def test_how_the_bytes_are_cut_makes_no_difference(server, name):
    with server.wire() as wire:
        for byte in REFUSED[name]:
            wire.send(bytes([byte]))
        reply = wire.send(NEXT).reply()
        assert reply.status == 400 and wire.rest() == b''


def test_an_endless_chunk_extension_is_refused(server):
    with server.wire() as wire:
        wire.send(CHUNKED + b'\r\n2;')
        for _ in range(64):
            wire.send(b'x' * 16384)
        try:
            assert wire.reply().status in (400, 413, 431)
        except Closed:
            pass                                     # it closed while we were still sending


def test_endless_trailers_are_refused(server):
    with server.wire() as wire:
        wire.send(CHUNKED + b'\r\n2\r\n{}\r\n0\r\n')
        for i in range(5000):
            wire.send(b'X-Trailer-%d: %s\r\n' % (i, b'x' * 200))
        try:
            assert wire.send(b'\r\n').reply().status in (400, 413, 431)
        except Closed:
            pass


@pytest.mark.parametrize('line', [b'X-A: a\nX-B: b\r\n', b'X-A: a\n'])
def test_a_bare_lf_ends_a_header_line_or_is_refused(server, line):
    """The RFC lets a recipient choose; what it may not do is to take it as part of the value."""
    with server.wire() as wire:
        reply = wire.send(GET + line + b'\r\n' + NEXT).reply()
        if reply.status == 400:
            assert wire.rest() == b''
        else:
            assert reply.status == 200 and wire.reply().headers['x-request-id'] == 'smuggled'


LEGAL = {
    'plain': GET + b'\r\n',
    'empty-lines-before': b'\r\n\r\n' + GET + b'\r\n',
    'header-names-in-any-case': b'GET /healthz HTTP/1.1\r\nhOsT: localhost\r\n\r\n',
    'blanks-around-a-value': b'GET /healthz HTTP/1.1\r\nHost: \t localhost \t \r\n\r\n',
    'no-blank-after-colon': b'GET /healthz HTTP/1.1\r\nHost:localhost\r\n\r\n',
    'empty-value': GET + b'X-A:\r\n\r\n',
    'empty-host': b'GET /healthz HTTP/1.1\r\nHost:\r\n\r\n',
    'host-with-port': b'GET /healthz HTTP/1.1\r\nHost: localhost:8080\r\n\r\n',
    'host-ipv6': b'GET /healthz HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n',
    'tab-in-value': GET + b'X-A: a\tb\r\n\r\n',
    'high-bytes-in-value': GET + b'X-A: caf\xe9\r\n\r\n',
    'odd-name': GET + b"!#$%&'*+-.^_`|~1a: b\r\n\r\n",
    'a-name-twice': GET + b'X-A: 1\r\nX-A: 2\r\n\r\n',
    'absolute-target': b'GET http://localhost/healthz HTTP/1.1\r\n' + HOST + b'\r\n',
    'query': b"GET /healthz?a=b&c=%20/?:@!$&'()*+,;= HTTP/1.1\r\n" + HOST + b'\r\n',
    'content-length-with-blanks': GET + b'Content-Length:\t5 \t\r\n\r\nhello',
    'chunked-with-blanks': GET + b'Transfer-Encoding:\tchunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'content-length-zero': GET + b'Content-Length: 0\r\n\r\n',
    'content-length-with-zeros': GET + b'Content-Length: 000\r\n\r\n',
    'upgrade-is-ignored': GET + b'Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    'connection-with-many-words': GET + b'Connection: foo, keep-alive, bar\r\n\r\n',
    'te-header': GET + b'TE: trailers\r\nConnection: TE\r\n\r\n',
    'many-headers': GET + b''.join(b'X-%d: v\r\n' % i for i in range(60)) + b'\r\n',
    'get-with-a-body': GET + b'Content-Length: 5\r\n\r\nhello',
    'get-with-chunks': GET + b'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
}


@pytest.mark.parametrize('name', LEGAL)
def test_legal_oddities_are_served(server, name):
    with server.wire() as wire:
        wire.send(LEGAL[name] + NEXT)
        assert wire.reply().status == 200
        assert wire.reply().headers['x-request-id'] == 'smuggled'


@pytest.mark.parametrize('framing, body', [
    (b'Transfer-Encoding: CHUNKED', b'%x\r\n%s\r\n0\r\n\r\n'),
    (b'Transfer-Encoding:\tchunked\t', b'%x\r\n%s\r\n0\r\n\r\n'),
    (b'Transfer-Encoding:  chunked  ', b'%X\r\n%s\r\n0\r\n\r\n'),
    (b'Transfer-Encoding: chunked', b'000%x\r\n%s\r\n00000\r\n\r\n'),
    (b'Transfer-Encoding: chunked', b'%x;a="b c";d\r\n%s\r\n0;end\r\nX-T: t\r\n\r\n')])
def test_legal_chunking_is_understood(server, github, framing, body):
    repo = github.add(repos.skills_repo())
    data = json.dumps({'repo_url': repo.url}).encode()
    with server.wire() as wire:
        wire.send(POST + b'Content-Type: application/json\r\n' + framing + b'\r\n\r\n')
        wire.send(body % (len(data), data))
        assert wire.reply().status == 201
        assert wire.send(NEXT).reply().status == 200


@pytest.mark.parametrize('version', ['HTTP/0.9', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/3.1'])
def test_other_versions_are_told_which_are_spoken(server, version):
    with server.wire() as wire:
        reply = wire.send(request('GET', '/healthz', version=version)).reply()
        assert reply.status == 505 and 'HTTP/1.1' in reply.detail and wire.rest() == b''


def test_a_repeated_host_is_refused_in_http_1_0_as_well(server):
    with server.wire() as wire:
        wire.send(b'GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n')
        assert wire.reply().status == 400


def test_connect_and_trace_are_not_served(server):
    for method, target in (('CONNECT', 'example.org:443'), ('TRACE', '/healthz')):
        with server.wire() as wire:
            assert wire.send(request(method, target)).reply().status in (400, 405, 501)
