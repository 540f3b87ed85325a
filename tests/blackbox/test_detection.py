"""What the detector makes of a tree: types, names, paths and confidence, as users of such lists know them."""
import pytest
import repos
from repos import Repo, found, front, unique

MD = front(name='x', description='An x')


def scan(server, github, files, **fields):
    repo = github.add(Repo('acme', unique('tree'), files))
    source = server.create(repo, **fields)
    assert source['scan_status'] == 'success', source['last_error']
    return source


@pytest.mark.parametrize('make', [repos.skills_repo, repos.plugin_repo, repos.flat_repo, repos.odd_case_repo,
                                  repos.unicode_repo])
def test_fixture_repositories(server, github, make):
    repo = github.add(make())
    source = server.create(repo)
    assert source['scan_status'] == 'success', source['last_error']
    assert server.catalogue(source['id']) == repo.head.expected
    repo.advance()
    server.rescan(source['id'])
    assert server.catalogue(source['id']) == repo.head.expected


CONFIDENCE = {
    'skill with two code files': ({'skills/x/SKILL.md': MD, 'skills/x/a.py': '1', 'skills/x/b.js': '2'}, 67),
    'skill with its manifest only': ({'skills/x/SKILL.md': MD}, 66),
    'skill at the top': ({'my-skill/SKILL.md': MD}, 62),
    'command folder': ({'commands/deploy/COMMAND.md': MD, 'commands/deploy/run.py': '1'}, 41),
    'agent folder': ({'agents/helper/AGENT.md': MD, 'agents/helper/run.py': '1'}, 41),
    'file in a container': ({'commands/a.md': MD}, 75),
    'file one below': ({'commands/x/a.md': MD}, 70),
    'file two below': ({'commands/x/y/a.md': MD}, 65),
    'file far below': ({'commands/a/b/c/d/e/f/g.md': MD}, 50),
    'plugin by its folder': ({'p/.claude-plugin/plugin.json': '{"name": "p"}'}, 98),
    'plugin by its file': ({'p/plugin.json': '{"name": "p"}'}, 95),
    'plugin in Markdown': ({'p/PLUGIN.md': MD}, 90),
    'plugin by its parts': ({'p/README.md': '#', 'p/commands/a.py': '1', 'p/agents/b.py': '2'}, 70),
}


@pytest.mark.parametrize('name', CONFIDENCE)
def test_confidence(server, github, name):
    files, expected = CONFIDENCE[name]
    rows = server.artifacts(scan(server, github, files)['id'])
    assert [row['confidence_score'] for row in rows] == [expected], rows


NOTHING = {
    'code below a hooks folder': {'lib/hooks/useFoo/index.ts': 'x'},
    'hook without a manifest': {'hooks/x/hook.sh': 'x'},
    'containers alone': {'commands/run.py': 'x', 'agents/run.py': 'x'},
    'readme and its like': {'commands/README.md': '#', 'commands/changelog.md': '#', 'agents/LICENSE.md': 'x',
                            'hooks/Contributing.md': 'x'},
    'singular containers': {'command/a.md': MD, 'agent/b.md': MD},
    'plugin at the root': {'.claude-plugin/plugin.json': '{"name": "root"}'},
    'plain documents': {'docs/a.md': MD, 'notes.md': MD},
    'no files': {'.gitkeep': ''},
}


@pytest.mark.parametrize('name', NOTHING)
def test_what_is_not_an_artifact(server, github, name):
    source = scan(server, github, NOTHING[name])
    assert server.catalogue(source['id']) == set() and source['artifact_count'] == 0


def test_a_skill_keeps_its_inner_files_to_itself(server, github):
    source = scan(server, github, {'skills/x/SKILL.md': MD, 'skills/x/commands/inner.md': MD,
                                   'skills/x/agents/inner.md': MD})
    assert found('skill skills/x') == {row for row in server.catalogue(source['id']) if row[0] == 'skill'}
    assert not found('command skills/x/commands/inner.md') & server.catalogue(source['id'])


def test_the_closest_container_decides(server, github):
    source = scan(server, github, {'commands/agents/a.md': MD, 'agents/x/commands/b.md': MD})
    assert server.catalogue(source['id']) == found('agent commands/agents/a.md', 'command agents/x/commands/b.md')


def test_a_skill_at_the_root_is_named_after_the_repository(server, github):
    repo = github.add(repos.root_skill_repo())
    source = server.create(repo)
    rows = server.artifacts(source['id'])
    assert len(rows) == 1 and rows[0]['artifact_type'] == 'skill' and rows[0]['path'] in ('.', '')
    assert rows[0]['name'] in (repo.name, 'lone')


def test_the_root_hint_is_a_folder_not_a_prefix(server, github):
    files = {'skills/a/SKILL.md': MD, 'skills-old/b/SKILL.md': MD, 'other/skills/c/SKILL.md': MD}
    source = scan(server, github, files, root_hint='skills')
    assert server.catalogue(source['id']) == found('skill skills/a')


def test_equal_artifacts_are_counted_once(server, github):
    source = scan(server, github, {'skills/a/SKILL.md': MD, 'old/deep/skills/b/SKILL.md': MD})
    shown = [row for row in server.artifacts(source['id']) if row['status'] != 'excluded']
    assert [row['path'] for row in shown] == ['skills/a']


def test_the_order_does_not_depend_on_chance(server, github):
    files = {'commands/c%02d.md' % i: front(description=str(i)) for i in range(40)}
    orders = [[row['path'] for row in server.artifacts(scan(server, github, files)['id'])] for _ in range(2)]
    assert orders[0] == orders[1] == sorted(orders[0])


# ---- frontmatter and manifests -----------------------------------------------------------------
def entry(server, source, path):
    """What the marketplace says about an entry."""
    by_url = {row['url']: row for row in server.get('/api/v1/cache/marketplace', params={'limit': 500}).json()['items']}
    return by_url['%s/tree/main/%s' % (source['repo_url'], path)]


def test_frontmatter_fills_the_entry(larder, github):
    one = larder()
    source = one.create(github.add(repos.skills_repo(owner='publisher')))
    row = entry(one, source, 'skills/pdf')
    assert row['description'] == 'Reads and writes PDF files'
    assert row['data']['tags'] == ['documents', 'pdf'] and row['data']['version'] == '1.2.0'
    assert row['data']['license'] == 'Apache-2.0' and row['data']['publisher'] == 'publisher'
    assert entry(one, source, 'skills/canvas')['data']['license'] == 'MIT'       # the repository's
    assert next(r for r in one.artifacts(source['id']) if r['name'] == 'pdf')['detected_version'] == '1.2.0'


def test_plugin_manifests_fill_the_entry(larder, github):
    one = larder()
    row = entry(one, one.create(github.add(repos.plugin_repo())), 'plugins/devkit')
    assert row['description'] == 'Everything for a developer' and row['data']['version'] == '2.0.1'


FRONTMATTER = {
    'windows line ends': b'---\r\nname: x\r\ndescription: Meant\r\n---\r\n',
    'byte order mark': b'\xef\xbb\xbf---\nname: x\ndescription: Meant\n---\n',
    'folded text': b'---\nname: x\ndescription: >-\n  Meant\n---\n',
    'quoted': b'---\nname: x\ndescription: "Meant"\n---\n',
    'broken further down': b'---\nname: x\ndescription: Meant\ntags: [a, b\n: : :\n---\n',
    'unknown keys': b'---\nname: x\nother: {a: [1, 2]}\ndescription: Meant\n---\n',
}


@pytest.mark.parametrize('name', FRONTMATTER)
def test_frontmatter_in_every_dress(larder, github, name):
    one = larder()
    source = one.create(github.add(Repo('acme', unique('dress'), {'skills/x/SKILL.md': FRONTMATTER[name]})))
    assert entry(one, source, 'skills/x')['description'] == 'Meant'


@pytest.mark.parametrize('text', [
    b'', b'no frontmatter', b'---\n', b'---\nname: x\n', b'---\n---\n', b'---\n- a\n- b\n---\n', b'---\ntext\n---\n',
    b'---\nname: [1, {2: 3}]\ndescription: {a: b}\ntags: {c: d}\nversion: [1]\n---\n', b'---\n\0\0\0\n---\n',
    b'---\nname: ' + b'x' * 100000 + b'\n---\n', b'---\n' + b'a: b\n' * 50000 + b'---\n',
    b'---\nname: ' + b'[' * 5000 + b'\n---\n', b'---\n? {a: b}\n: c\n---\n',
    b'---\ntags: [' + b'a,' * 20000 + b']\n---\n'], ids=lambda text: repr(text[:16]))
def test_odd_frontmatter_still_leaves_an_entry(server, github, text):
    source = scan(server, github, {'skills/x/SKILL.md': text})
    assert server.catalogue(source['id']) == found('skill skills/x')


def test_frontmatter_alone_makes_artifacts_when_asked(server, github):
    files = {'team/reviewer.md': front(name='reviewer', description='Reviews', tools='Read, Grep', model='opus'),
             'team/ship.md': front(name='ship', description='Ships', argument_hint='[target]', allowed_tools='Bash'),
             'docs/plain.md': '# No frontmatter\n', 'docs/post.md': front(title='Only a title')}
    without = scan(server, github, files)
    assert server.catalogue(without['id']) == set()
    source = scan(server, github, files, enable_frontmatter_detection=True)
    assert server.catalogue(source['id']) == found('agent team/reviewer.md', 'command team/ship.md')
