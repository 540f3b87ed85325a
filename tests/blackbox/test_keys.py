"""API keys: made, listed and revoked on the command line, whether a server runs or not."""
import os
import stat

import pytest
from program import CACHE, until

STATUS = CACHE + '/status'


def key_id(larder, label):
    """The id of the one key with this label, as `key list` shows it."""
    rows = [line.split() for line in larder.command('key', 'list').stdout.splitlines() if label in line]
    assert len(rows) == 1, rows
    return rows[0][0]


def test_the_first_start_leaves_an_admin_key(larder):
    one = larder()
    path = os.path.join(one.data, 'admin.key')
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert path in one.output + one.errors or 'admin.key' in one.output + one.errors
    assert one.admin_key not in one.output + one.errors
    assert one.get(STATUS, key=one.admin_key).status == 200


def test_the_admin_key_is_made_once(larder):
    one = larder()
    first = one.admin_key
    one.restart()
    assert one.admin_key == first and one.get(STATUS, key=first).status == 200
    os.remove(os.path.join(one.data, 'admin.key'))
    one.restart()
    assert not os.path.exists(os.path.join(one.data, 'admin.key'))
    assert one.get(STATUS, key=first).status == 200


def test_a_store_with_keys_gets_no_admin_key(larder):
    one = larder(start=False)
    key = one.new_key('mine')
    one.start()
    assert not os.path.exists(os.path.join(one.data, 'admin.key'))
    assert one.get(STATUS, key=key).status == 200


def test_keys_come_and_go_while_the_server_runs(larder):
    one = larder()
    key = one.new_key('short-lived')
    assert one.get(STATUS, key=key).status == 200
    one.command('key', 'revoke', key_id(one, 'short-lived'))
    until(lambda: one.get(STATUS, key=key).status == 401, 'the key to be refused')
    assert 'short-lived' not in one.command('key', 'list').stdout


def test_keys_come_and_go_while_no_server_runs(larder):
    one = larder()
    kept, dropped = one.new_key('kept'), one.new_key('dropped')
    one.stop()
    later = one.new_key('later')
    one.command('key', 'revoke', key_id(one, 'dropped'))
    one.start()
    assert [one.get(STATUS, key=key).status for key in (kept, dropped, later)] == [200, 401, 200]


def test_the_list_names_keys_without_giving_them_away(larder):
    one = larder()
    key = one.new_key('somebody', scopes=('cache:read',))
    text = one.command('key', 'list').stdout
    assert 'somebody' in text and 'cache:read' in text
    assert key not in text and one.admin_key not in text


def test_each_key_is_another(larder):
    one = larder(start=False)
    keys = {one.new_key('same label') for _ in range(5)}
    assert len(keys) == 5 and all(len(key) >= 40 for key in keys)


def test_secrets_are_nowhere_but_where_they_belong(larder):
    one = larder({'log.level': 'debug', 'log.access': True})
    keys = [one.admin_key, one.new_key('a'), one.new_key('b')]
    for key in keys:
        assert one.get(STATUS, key=key).status == 200
        assert one.get(STATUS, key=None, headers={'X-API-Key': key}).status == 200
        one.get(STATUS + '?key=' + key, key=None)
    one.stop()
    left = one.bytes_left_behind()
    for key in keys:
        assert key.encode() not in left


@pytest.mark.parametrize('args', [('key', 'new'), ('key', 'revoke'), ('key',), ('key', 'frob'),
                                  ('key', 'new', '--label'), ('key', 'new', '--label', 'x', '--scope', 'nonsense'),
                                  ('key', 'new', '--label', 'x', '--rate', 'sometimes')])
def test_wrong_usage_exits_2_with_one_line(larder, args):
    one = larder(start=False)
    done = one.command(*args, status=None)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and not done.stdout


def test_only_a_new_key_makes_a_store(larder):
    one = larder(start=False)
    for args in (('key', 'revoke', '0123456789ab'), ('key', 'list')):
        assert 'there is no store' in one.command(*args, status=1).stderr
        assert not os.path.exists(one.data)


def test_revoking_what_is_not_there_fails(larder):
    one = larder(start=False)
    one.new_key('x')
    done = one.command('key', 'revoke', '0123456789ab', status=1)
    assert '0123456789ab' in done.stderr
