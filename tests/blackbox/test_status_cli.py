"""larder status: what is cached, as people read it, with and without a server."""
import os
import pty
import re
import select
import subprocess
import time

import pytest
import repos
from program import BINARY, CACHE, run, until


def lines(one):
    return dict(re.split(r'\s{2,}', line, maxsplit=1) for line in one.command('status').stdout.splitlines() if line)


def test_it_says_what_get_status_says(larder, github):
    one = larder({'projects.refresh_interval': '365d'})
    one.report('a', [('canvas', '1.0.0', '2.0.0'), ('pdf', '1.0.0', '1.0.0')])
    one.report('b')
    one.create(github.add(repos.skills_repo()))
    until(lambda: one.get(CACHE + '/status').json()['refreshing'] == 0, 'the refreshes')
    status, said = one.get(CACHE + '/status').json(), lines(one)
    assert said['projects'] == '2, 0 stale' and said['artifacts'] == '2, 1 outdated'
    assert said['sources'] == '1, with 3 entries'
    assert said['oldest entry'] == status['oldest_entry'] and said['newest entry'] == status['newest_entry']
    assert said['last refresh'] == status['last_refresh']
    assert said['last run'] == status['refresh_job_status']['last_run_time']
    assert said['next run'] == status['refresh_job_status']['next_run_time']
    assert said['cache size'].endswith(' MB') and said['scheduler'] == 'running'


def test_it_needs_no_server(larder):
    one = larder()
    assert lines(one)['last refresh'] == 'never' and lines(one)['scheduler'] == 'running'
    one.report('a', [('canvas', '1.0.0', '2.0.0')])
    one.stop()
    said = lines(one)
    assert said['projects'].startswith('1, ') and said['artifacts'] == '1, 1 outdated'
    assert said['scheduler'].startswith('not running')
    one.start()


def test_without_a_store_it_fails(larder):
    one = larder(start=False)
    done = one.command('status', status=1)
    assert done.stdout == '' and done.stderr.count('\n') == 1 and 'no store' in done.stderr


@pytest.mark.parametrize('args, status', [(('status', 'x'), 2), (('status', '--nope'), 2), (('status', '--help'), 0),
                                          (('status', '-h'), 0), (('status', '-c', '/no/such'), 1)])
def test_words(args, status):
    done = run(*args)
    assert done.returncode == status
    if status == 0:
        assert 'larder status' in done.stdout and not done.stderr
    else:
        assert done.stderr.startswith('larder: ') and done.stderr.count('\n') == 1


def test_output_that_is_lost_is_a_failure(larder):
    one = larder()
    with open('/dev/full', 'w', encoding='ascii') as full:
        done = subprocess.run([BINARY, 'status', '-c', one.config_file], stdout=full, stderr=subprocess.PIPE,
                              env=one.env, check=False)
    assert done.returncode == 1 and b'standard output' in done.stderr


def test_looking_disturbs_no_start(larder):
    """The look at the server's lock is short, and a start waits for it."""
    one = larder()
    one.stop()
    lookers = [subprocess.Popen([BINARY, 'status', '-c', one.config_file], stdout=subprocess.DEVNULL, env=one.env)
               for _ in range(10)]
    one.start()
    assert [looker.wait() for looker in lookers] == [0] * 10


def on_terminal(one, patience=60):
    """What it writes to a terminal, and its exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(BINARY, [BINARY, 'status', '-c', one.config_file], one.env)
    out, deadline = b'', time.monotonic() + patience
    try:
        while time.monotonic() < deadline:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    more = os.read(fd, 65536)
                except OSError:
                    break
                if not more:
                    break
                out += more
                yield out
    finally:
        os.close(fd)
        _, status = os.waitpid(pid, 0)
    yield status


def test_on_a_terminal_it_follows_what_goes_on(larder, own_github):
    one = larder(standin=own_github)
    own_github.fault('/repos/', 'stall', times=1000)
    one.create(own_github.add(repos.skills_repo()), settled=False)
    until(lambda: 'scanning' in one.command('status').stdout, 'the server to note it')
    shown, released = None, False
    for shown in on_terminal(one):
        if not released and isinstance(shown, bytes) and b'scanning' in shown:
            released = True
            own_github.clear_faults()
    assert released and shown == 0


def test_on_a_terminal_it_ends_when_nothing_goes_on(larder):
    one = larder()
    *_, out, status = on_terminal(one)
    assert status == 0 and b'projects' in out and b'\x1b' not in out
