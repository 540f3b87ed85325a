"""Archives that mean harm: the scan stays within its bounds, follows nothing, and says what it left out."""
import os

import archives
import pytest
import repos
from program import MB, ROOM, until
from repos import front, unique

HONEST = {'skills/honest/SKILL.md': archives.HONEST, 'README.md': '# Honest\n'}


def scan(larder, github, data, truncated=True, files=HONEST, patience=None, **options):
    """A server that scans a repository whose archive is `data`; `truncated`: the tree leaves it to the archive."""
    one = larder(options)
    repo = github.add(repos.Repo('acme', unique('evil'), files))
    if truncated:
        github.fault(repo.full_name + '/git/trees', 'truncated', times=99)
    github.fault(repo.full_name + '/legacy.tar.gz', 'body', times=99, data=data)
    before = one.resident
    source = one.create(repo)
    assert one.resident - before < 200 * ROOM
    assert one.get('/healthz').status == 200
    if source['scan_status'] == 'error':
        assert len(source['last_error'].split()) >= 3 and source['artifact_count'] == 0
    return one, source


def names(one, source):
    return {name for _, name, _ in one.catalogue(source['id'])}


@pytest.mark.parametrize('truncated', [False, True])
@pytest.mark.parametrize('make', [archives.climbing, archives.linking])
def test_paths_and_links_out_of_the_tree_are_left_out(larder, github, make, truncated):
    one, source = scan(larder, github, make(), truncated)
    assert source['scan_status'] == 'success', source['last_error']
    found = names(one, source)
    assert 'honest' in found
    assert not [name for name in found if name.startswith('evil')]
    one.stop()
    assert b'root:' not in one.bytes_left_behind(), 'a link out of the tree was followed'
    assert set(os.listdir(one.folder)) == {'data', 'larder.yaml', 'stdout', 'stderr'}


def test_a_link_to_a_secret_never_shows_it(larder, github, tmp_path):
    secret = tmp_path / 'secret.md'
    secret.write_text(front(name='stolen', description='stolen words'))
    one, source = scan(larder, github, archives.linking(str(secret)))
    assert one.search('stolen')['total'] == 0
    rows = one.get('/api/v1/cache/marketplace').json()['items']
    assert 'stolen' not in str(rows)


def test_a_bomb_is_defused(larder, github):
    one, source = scan(larder, github, archives.bomb(1024), **{'sources.max_archive_bytes': '64MiB'})
    assert source['scan_status'] in ('success', 'error')
    if source['scan_status'] == 'success':
        assert names(one, source) == {'honest'}
    else:
        assert 'limit is' in source['last_error'] and 'sources.max_archive_bytes' in source['last_error']


def test_a_bomb_is_defused_with_the_limits_as_they_come(larder, github):
    one, _ = scan(larder, github, archives.bomb(4096))
    assert one.cpu < 60


@pytest.mark.parametrize('truncated', [False, True])
def test_two_hundred_thousand_entries_are_bounded(larder, github, truncated):
    one, source = scan(larder, github, archives.many_entries(200000), truncated, **{'sources.max_entries': 1000})
    if source['scan_status'] == 'success':
        assert names(one, source) == {'honest'}
    one, source = scan(larder, github, archives.many_entries(200000), truncated)
    assert source['scan_status'] in ('success', 'error')


@pytest.mark.parametrize('make', [archives.truncated, archives.bad_crc, archives.not_gzip, archives.nothing,
                                  archives.lying_size, archives.bad_header])
def test_a_broken_archive_is_an_error_and_keeps_the_catalogue(larder, github, make):
    one = larder()
    repo = github.add(repos.skills_repo())
    source = one.create(repo)
    repo.advance()
    github.fault(repo.full_name + '/legacy.tar.gz', 'body', times=99, data=make())
    done = one.rescan(source['id'])
    assert done['scan_status'] == 'error' and len(done['last_error'].split()) >= 3
    assert one.catalogue(source['id']) == repo.commits[0].expected
    assert done['last_sync_at'] == source['last_sync_at']
    github.clear_faults()
    until(lambda: one.rescan(source['id'])['scan_status'] == 'success', 'the good scan', pause=1)
    assert one.catalogue(source['id']) == repo.head.expected


@pytest.mark.parametrize('kind', ['half', 'close', 'reset', 'loop', 'to_plain', 'oversized', 500, 404])
def test_an_archive_that_does_not_arrive(larder, github, kind):
    one = larder({'sources.max_archive_bytes': '16MiB'})
    repo = github.add(repos.skills_repo())
    source = one.create(repo)
    repo.advance()
    before = one.resident
    github.fault(repo.full_name + '/legacy.tar.gz', kind, times=99, size=1 << 30)
    done = one.rescan(source['id'])
    assert done['scan_status'] == 'error' and len(done['last_error'].split()) >= 3
    assert kind != 'oversized' or 'max_archive_bytes, which is 16777216' in done['last_error']
    assert one.resident - before < 100 * ROOM
    assert one.catalogue(source['id']) == repo.commits[0].expected
    github.clear_faults()
    until(lambda: one.rescan(source['id'])['scan_status'] == 'success', 'the good scan', pause=1)


def test_a_slow_archive_arrives(larder, github):
    one = larder()
    repo = github.add(repos.skills_repo())
    github.fault(repo.full_name + '/legacy.tar.gz', 'drip')
    assert one.create(repo)['scan_status'] == 'success'


@pytest.mark.parametrize('truncated', [False, True])
def test_bytes_that_are_not_utf_8_come_out_as_valid_json(larder, github, truncated):
    files = dict(HONEST, **{'skills/bad-\udcff\udcfe-name/SKILL.md': 'x', 'skills/latin/SKILL.md': 'x',
                            'skills/binary/SKILL.md': 'y'}) if not truncated else HONEST
    one, source = scan(larder, github, archives.foreign_bytes(), truncated, files)
    assert source['scan_status'] == 'success', source['last_error']
    assert {'honest', 'latin', 'binary'} <= names(one, source)
    for path in ('/api/v1/cache/marketplace', '/api/v1/marketplace/sources/%s/artifacts' % source['id']):
        assert one.get(path).json()['items']         # decoded strictly
    one.command('check')


LAUGHS = '\n'.join(['a0: &a0 ["ha", "ha", "ha", "ha", "ha", "ha", "ha", "ha", "ha"]'] + [
    'a%d: &a%d [%s]' % (i, i, ', '.join(['*a%d' % (i - 1)] * 9)) for i in range(1, 10)])
HOSTILE = {
    'ten megabytes': b'---\nname: honest\ndescription: ' + b'x' * (10 * MB) + b'\n---\n',
    'ten megabytes without an end': b'---\n' + b'k: v\n' * (2 * MB),
    'aliases that multiply': ('---\nname: honest\n%s\ndescription: *a9\n---\n' % LAUGHS).encode(),
    'an alias to itself': b'---\nname: &a [*a]\ndescription: *a\n---\n',
    'an alias that is nowhere': b'---\nname: *a\n---\n',
    'tags of another language': b'---\nname: !!python/object/apply:os.system ["true"]\n---\n',
    'nesting': b'---\nname: honest\nx: ' + b'{a: ' * 20000 + b'\n---\n',
    'zero bytes': b'---\nname: ho\0nest\n---\n',
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_frontmatter_leaves_an_entry_and_no_harm(larder, github, name):
    one = larder()
    repo = github.add(repos.Repo('acme', unique('yaml'), {'skills/honest/SKILL.md': HOSTILE[name],
                                                         'skills/other/SKILL.md': front(description='fine')}))
    before = one.resident
    source = one.create(repo)
    assert source['scan_status'] == 'success', source['last_error']
    assert names(one, source) == {'honest', 'other'}
    assert one.resident - before < 150 * ROOM and one.cpu < 60
    rows = one.get('/api/v1/cache/marketplace').json()['items']
    assert max(len(str(row)) for row in rows) < 20000


def test_deep_and_long_paths_are_bounded(larder, github):
    deep = 'skills/' + 'd/' * 300 + 'SKILL.md'
    long = 'skills/' + 'n' * 5000 + '/SKILL.md'
    one = larder()
    repo = github.add(repos.Repo('acme', unique('paths'), dict(HONEST, **{deep: 'x', long: 'x'})))
    source = one.create(repo)
    assert source['scan_status'] == 'success', source['last_error']
    assert 'honest' in names(one, source)
    one.command('check')
