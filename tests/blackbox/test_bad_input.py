"""Every parameter and every body of every endpoint, as the OpenAPI document lists them, with what does not fit.

Each answer has the family's shape (every request is held against the document) and says no; the next request on the
connection is answered as ever.  What is tried follows from the document: an endpoint that is added is tried too, once it
has a line in GOOD_BODIES if it takes a body.
"""
import copy
import json

import pytest
import repos
from program import CACHE, SOURCES, Larder, asking
from recaching import KEY, Recache, options

MEGABYTE = 1000000
GOOD = {'query': 'a', 'host_id': '1', 'dimension_id': '1', 'url': 'http://localhost/'}      # parameters that are required
INTERNAL = '/internal/'
PAGES = {'host_id': 1, 'urls': ['http://localhost/'], 'dimension_ids': [1]}
RENDERER = {'id': 'r', 'address': '127.0.0.1', 'port': 1, 'capacity': 1, 'load': 0}
GOOD_BODIES = {
    ('PUT', CACHE + '/projects/{id}'): {'name': 'P', 'path': '/p', 'artifacts': [
        {'name': 'a', 'type': 'skill', 'tags': ['t']}]},
    ('POST', CACHE + '/invalidate'): {'project_id': 'proj-1'},
    ('POST', CACHE + '/refresh'): {'project_id': 'proj-1'},
    ('POST', SOURCES): {'repo_url': 'https://github.com/bad/input', 'ref': 'main'},
    ('PATCH', SOURCES + '/{id}'): {'description': 'd'},
    ('POST', SOURCES + '/{id}/rescan'): {},
    ('POST', SOURCES + '/infer-url'): {'url': 'https://github.com/a/b'},
    ('POST', INTERNAL + 'cache/recache'): dict(PAGES, priority='high'),
    ('POST', INTERNAL + 'cache/invalidate'): PAGES,
    ('POST', INTERNAL + 'cache/invalidate-all'): {'host_id': 1},
    ('POST', INTERNAL + 'cache/hit'): {'host_id': 1, 'url': 'http://localhost/', 'dimension_id': 1},
    ('POST', INTERNAL + 'cache/dead-letters/retry'): dict(PAGES, priority='normal'),
    ('POST', INTERNAL + 'cache/sitemap'): {'host_id': 1, 'url': 'http://localhost/sitemap.xml', 'dimension_ids': [1]},
    ('POST', INTERNAL + 'render/register'): RENDERER,
    ('POST', INTERNAL + 'render/heartbeat'): RENDERER,
}


@pytest.fixture(scope='module')
def stage(session_github, tmp_path_factory):
    """A server with something of each kind; (server, {template of a path: its path})."""
    one = Larder(tmp_path_factory.mktemp('bad-input'), asking(session_github, options())).start()
    Recache(one).pause()
    source = one.create(session_github.add(repos.skills_repo(owner='bad-input')))
    one.report('proj-1', [('canvas', '1.0.0')])
    ids = {template: template.replace('{id}', 'proj-1' if template.startswith(CACHE) else source['id'])
           for _, template, _, _ in one.document.rows}
    yield one, ids
    one.stop()


class Asker:
    """Asks on one connection, and after each question whether that still works."""

    def __init__(self, server):
        self.server, self.wire = server, server.wire()

    def ask(self, method, path, body=None, **how):
        headers = {'X-Internal-Auth': KEY} if path.startswith((INTERNAL, '/status')) else {}
        reply = self.server.request(method, path, body=body, headers=headers, wire=self.wire,
                                    key=None if headers else True, **how)
        if reply.headers.get('connection') == 'close':
            self.wire.close()
            self.wire = self.server.wire()
        after = self.server.get(CACHE + '/status', wire=self.wire)
        assert after.status == 200, (method, path[:100], after.status)
        return reply

    def refused(self, method, path, body=None, **how):
        reply = self.ask(method, path, body, **how)
        assert 400 <= reply.status < 500, (method, path[:200], (body or b'')[:200], reply.status, reply.body[:200])
        assert reply.headers['content-type'] == 'application/json' and isinstance(reply.json(), dict)
        return reply

    def misfit(self, method, path, body):
        """Refused for what the body is, before anything else is looked at."""
        assert self.refused(method, path, body).status in (400, 413, 422), (method, path, body[:200])


def resolved(document, schema):
    schema = document.resolve(schema)
    for choice in schema.get('anyOf', ()):
        if choice.get('type') != 'null':
            return resolved(document, choice)
    return schema


def types_of(schema):
    kinds = schema.get('type', [])
    return kinds if isinstance(kinds, list) else [kinds]


# ---- parameters ----------------------------------------------------------------------------------
def bad_texts(schema):
    """Values of a parameter that do not fit, encoded."""
    yield from ('%FF', '%C3', '%ED%A0%80', '%zz', '%', 'a%00b')
    kinds = types_of(schema)
    if 'integer' in kinds:
        yield from ('x', '1.5', '1e3', '%201', '0x1', '9' * 30, '1' * 3000, '%00', '')
        yield from (str(schema[bound] + step) for bound, step in (('minimum', -1), ('maximum', 1)) if bound in schema)
    if 'boolean' in kinds:
        yield from ('maybe', '2')
    if 'enum' in schema:
        yield from ('nonsense', 'x' * 3000)
    if 'array' in kinds:
        longest = schema.get('items', {}).get('maxLength')
        yield from ['x' * (longest + 1)] if longest else []
    elif 'maxLength' in schema:
        yield 'x' * (schema['maxLength'] + 1)
    if schema.get('format') == 'date-time':
        yield from ('yesterday', '2025-13-01T00:00:00Z')


def query_of(operation, without=None):
    return '&'.join('%s=%s' % (p['name'], GOOD[p['name']]) for p in operation.get('parameters', ())
                    if p['in'] == 'query' and p.get('required') and p['name'] != without)


def test_no_parameter_takes_what_does_not_fit(stage):
    one, ids = stage
    asker, tried = Asker(one), 0
    for method, template, _, operation in one.document.rows:
        for parameter in operation.get('parameters', ()):
            if parameter['in'] != 'query':
                continue
            name, schema = parameter['name'], resolved(one.document, parameter['schema'])
            start = '%s?%s&' % (ids[template], query_of(operation, without=name))
            for text in bad_texts(schema):
                asker.refused(method, '%s%s=%s' % (start, name, text))
            if 'array' not in types_of(schema):
                asker.refused(method, '%s%s=1&%s=2' % (start, name, name))
            asker.refused(method, '%s%s=%s' % (start, name, 'x' * MEGABYTE), checked=False)
            reply = asker.ask(method, '%s%s=' % (start, name), checked='cache/page' not in template)
            assert reply.status < 500 and (not parameter.get('required') or reply.status >= 400), (template, name)
            tried += 1
    assert tried > 40


def test_no_path_takes_what_does_not_fit(stage):
    one, _ = stage
    asker = Asker(one)
    for method, template, _, operation in one.document.rows:
        if '{id}' not in template:
            continue
        body = GOOD_BODIES.get((method, template))
        body = json.dumps(body).encode() if body is not None else None
        for text in ('%FF', '%C3', '%zz', '%00', 'x' * 3000):
            asker.refused(method, template.replace('{id}', text), body)
        asker.refused(method, template.replace('{id}', ''), body, checked=False)
        asker.refused(method, template.replace('{id}', 'x' * MEGABYTE), checked=False)
        assert operation


# ---- bodies --------------------------------------------------------------------------------------
def bad_values(document, schema):
    """Values of a member that do not fit."""
    schema = resolved(document, schema)
    kinds = types_of(schema)
    wrong = {'string': 'text', 'integer': 7, 'boolean': True, 'array': [], 'object': {}}
    if kinds:
        yield from (value for kind, value in wrong.items()
                    if kind not in kinds and not (kind == 'integer' and 'number' in kinds))
    if 'integer' in kinds:
        yield from (1.5, 10 ** 30)
        yield from (schema[bound] + step for bound, step in (('minimum', -1), ('maximum', 1)) if bound in schema)
    if 'enum' in schema:
        yield 'nonsense'
    if 'maxLength' in schema:
        yield from ('x' * (schema['maxLength'] + 1), 'x' * MEGABYTE)
    if schema.get('minLength'):
        yield ''
    if 'array' in kinds:
        for value in bad_values(document, schema['items']):
            yield [value]
        if schema.get('maxItems', MEGABYTE) < 20000:
            yield [None] * (schema['maxItems'] + 1)


def members(document, schema, good):
    """(path of names, schema) of each member, those within a list's first item too."""
    schema = resolved(document, schema)
    for name, sub in schema.get('properties', {}).items():
        yield (name,), sub
        items = resolved(document, sub).get('items')
        if items and isinstance(good.get(name), list) and good[name] and isinstance(good[name][0], dict):
            for path, inner in members(document, items, good[name][0]):
                yield (name, 0) + path, inner


def changed(good, path, value):
    body = copy.deepcopy(good)
    at = body
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(body).encode()


def bodies(one):
    for method, template, _, operation in one.document.rows:
        if 'requestBody' in operation:
            yield method, template, operation['requestBody']['content']['application/json']['schema']


BROKEN = [b'{', b'{"a":', b'nonsense', b'\xff\xfe', b'{"\xff":1}', b'[' * 100000, b'{}x', b'"\\ud800"', b' ' * 1000]
NO_OBJECT = [b'null', b'[]', b'7', b'"text"', b'true']


def test_no_body_takes_what_is_no_json_or_no_object(stage):
    one, ids = stage
    asker = Asker(one)
    for method, template, _ in bodies(one):
        for body in BROKEN + NO_OBJECT:
            asker.misfit(method, ids[template], body)


def test_no_member_of_a_body_takes_what_does_not_fit(stage):
    one, ids = stage
    asker, tried = Asker(one), 0
    for method, template, schema in bodies(one):
        good = GOOD_BODIES[method, template]
        for name in resolved(one.document, schema).get('required', ()):
            asker.misfit(method, ids[template], json.dumps({n: v for n, v in good.items() if n != name}).encode())
        for path, sub in members(one.document, schema, good):
            for value in bad_values(one.document, sub):
                asker.misfit(method, ids[template], changed(good, path, value))
                tried += 1
    assert tried > 200


def test_what_was_refused_changed_nothing(stage):
    one, _ = stage
    project = one.get(CACHE + '/projects/proj-1').json()
    assert project['artifact_count'] == 1 and one.get(SOURCES).json()['page_info']['has_next_page'] is False
    assert len(one.get(SOURCES).json()['items']) == 1 and one.get(CACHE + '/projects').json()['total'] == 1


def test_and_what_fits_is_taken(stage):
    """Else the bodies above would have been refused for something else; it comes last, as it changes things."""
    one, ids = stage
    asker = Asker(one)
    for method, template, _ in bodies(one):
        reply = asker.ask(method, ids[template], json.dumps(GOOD_BODIES[method, template]).encode())
        fits = reply.status < 300 or 'sitemap' in template and reply.status == 502      # there is no such site
        assert fits, (method, template, reply.status, reply.body)
