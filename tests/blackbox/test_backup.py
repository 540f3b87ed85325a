"""`larder backup DIR`: a consistent copy, taken while the server serves and is written to."""
import json
import os
import threading

import repos
from program import SOURCES
from wire import request


def test_a_backup_under_load_is_a_whole_store(larder, github, tmp_path):
    one = larder()
    source = one.create(github.add(repos.skills_repo()))
    key, busy, failures = one.key, threading.Event(), []

    def write():
        with one.wire() as wire:
            i = 0
            while not busy.is_set():
                i += 1
                headers = {'Authorization': 'Bearer ' + key, 'Content-Type': 'application/json'}
                body = json.dumps({'notes': 'n%d' % i, 'tags': ['t%d' % (i % 9)]}).encode()
                if wire.send(request('PATCH', '%s/%s' % (SOURCES, source['id']), headers, body)).reply().status != 200:
                    failures.append(i)
    thread = threading.Thread(target=write)
    thread.start()
    copies = [str(tmp_path / ('copy%d' % i)) for i in range(3)]
    for copy in copies:
        one.command('backup', copy)
    busy.set()
    thread.join()
    assert not failures
    notes = []
    for copy in copies:
        other = larder({'data_dir': copy})
        other.data = copy
        other.command('check')
        found = other.get('%s/%s' % (SOURCES, source['id']), key=key).json()
        assert found['artifact_count'] == 3 and len(other.get(
            '%s/%s/artifacts' % (SOURCES, source['id']), key=key).json()['items']) == 3
        assert found['notes'] is None or found['tags'] == ['t%d' % (int(found['notes'][1:]) % 9)]
        notes.append(int((found['notes'] or 'n0')[1:]))
        assert other.get('/api/v1/cache/search?query=pdf', key=key).json()['total'] == 1
    assert notes == sorted(notes)


def test_a_backup_without_a_server(larder, github, tmp_path):
    one = larder()
    source = one.create(github.add(repos.skills_repo()))
    one.stop()
    copy = str(tmp_path / 'copy')
    one.command('backup', copy)
    other = larder({'data_dir': copy})
    other.data = copy
    assert other.source(source['id'])['artifact_count'] == 3


def test_a_backup_is_for_its_owner_only(larder, tmp_path):
    one = larder()
    copy = tmp_path / 'copy'
    one.command('backup', str(copy))
    for name in os.listdir(copy):
        assert os.stat(copy / name).st_mode & 0o077 == 0, name


def test_a_backup_that_cannot_be_made_fails(larder, tmp_path):
    one = larder()
    (tmp_path / 'file').write_text('x')
    one.command('backup', str(tmp_path / 'taken'))
    for where in (tmp_path / 'file', tmp_path / 'taken', '/proc/nowhere'):
        done = one.command('backup', str(where), status=1)
        assert str(where) in done.stderr
    one.command('backup', str(tmp_path / 'another'))


def test_a_store_whose_file_was_cut_short_is_refused_with_a_word(larder, github, tmp_path):
    """LMDB reads its file through memory: what is missing must not end as a bus error."""
    one = larder()
    one.create(github.add(repos.skills_repo()))
    one.stop()
    whole = (tmp_path / 'whole')
    one.command('backup', str(whole))
    path, bytes_of_it = os.path.join(one.data, 'data.mdb'), (whole / 'data.mdb').read_bytes()
    for cut in (1, 4096, 4097, 8192, 3 * 4096, len(bytes_of_it) // 2, len(bytes_of_it) - 4096, len(bytes_of_it) - 1):
        with open(path, 'wb') as f:
            f.write(bytes_of_it[:cut])
        for args in (['check'], ['serve', '--set', 'listen=unix:' + str(tmp_path / 'sock')]):
            done = one.command(*args, status=1)
            assert done.stderr.count('\n') == 1 and 'cut short' in done.stderr, (cut, done.stderr)
    with open(path, 'wb') as f:
        f.write(bytes_of_it)
    one.command('check')
