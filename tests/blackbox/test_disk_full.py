"""No more room: writes are refused with 507, reads go on, and it recovers when room returns."""
import os
import resource
import subprocess

import pytest
from program import SOURCES, until
from repos import unique

OFFLINE = {'github.api_url': 'https://localhost:1'}


def fill(larder, most=20000):
    """Adds sources until one is refused; returns (ids acknowledged, the refused id, the refusal)."""
    made = []
    for _ in range(most):
        name = unique('fill')
        reply = larder.post(SOURCES, {'repo_url': 'https://github.com/acme/' + name, 'notes': 'n' * 2000,
                                      'description': 'd' * 500})
        if reply.status != 201:
            return made, 'src_acme_' + name, reply
        made.append(reply.json()['id'])
    raise AssertionError('it never was full')


def refuses_and_goes_on(larder):
    """Fills it up and checks how it behaves then; returns what was acknowledged."""
    made, refused, reply = fill(larder)
    assert reply.status == 507 and reply.detail
    assert larder.get('%s/%s' % (SOURCES, refused)).status == 404, 'a refused write was half done'
    until(lambda: larder.get('/readyz').status == 503, 'readiness to turn false')
    until(lambda: 'the store refuses writes' in larder.errors, 'a line about it')
    assert larder.get('/healthz').status == 200
    for source_id in made[::50] + made[-1:]:
        assert larder.source(source_id)['notes'] == 'n' * 2000
    assert larder.get(SOURCES, params={'limit': 100}).status == 200
    return made


def recovers(larder, made):
    until(lambda: larder.get('/readyz').status == 200, 'readiness to come back', pause=0.2)
    until(lambda: 'the store takes writes again' in larder.errors, 'a line about it')
    name = unique('after')
    reply = larder.post(SOURCES, {'repo_url': 'https://github.com/acme/' + name})
    assert reply.status == 201
    larder.command('check')
    larder.restart()
    for source_id in made + [reply.json()['id']]:
        assert larder.source(source_id)


def test_a_full_map(larder):
    one = larder(dict(OFFLINE, **{'store.max_size': '8MiB'}))
    made = refuses_and_goes_on(one)
    gone = made[:len(made) // 2]
    for source_id in gone:
        assert one.delete('%s/%s' % (SOURCES, source_id)).status == 204, 'it must be possible to make room'
    recovers(one, made[len(gone):])
    one.stop()
    one.configure(store__max_size='64MiB')
    one.start()
    assert one.post(SOURCES, {'repo_url': 'https://github.com/acme/' + unique('grown')}).status == 201


def data_file(larder):
    files = [os.path.join(larder.data, name) for name in os.listdir(larder.data)]
    return max(files, key=os.path.getsize)


def test_a_file_size_limit(larder):
    one = larder(OFFLINE)
    one.key
    for _ in range(20):
        one.post(SOURCES, {'repo_url': 'https://github.com/acme/' + unique('before')})
    _, hard = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (os.path.getsize(data_file(one)) + 65536, hard))
    made = refuses_and_goes_on(one)
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    recovers(one, made)


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / 'disk'
    where.mkdir()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', str(where)], check=False,
                          capture_output=True)
    if done.returncode:
        pytest.skip('no right to mount a tmpfs here')
    yield where
    subprocess.run(['umount', '-l', str(where)], check=True)


def fill_disk(where, leaving=0):
    """A file that takes all the room but `leaving` bytes."""
    filler = where / 'filler'
    with open(filler, 'wb', buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            f.truncate(max(0, f.tell() - leaving))
    return filler


def test_a_full_disk(larder, small_disk):
    one = larder(dict(OFFLINE, data_dir=str(small_disk / 'data')), start=False)
    one.data = str(small_disk / 'data')
    one.start()
    one.key
    filler = fill_disk(small_disk, leaving=512 << 10)
    made = refuses_and_goes_on(one)
    filler.unlink()
    recovers(one, made)
    one.stop()


def test_a_start_on_a_full_disk_says_so(larder, small_disk):
    one = larder(dict(OFFLINE, data_dir=str(small_disk / 'data')), start=False)
    fill_disk(small_disk)
    one.start(wait=False)
    assert one.wait_exit() not in (0, None) and one.errors.strip()


def test_a_data_directory_that_cannot_be_written(larder, tmp_path):
    (tmp_path / 'file').write_text('not a folder')
    one = larder({'data_dir': str(tmp_path / 'file')}, start=False)
    one.start(wait=False)
    assert one.wait_exit() not in (0, None) and str(tmp_path / 'file') in one.errors
