"""JSON as it should not be: every body here is sent to POST /sources, and the next request must be served.

BROKEN bodies are not JSON (or not JSON that means one thing only): 400.  MISFITS are JSON, but not what the
endpoint takes: 400 or 422.  FINE ones are unusual and must be understood.
"""
import pytest
import repos
from program import SOURCES

URL = b'"repo_url":"https://github.com/acme/never-made"'


def wrap(value):
    """A body that is right but for the value of `description`."""
    return b'{%s,"description":%s}' % (URL, value)


BROKEN = {
    'blanks-only': b' \r\n\t ',
    'one-brace': b'{',
    'one-quote': b'"',
    'closing-only': b'}',
    'unclosed-object': b'{%s' % URL,
    'unclosed-array': wrap(b'[1, 2'),
    'unclosed-string': b'{%s,"description":"abc' % URL,
    'unclosed-escape': b'{%s,"description":"abc\\' % URL,
    'mismatched': wrap(b'[1}'),
    'trailing-comma-object': b'{%s,}' % URL,
    'trailing-comma-array': wrap(b'[1,]'),
    'leading-comma': b'{,%s}' % URL,
    'double-comma': b'{%s,,"notes":""}' % URL,
    'missing-comma': b'{%s "notes":""}' % URL,
    'missing-colon': b'{"repo_url" "https://github.com/acme/never-made"}',
    'missing-value': wrap(b''),
    'missing-key': b'{:1}',
    'bare-key': b'{repo_url:"https://github.com/acme/never-made"}',
    'number-key': b'{1:1}',
    'null-key': b'{null:1}',
    'single-quotes': b"{'repo_url':'https://github.com/acme/never-made'}",
    'garbage-after': b'{%s}x' % URL,
    'second-value': b'{%s}{%s}' % (URL, URL),
    'brace-after': b'{%s}}' % URL,
    'nul-after': b'{%s}\0' % URL,
    'nul-before': b'\0{%s}' % URL,
    'nul-between': b'{\0%s}' % URL,
    'comment-block': b'{/* a */%s}' % URL,
    'comment-line': b'// a\n{%s}' % URL,
    'comment-hash': b'# a\n{%s}' % URL,
    'byte-order-mark': b'\xef\xbb\xbf{%s}' % URL,
    'utf-16': '{"repo_url":"https://github.com/acme/never-made"}'.encode('utf-16'),
    'utf-32': '{"repo_url":"https://github.com/acme/never-made"}'.encode('utf-32'),
    'form-feed-as-blank': b'\x0c{%s}' % URL,
    'no-break-space-as-blank': b'\xc2\xa0{%s}' % URL,
    'key-twice': b'{%s,%s}' % (URL, URL),
    'key-twice-different': b'{%s,"repo_url":"https://github.com/acme/other"}' % URL,
    'key-twice-escaped': b'{%s,"repo\\u005furl":"https://github.com/acme/other"}' % URL,
    'key-twice-nested': b'{%s,"manual_map":{"a":"skill","a":"agent"}}' % URL,
    'number-leading-zero': wrap(b'01'),
    'number-plus': wrap(b'+1'),
    'number-minus-only': wrap(b'-'),
    'number-minus-zero-one': wrap(b'-01'),
    'number-no-integer': wrap(b'.5'),
    'number-no-fraction': wrap(b'1.'),
    'number-no-exponent': wrap(b'1e'),
    'number-exponent-sign': wrap(b'1e+'),
    'number-exponent-fraction': wrap(b'1e1.5'),
    'number-hex': wrap(b'0x10'),
    'number-underscore': wrap(b'1_000'),
    'number-two-points': wrap(b'1.2.3'),
    'number-two-minus': wrap(b'--1'),
    'nan': wrap(b'NaN'),
    'infinity': wrap(b'Infinity'),
    'minus-infinity': wrap(b'-Infinity'),
    'true-upper': wrap(b'True'),
    'true-short': wrap(b'tru'),
    'true-long': wrap(b'truex'),
    'null-upper': wrap(b'NULL'),
    'undefined': wrap(b'undefined'),
    'word': wrap(b'word'),
    'raw-newline': wrap(b'"a\nb"'),
    'raw-tab': wrap(b'"a\tb"'),
    'raw-nul': wrap(b'"a\0b"'),
    'raw-control': wrap(b'"a\x1fb"'),
    'escape-unknown': wrap(b'"\\x41"'),
    'escape-upper-u': wrap(b'"\\U0041"'),
    'escape-apostrophe': wrap(b'"\\\'"'),
    'escape-nul': wrap(b'"\\0"'),
    'escape-u-short': wrap(b'"\\u12"'),
    'escape-u-words': wrap(b'"\\u12xz"'),
    'escape-u-nothing': wrap(b'"\\u"'),
    'escape-newline': wrap(b'"\\\n"'),
    'surrogate-high-alone': wrap(b'"\\ud83d"'),
    'surrogate-low-alone': wrap(b'"\\ude00"'),
    'surrogate-high-twice': wrap(b'"\\ud83d\\ud83d"'),
    'surrogates-swapped': wrap(b'"\\ude00\\ud83d"'),
    'surrogate-high-then-text': wrap(b'"\\ud83dabc"'),
    'surrogate-in-key': b'{%s,"\\ud83d":1}' % URL,
    'utf-8-continuation-alone': wrap(b'"\x80"'),
    'utf-8-cut-short': wrap(b'"\xe2\x82"'),
    'utf-8-overlong-slash': wrap(b'"\xc0\xaf"'),
    'utf-8-overlong-nul': wrap(b'"\xc0\x80"'),
    'utf-8-overlong-three': wrap(b'"\xe0\x80\xaf"'),
    'utf-8-surrogate': wrap(b'"\xed\xa0\x80"'),
    'utf-8-beyond-unicode': wrap(b'"\xf4\x90\x80\x80"'),
    'utf-8-five-bytes': wrap(b'"\xf8\x88\x80\x80\x80"'),
    'utf-8-ff': wrap(b'"\xff\xfe"'),
    'utf-8-in-key': b'{%s,"\xff":1}' % URL,
    'latin-1': wrap('"café"'.encode('latin-1')),
    'deep-arrays': wrap(b'[' * 100000 + b']' * 100000),
    'deep-objects': wrap(b'{"a":' * 50000 + b'1' + b'}' * 50000),
    'deep-and-unclosed': b'[' * 500000,
}

MISFITS = {
    'empty': b'',
    'null': b'null',
    'array': b'[{%s}]' % URL,
    'string': b'"https://github.com/acme/never-made"',
    'number': b'42',
    'false': b'false',
    'empty-object': b'{}',
    'url-null': b'{"repo_url":null}',
    'url-number': b'{"repo_url":7}',
    'url-object': b'{"repo_url":{}}',
    'description-number': wrap(b'7'),
    'description-array': wrap(b'["a"]'),
    'description-nul': wrap(b'"a\\u0000b"'),
    'number-overflows': wrap(b'1e999'),
    'number-underflows': wrap(b'1e-999'),
    'integer-huge': wrap(b'1' * 400),
    'tags-string': b'{%s,"tags":"a"}' % URL,
    'tags-object': b'{%s,"tags":{"a":1}}' % URL,
    'tags-of-numbers': b'{%s,"tags":[1,2]}' % URL,
    'bool-as-string': b'{%s,"import_repo_readme":"sometimes"}' % URL,
    'map-array': b'{%s,"manual_map":["a"]}' % URL,
    'map-of-numbers': b'{%s,"manual_map":{"a":1}}' % URL,
    'many-tags': b'{%s,"tags":[%s]}' % (URL, b','.join(b'"t%d"' % i for i in range(5000))),
}


def is_as_before(server):
    assert server.get('/healthz').status == 200
    assert server.get(SOURCES + '/src_acme_never-made').status == 404


@pytest.mark.parametrize('name', BROKEN)
def test_broken_json_is_400(server, name):
    reply = server.post(SOURCES, body=BROKEN[name])
    assert reply.status == 400 and reply.detail
    is_as_before(server)


@pytest.mark.parametrize('name', MISFITS)
def test_json_that_does_not_fit_is_refused(server, name):
    reply = server.post(SOURCES, body=MISFITS[name])
    assert reply.status in (400, 422) and reply.detail
    is_as_before(server)


@pytest.mark.parametrize('name', ['number-hex', 'key-twice', 'utf-8-ff', 'deep-arrays', 'array', 'empty'])
def test_the_connection_goes_on_after_a_bad_body(server, name):
    body = BROKEN.get(name) or MISFITS[name]
    with server.wire() as wire:
        for _ in range(3):
            assert server.post(SOURCES, body=body, wire=wire).status in (400, 422)
        assert server.get('/healthz', wire=wire).status == 200


@pytest.mark.parametrize('text, meant', [
    (b'"\\u00e9\\ud83d\\ude00"', '\u00e9\U0001f600'),
    ('"é😀"'.encode(), '\u00e9\U0001f600'),
    (b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    (b'"\x7f"', '\x7f'),
    ('"\u2028\u2029\ufeff\uffff"'.encode(), '\u2028\u2029\ufeff\uffff'),
    (b'"\\uFFFF\\uffff"', '\uffff\uffff'),
    (b'"<script>&amp;</script>"', '<script>&amp;</script>'),
    (b'""', ''),
    (b'null', None),
], ids=['escaped', 'raw', 'short', 'delete', 'separators', 'non-characters', 'markup', 'empty', 'null'])
def test_unusual_texts_come_back_as_they_were(server, github, text, meant):
    repo = github.add(repos.skills_repo())
    body = b' \r\n{ "repo_url" :\t"%s" , "description" : %s } \n' % (repo.url.encode(), text)
    reply = server.post(SOURCES, body=body)
    assert reply.status == 201
    assert server.source(reply.json()['id'])['description'] == meant


def test_escapes_in_keys_are_the_same_keys(server, github):
    repo = github.add(repos.skills_repo())
    body = b'{"repo\\u005Furl":"%s","\\u006eotes":"n"}' % repo.url.replace('/', '\\/').encode()
    assert server.post(SOURCES, body=body).json()['notes'] == 'n'
