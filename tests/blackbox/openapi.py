"""Holds every JSON answer against the server's own OpenAPI document, and remembers which rows were called.

`Document(parsed).check(method, path, status, body)` raises AssertionError when the answer is not what the
document says.  `called` collects (method, path of the document) over the whole run; test_zz_coverage.py
reads it last.  The schema language is the part of JSON Schema 2020-12 that a document made from rows needs;
a keyword it does not know is an error, so that nothing is skipped silently.
"""
import re

called = set()
METHODS = ('get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace')
NOTES = {'description', 'title', 'example', 'examples', 'default', 'deprecated', 'readOnly', 'writeOnly',
         '$comment', 'contentMediaType', 'format', 'externalDocs', 'xml'}
TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'null': type(None)}


def is_type(value, name):
    if name == 'integer':
        return is_type(value, 'number') and value % 1 == 0
    if name == 'number':
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


class Document:
    def __init__(self, parsed):
        self.parsed = parsed
        self.rows = []                      # (method, template, pattern, operation)
        for template, item in parsed['paths'].items():
            pattern = re.compile(re.sub(r'\\\{[^}]*\\\}', '[^/]+', re.escape(template)) + '$')
            for method in METHODS:
                if method in item:
                    self.rows.append((method.upper(), template, pattern, item[method]))

    def resolve(self, node):
        while isinstance(node, dict) and '$ref' in node:
            at = self.parsed
            for part in node['$ref'].lstrip('#/').split('/'):
                at = at[part.replace('~1', '/').replace('~0', '~')]
            node = at
        return node

    def row(self, method, path):
        """The row that answers a request; a literal path wins over one with parameters."""
        method = 'GET' if method == 'HEAD' else method
        fitting = [row for row in self.rows if row[0] == method and row[2].match(path)]
        return min(fitting, key=lambda row: row[1].count('{'), default=None)

    def check(self, method, path, status, body, media='application/json'):
        row = self.row(method, path)
        if row is None:
            return
        _, template, _, operation = row
        called.add((row[0], template))
        where = '%s %s -> %d' % (method, template, status)
        responses = operation['responses']
        for name in (str(status), '%dXX' % (status // 100), 'default'):
            if name in responses:
                break
        else:
            raise AssertionError('%s: the document does not know this status' % where)
        content = self.resolve(responses[name]).get('content', {})
        if method == 'HEAD' or status in (204, 304):
            return
        assert media in content, '%s: the document does not know a body of %s' % (where, media)
        schema = content[media].get('schema')
        if schema is not None and media == 'application/json':
            self.fits(body, schema, where)
            known = self.members(schema)
            if isinstance(body, dict) and known is not None:
                assert body.keys() <= known, '%s: the document does not know %s' % (where, sorted(body.keys() - known))

    def members(self, schema):
        """The names that the schema has for an object's members; None where it leaves them open."""
        schema = self.resolve(schema)
        parts = [self.members(sub) for rule in ('allOf', 'anyOf', 'oneOf') for sub in schema.get(rule, ())]
        if schema.get('additionalProperties') or None in parts or not (parts or 'properties' in schema):
            return None
        return set(schema.get('properties', ())).union(*parts)

    # ---- JSON Schema ---------------------------------------------------------------------------
    def fits(self, value, schema, where):
        schema = self.resolve(schema)
        if schema is True:
            return
        assert schema is not False, '%s: nothing may stand here' % where
        for keyword, rule in schema.items():
            if keyword in NOTES or keyword in ('then', 'else'):
                continue
            check = getattr(self, 'on_' + keyword.lstrip('$').lower(), None)
            assert check, '%s: keyword %s is not known to openapi.py' % (where, keyword)
            good = check(value, rule, schema, where)
            assert good, '%s: %s breaks %s: %r' % (where, repr(value)[:300], keyword, rule)

    def accepts(self, value, schema, where):
        try:
            self.fits(value, schema, where)
            return True
        except AssertionError:
            return False

    def on_type(self, value, rule, _, __):
        return any(is_type(value, name) for name in (rule if isinstance(rule, list) else [rule]))

    def on_properties(self, value, rule, _, where):
        if isinstance(value, dict):
            for name, sub in rule.items():
                if name in value:
                    self.fits(value[name], sub, '%s.%s' % (where, name))
        return True

    def on_additionalproperties(self, value, rule, schema, where):
        if isinstance(value, dict):
            for name in value.keys() - schema.get('properties', {}).keys():
                self.fits(value[name], rule, '%s.%s' % (where, name))
        return True

    def on_items(self, value, rule, _, where):
        if isinstance(value, list):
            for i, one in enumerate(value):
                self.fits(one, rule, '%s[%d]' % (where, i))
        return True

    def on_allof(self, value, rule, _, where):
        for sub in rule:
            self.fits(value, sub, where)
        return True

    def on_anyof(self, value, rule, _, where):
        return any(self.accepts(value, sub, where) for sub in rule)

    def on_oneof(self, value, rule, _, where):
        return sum(self.accepts(value, sub, where) for sub in rule) == 1

    def on_required(self, value, rule, *_):
        return not isinstance(value, dict) or all(name in value for name in rule)

    def on_dependentrequired(self, value, rule, *_):
        return not isinstance(value, dict) or all(set(names) <= value.keys() for first, names in rule.items()
                                                  if first in value)

    def on_enum(self, value, rule, *_):
        return value in rule

    def on_const(self, value, rule, *_):
        return value == rule

    def on_minimum(self, value, rule, *_):
        return not is_type(value, 'number') or value >= rule

    def on_maximum(self, value, rule, *_):
        return not is_type(value, 'number') or value <= rule

    def on_minlength(self, value, rule, *_):
        return not isinstance(value, str) or len(value) >= rule

    def on_maxlength(self, value, rule, *_):
        return not isinstance(value, str) or len(value) <= rule

    def on_minitems(self, value, rule, *_):
        return not isinstance(value, list) or len(value) >= rule

    def on_maxitems(self, value, rule, *_):
        return not isinstance(value, list) or len(value) <= rule

    def on_pattern(self, value, rule, *_):
        return not isinstance(value, str) or re.search(rule, value) is not None
