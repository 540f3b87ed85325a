"""Repositories for the GitHub stand-in, made of plain Python values.

Words: `files` is a dict path -> bytes, str, or Link; a `Commit` is a snapshot of them with the object
ids that git itself would give; a `Repo` has commits, refs, and what GitHub knows about it.  To add a
fixture: write a function that returns a Repo with two commits and say in `expected` what a scan of each
commit must find, as a set of (type, name, path).
"""
import hashlib
import io
import itertools
import tarfile

EPOCH = 1735689600            # 2025-01-01T00:00:00Z: commit n is dated n days later


class Link(str):
    """The target of a symbolic link, as a value in `files`."""


def object_id(kind, data):
    """The id git gives to an object of this kind."""
    return hashlib.sha1(b'%s %d\0' % (kind.encode(), len(data)) + data).hexdigest()


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode('utf-8')


def path_bytes(path):
    """A path as the file system knows it; lone surrogates stand for bytes that are not UTF-8."""
    return path.encode('utf-8', 'surrogateescape')


class Commit:
    """One snapshot: `entries` are the rows of the recursive tree, parents before their children."""

    def __init__(self, files, number, parent, expected=None):
        self.files = files
        self.expected = expected
        self.when = EPOCH + 86400 * number
        self.entries = []         # (path, mode, kind, id, size or None)
        self.tree = self._add_tree('', self._nested())
        who = 'Test <test@example.org> %d +0000' % self.when
        text = 'tree %s\n%sauthor %s\ncommitter %s\n\nCommit %d\n' % (
            self.tree, 'parent %s\n' % parent.sha if parent else '', who, who, number)
        self.sha = object_id('commit', text.encode())
        self.by_path = {row[0]: row for row in self.entries}

    def _nested(self):
        root = {}
        for path, value in self.files.items():
            *folders, name = path.split('/')
            node = root
            for folder in folders:
                node = node.setdefault(folder, {})
            node[name] = value
        return root

    def _add_tree(self, prefix, node):
        rows = []
        # git sorts a folder as if its name ended with a slash
        for name in sorted(node, key=lambda n: path_bytes(n + '/' if isinstance(node[n], dict) else n)):
            value, path = node[name], prefix + name
            if isinstance(value, dict):
                at = len(self.entries)
                self.entries.append(None)
                sha = self._add_tree(path + '/', value)
                self.entries[at] = (path, '040000', 'tree', sha, None)
                rows.append(b'40000 %s\0' % path_bytes(name) + bytes.fromhex(sha))
                continue
            mode = '120000' if isinstance(value, Link) else '100644'
            data = as_bytes(value)
            sha = object_id('blob', data)
            self.entries.append((path, mode, 'blob', sha, len(data)))
            rows.append(b'%s %s\0' % (mode.encode(), path_bytes(name)) + bytes.fromhex(sha))
        return object_id('tree', b''.join(rows))

    def archive(self, owner, name):
        """The tar.gz that `git archive` would make: one top folder, the commit's id as a comment."""
        top = '%s-%s-%s' % (owner, name, self.sha[:7])
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w:gz', compresslevel=1, format=tarfile.PAX_FORMAT,
                          errors='surrogateescape', pax_headers={'comment': self.sha}) as tar:
            for path, mode, kind, _, size in [('', '', 'tree', '', None)] + self.entries:
                info = tarfile.TarInfo(top + '/' + path if path else top)
                info.mtime, info.mode = self.when, 0o775 if kind == 'tree' else 0o664
                if kind == 'tree':
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                elif mode == '120000':
                    info.type, info.linkname = tarfile.SYMTYPE, self.files[path]
                    tar.addfile(info)
                else:
                    info.size = size
                    tar.addfile(info, io.BytesIO(as_bytes(self.files[path])))
        return out.getvalue()


class Repo:
    """`main` (or the default branch) starts at the first commit; `advance()` moves it to the next one."""

    def __init__(self, owner, name, files, expected=None, description='A test repository', topics=(),
                 license='MIT', default_branch='main', private=False):
        self.owner, self.name = owner, name
        self.description, self.topics, self.license = description, list(topics), license
        self.default_branch, self.private = default_branch, private
        self.commits = []
        self.refs = {}            # branch or tag -> commit
        self.tags = []
        self.old_names = set()    # 'owner/name' it once had: answered with a redirect
        self._archives = {}
        self.refs[default_branch] = self.commit(files, expected)

    @property
    def full_name(self):
        return '%s/%s' % (self.owner, self.name)

    @property
    def url(self):
        return 'https://github.com/' + self.full_name

    @property
    def id(self):
        return int(object_id('repo', self.full_name.encode())[:7], 16)

    @property
    def head(self):
        return self.refs[self.default_branch]

    def commit(self, files, expected=None):
        """Add a commit; no ref moves."""
        made = Commit(files, len(self.commits), self.commits[-1] if self.commits else None, expected)
        self.commits.append(made)
        return made

    def tag(self, name, commit):
        self.refs[name] = commit
        self.tags.append(name)

    def advance(self):
        """Move the default branch to the next commit and return it."""
        following = self.commits[self.commits.index(self.head) + 1]
        self.refs[self.default_branch] = following
        return following

    def push(self, files, expected=None):
        """Commit and move the default branch there."""
        self.refs[self.default_branch] = self.commit(files, expected)
        return self.head

    def find(self, ref):
        """The commit that a ref, an id or the beginning of an id names; None when there is none."""
        for prefix in ('refs/heads/', 'heads/', 'refs/tags/', 'tags/'):
            if ref.startswith(prefix):
                ref = ref[len(prefix):]
        if ref == 'HEAD':
            return self.head
        if ref in self.refs:
            return self.refs[ref]
        for commit in self.commits:
            if ref in (commit.sha, commit.tree) or len(ref) >= 7 and commit.sha.startswith(ref):
                return commit
        return None

    def archive(self, commit):
        if commit.sha not in self._archives:
            self._archives[commit.sha] = commit.archive(self.owner, self.name)
        return self._archives[commit.sha]


_numbers = itertools.count(1)


def unique(stem):
    """A name nobody else in this run has."""
    return '%s-%d' % (stem, next(_numbers))


def front(body='Text.\n', **fields):
    """A Markdown file with YAML frontmatter; lists are written as flow sequences."""
    lines = ['---']
    for key, value in fields.items():
        text = '[%s]' % ', '.join(value) if isinstance(value, (list, tuple)) else str(value)
        lines.append('%s: %s' % (key.replace('_', '-'), text))
    return '\n'.join(lines + ['---', '', body])


def found(*rows):
    """A set of (type, name, path) from 'type path' texts; the name is the last part without .md."""
    out = set()
    for row in rows:
        kind, path = row.split(' ', 1)
        name = path.rsplit('/', 1)[-1]
        out.add((kind, name[:-3] if name.endswith('.md') and kind != 'mcp' else name, path))
    return out


def skills_repo(owner='acme', name=None, **about):
    """Three skills; then one is changed, one removed, one added and one left alone."""
    name = name or unique('skills')
    base = {
        'README.md': '# Skills of %s\n\nThree things to know.\n' % owner,
        'LICENSE': 'MIT\n',
        'skills/pdf/SKILL.md': front(name='pdf', title='PDF tools', description='Reads and writes PDF files',
                                     tags=['documents', 'pdf'], version='1.2.0', license='Apache-2.0'),
        'skills/pdf/scripts/fill.py': 'print("fill")\n',
        'skills/pdf/reference.md': '# Reference\n',
        'skills/sheets/SKILL.md': front(name='sheets', description='Works on tables', tags=['documents']),
        'skills/canvas/SKILL.md': front(name='canvas', description='Draws'),
        'skills/canvas/draw.py': 'print("draw")\n',
        'skills/canvas/shape.js': 'export default 1\n',
    }
    later = dict(base)
    del later['skills/sheets/SKILL.md']
    later['skills/canvas/draw.py'] = 'print("draw better")\n'
    later['skills/slides/SKILL.md'] = front(name='slides', description='Makes slides')
    about.setdefault('description', 'Skills for documents')
    about.setdefault('topics', ['skills', 'documents'])
    repo = Repo(owner, name, base,
                found('skill skills/pdf', 'skill skills/sheets', 'skill skills/canvas'), **about)
    repo.commit(later, found('skill skills/pdf', 'skill skills/canvas', 'skill skills/slides'))
    return repo


def plugin_repo(owner='acme', name=None, **about):
    """A plugin with members of every type, and a bundle recognised by its folders alone."""
    name = name or unique('plugins')
    base = {
        'README.md': '# Plugins\n',
        'plugins/devkit/.claude-plugin/plugin.json':
            '{"name": "devkit", "description": "Everything for a developer", "version": "2.0.1"}\n',
        'plugins/devkit/commands/deploy.md': front(name='deploy', description='Ships it'),
        'plugins/devkit/commands/git/commit.md': front(description='Writes the message'),
        'plugins/devkit/agents/reviewer.md': front(name='reviewer', description='Reads', model='opus'),
        'plugins/devkit/hooks/format/HOOK.md': front(name='format', description='Formats on save'),
        'plugins/devkit/hooks/format/format.py': 'print()\n',
        'plugins/devkit/mcp/issues/server.json': '{"name": "issues"}\n',
        'plugins/devkit/mcp/issues/index.ts': 'export {}\n',
        'plugins/devkit/skills/release/SKILL.md': front(name='release', description='Cuts a release'),
        'bundle/README.md': '# Bundle\n',
        'bundle/commands/hello.md': front(description='Says hello'),
        'bundle/agents/greeter.md': front(description='Greets'),
    }
    names = found('composite plugins/devkit', 'command plugins/devkit/commands/deploy.md',
                  'command plugins/devkit/commands/git/commit.md', 'agent plugins/devkit/agents/reviewer.md',
                  'hook plugins/devkit/hooks/format', 'mcp plugins/devkit/mcp/issues',
                  'skill plugins/devkit/skills/release', 'composite bundle',
                  'command bundle/commands/hello.md', 'agent bundle/agents/greeter.md')
    repo = Repo(owner, name, base, names, **about)
    later = dict(base)
    later['plugins/devkit/commands/rollback.md'] = front(description='Takes it back')
    repo.commit(later, names | found('command plugins/devkit/commands/rollback.md'))
    return repo


def flat_repo(owner='acme', name=None, **about):
    """Containers at the top with single files, and the neighbours that must not be taken for artifacts."""
    name = name or unique('flat')
    base = {
        'README.md': '# Flat\n', 'CHANGELOG.md': '# Changes\n', 'src/main.py': 'print()\n',
        'commands/README.md': '# What is here\n',
        'commands/build.md': front(description='Builds'),
        'commands/nested/test.md': front(description='Tests'),
        'commands/a/b/deep.md': front(description='Far down'),
        'agents/helper.md': front(description='Helps', model='sonnet'),
        'lib/hooks/useFoo/index.ts': 'export {}\n',
        'docs/guide.md': '# Guide\n',
    }
    names = found('command commands/build.md', 'command commands/nested/test.md',
                  'command commands/a/b/deep.md', 'agent agents/helper.md')
    repo = Repo(owner, name, base, names, **about)
    later = dict(base)
    later['agents/second.md'] = front(description='Helps more')
    repo.commit(later, names | found('agent agents/second.md'))
    return repo


def root_skill_repo(owner='acme', name=None, **about):
    """The repository itself is one skill."""
    name = name or unique('one-skill')
    base = {'SKILL.md': front(name='lone', description='A skill that is a whole repository', version='0.3.0'),
            'README.md': '# Lone\n', 'scripts/run.py': 'print()\n'}
    repo = Repo(owner, name, base, **about)
    repo.commit(dict(base, **{'scripts/run.py': 'print(2)\n'}))
    return repo


def odd_case_repo(owner='acme', name=None, **about):
    """Manifests and containers in every letter case."""
    name = name or unique('case')
    base = {'Skills/Foo/Skill.md': front(description='Mixed'),
            'skills/loud/SKILL.MD': front(description='Loud'),
            'AGENTS/quiet/agent.md': front(description='Quiet'),
            'Commands/Go.md': front(description='Goes')}
    names = found('skill Skills/Foo', 'skill skills/loud', 'agent AGENTS/quiet', 'command Commands/Go.md')
    repo = Repo(owner, name, base, names, **about)
    repo.commit(dict(base, **{'README.md': '# Case\n'}), names)
    return repo


def unicode_repo(owner='acme', name=None, **about):
    """Names beyond ASCII, with blanks, and with the wildcards of other search engines."""
    name = name or unique('unicode')
    base = {'skills/Überblick/SKILL.md': front(description='Größe und Übersicht', tags=['über']),
            'skills/日本語/SKILL.md': front(description='日本語の説明'),
            'commands/two words.md': front(description='Blank inside'),
            'commands/50%_off.md': front(description='Wildcards are ordinary here'),
            'agents/émile🚀.md': front(description='Rocket')}
    names = found('skill skills/Überblick', 'skill skills/日本語', 'command commands/two words.md',
                  'command commands/50%_off.md', 'agent agents/émile🚀.md')
    repo = Repo(owner, name, base, names, **about)
    repo.commit(dict(base, **{'README.md': '# Unicode\n'}), names)
    return repo


def commands_repo(names, owner='acme', name=None, folder='commands', **about):
    """One single-file command per name; the second commit drops the last."""
    name = name or unique('many')
    files = {'%s/%s.md' % (folder, n): front(description='Does ' + n) for n in names}
    repo = Repo(owner, name, files, **about)
    fewer = dict(files)
    fewer.pop(next(reversed(files)))
    repo.commit(fewer)
    return repo


def large_repo(count, owner='acme', name=None, every=50, **about):
    """`count` files, every `every`-th of them the manifest of a skill."""
    name = name or unique('large')
    files, expected = {}, set()
    for i in range(count):
        if i % every == 0:
            folder = 'skills/skill-%05d' % (i // every)
            files[folder + '/SKILL.md'] = front(name='skill-%05d' % (i // every), description='Number %d' % i)
            expected |= found('skill ' + folder)
        else:
            files['%s/part/%05d.py' % (folder, i)] = 'print(%d)\n' % i
    repo = Repo(owner, name, files, expected, **about)
    repo.commit(dict(files, **{'skills/skill-00000/extra.py': 'print()\n'}), expected)
    return repo
