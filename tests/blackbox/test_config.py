"""Configuration and command line: refused when wrong, with the place; changed live where it can be."""
import json
import os
import re
import signal
import subprocess

import pytest
import yaml
from program import BINARY, CACHE, SOURCES, environment, run, until

KEYS = '''listen data_dir log.level log.format log.access http.max_header_bytes http.max_body_bytes
    http.header_timeout http.body_timeout http.idle_timeout http.max_connections http.trusted_proxies
    access.sources access.metrics limits.requests_per_minute limits.requests_per_hour
    limits.concurrent_requests github.api_url github.token github.token_file github.ca_file
    github.concurrency sources.rescan_interval sources.max_archive_bytes sources.max_entries
    projects.roots projects.refresh_interval projects.ttl projects.refresh_concurrency store.max_size'''.split()
EXAMPLE = os.path.join(os.path.dirname(__file__), '..', '..', 'etc', 'larder.yaml')
COMMANDS = [(), ('serve',), ('key',), ('key', 'new'), ('key', 'list'), ('key', 'revoke'), ('check',),
            ('backup',), ('config',), ('config', 'show'), ('config', 'check'), ('version',)]


@pytest.fixture
def check(tmp_path):
    """Writes a configuration and lets `config check` look at it."""
    def write(text, *args, env=None):
        path = tmp_path / 'given.yaml'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return run('config', 'check', '-c', str(path), *args, env=env)
    return write


def flat(tree, prefix=''):
    for name, value in (tree or {}).items():
        if isinstance(value, dict):
            yield from flat(value, prefix + name + '.')
        else:
            yield prefix + name, value


# ---- the file ----------------------------------------------------------------------------------
def test_the_example_documents_every_key(check):
    with open(EXAMPLE, encoding='utf-8') as f:
        text = f.read()
    for key in KEYS:
        section, _, name = key.rpartition('.')
        assert re.search(r'^\s*#?\s*%s:' % re.escape(name), text, re.M), key
        assert not section or re.search(r'^\s*#?\s*%s:' % section, text, re.M), key
    assert check(text).returncode == 0


def test_an_empty_file_is_fine(check):
    for text in ('', '# nothing\n', '{}\n', '---\n'):
        assert check(text).returncode == 0, text


@pytest.mark.parametrize('text, line, words', [
    ('data_dir: ./x\nfrobnicate: 1\n', 2, 'frobnicate'),
    ('http:\n  idle_timeout: 5s\n  max_hedder_bytes: 1\n', 3, 'max_hedder_bytes'),
    ('listen:\n  - 127.0.0.1:0\nlimits:\n  requests_per_minute: many\n', 4, 'requests_per_minute'),
    ('limits:\n\n\n  requests_per_minute: -1\n', 4, 'requests_per_minute'),
    ('limits: 7\n', 1, 'limits'),
    ('log:\n  level: loud\n', 2, 'level'),
    ('log:\n  access: perhaps\n', 2, 'access'),
    ('http:\n  idle_timeout: 5 parsecs\n', 2, 'idle_timeout'),
    ('http:\n  max_body_bytes: [1]\n', 2, 'max_body_bytes'),
    ('http:\n  trusted_proxies: [10.0.0.0/99]\n', 2, 'trusted_proxies'),
    ('http:\n  max_connections: 99999999999999999999\n', 2, 'max_connections'),
    ('\nlisten: [nonsense]\n', 2, 'listen'),
    ('\nlisten: ["127.0.0.1:99999"]\n', 2, 'listen'),
    ('access:\n  sources: sometimes\n', 2, 'sources'),
    ('github:\n  api_url: ftp://example.org\n', 2, 'api_url'),
    ('github:\n  api_url: https://me:secret@example.org\n', 2, 'api_url'),
    ('github:\n  api_url: https://example.org:70000\n', 2, 'api_url'),
    ('github:\n  token: "ghp_a\\tb"\n', 2, 'token'),
    ('github:\n  concurrency: 0\n', 2, 'concurrency'),
    ('store:\n  max_size: huge\n', 2, 'max_size'),
    ('data_dir: a\ndata_dir: b\n', 2, 'data_dir'),
    ('data_dir: {a: b}\n', 1, 'data_dir'),
])
def test_what_is_wrong_is_named_with_file_and_line(check, text, line, words):
    done = check(text)
    assert done.returncode == 1
    assert 'given.yaml:%d' % line in done.stderr and words in done.stderr


@pytest.mark.parametrize('text', ['listen: [', 'a: b: c', '\tlisten: x', '- a\n- b\n', 'just text\n', b'\xff\xfe\n',
                                  'data_dir: *nowhere\n', 'a: &x [*x]\n', '%YAML 9.9\n---\n'])
def test_files_that_are_no_configuration_are_refused(check, text):
    done = check(text)
    assert done.returncode == 1 and 'given.yaml' in done.stderr


def test_serve_refuses_what_check_refuses(larder):
    one = larder(start=False)
    with open(one.config_file, 'a', encoding='utf-8') as f:
        f.write('\nnonsense: 1\n')
    one.start(wait=False)
    assert one.wait_exit() not in (0, None)
    assert 'nonsense' in one.errors and 'larder.yaml:' in one.errors


def test_files_that_options_name_are_looked_at_too(check, tmp_path):
    (tmp_path / 'no.pem').write_text('no certificate')
    for name in ('nowhere.pem', 'no.pem'):
        done = check('github:\n  ca_file: %s\n' % (tmp_path / name))
        assert done.returncode == 1 and 'github.ca_file' in done.stderr and name in done.stderr


def test_a_set_without_a_value_is_wrong_usage():
    for command in (('serve',), ('config', 'check'), ('check',)):
        done = run(*command, '--set', 'log.level')
        assert done.returncode == 2 and done.stderr.count('\n') == 1 and 'KEY=VALUE' in done.stderr


def test_a_file_that_is_missing_is_named():
    done = run('config', 'check', '-c', '/nowhere/larder.yaml')
    assert done.returncode != 0 and '/nowhere/larder.yaml' in done.stderr


# ---- overrides ---------------------------------------------------------------------------------
def show(larder, *args, env=None):
    done = run('config', 'show', '-c', larder.config_file, *args, env=env)
    assert done.returncode == 0, done.stderr
    return dict(flat(yaml.safe_load(done.stdout)))


def test_show_prints_every_key_as_it_is_in_effect(larder):
    one = larder({'limits.requests_per_minute': 17}, start=False)
    shown = show(one)
    assert set(KEYS) <= set(shown)
    assert shown['limits.requests_per_minute'] == 17 and shown['limits.requests_per_hour'] == 5000
    assert shown['listen'] == ['127.0.0.1:0']


def test_set_beats_environment_beats_file(larder):
    one = larder({'limits.requests_per_minute': 11}, start=False)
    env = environment(LARDER_LIMITS_REQUESTS_PER_MINUTE='22', LARDER_LOG_LEVEL='debug')
    assert show(one)['limits.requests_per_minute'] == 11
    shown = show(one, env=env)
    assert shown['limits.requests_per_minute'] == 22 and shown['log.level'] == 'debug'
    assert show(one, '--set', 'limits.requests_per_minute=33', env=env)['limits.requests_per_minute'] == 33


def test_set_takes_lists(larder, tmp_path):
    one = larder(start=False)
    one.args = ['--set', 'listen=[127.0.0.1:0, "unix:%s"]' % (tmp_path / 'set.sock')]
    one.options['listen'] = ['', '']                 # two lines are to be waited for
    one.start()
    assert len(one.listeners) == 2


def test_serve_obeys_its_overrides(larder):
    one = larder({'limits.requests_per_minute': 11}, args=['--set', 'limits.requests_per_minute=44'])
    assert limit_of(one) == 44
    other = larder({}, env={'LARDER_LIMITS_REQUESTS_PER_MINUTE': '55'})
    assert limit_of(other) == 55


@pytest.mark.parametrize('given', ['nonsense=1', 'limits.requests_per_minute=many', 'log.level=loud', 'listen',
                                   '=1', 'limits=1'])
def test_a_bad_set_is_refused_and_named(check, given):
    done = check('{}', '--set', given)
    assert done.returncode in (1, 2) and (given.partition('=')[0] or 'set') in done.stderr


def test_a_bad_variable_is_refused_and_named(check):
    done = check('{}', env=environment(LARDER_LOG_LEVEL='loud'))
    assert done.returncode == 1 and 'LARDER_LOG_LEVEL' in done.stderr


def test_a_variable_that_looks_like_an_option_s_is_one(check):
    done = check('{}', env=environment(LARDER_HTTP_IDLE_TIMOUT='5s'))
    assert done.returncode == 1 and 'LARDER_HTTP_IDLE_TIMOUT' in done.stderr
    done = check('{}', env=environment(LARDER_BIN='x', LARDER_LOGLEVEL='y'))
    assert done.returncode == 0 and 'LARDER_LOGLEVEL (did you mean log.level?)' in done.stderr


def test_what_show_prints_is_a_configuration(larder, check):
    one = larder({'limits.requests_per_minute': 17, 'http.trusted_proxies': ['unix', '10.0.0.0/8'],
                  'github.token': 'tok-4711', 'data_dir': 'dät"a\\'}, start=False)
    text = run('config', 'show', '-c', one.config_file, '--set', 'log.level=debug').stdout
    assert check(text).returncode == 0
    shown = dict(flat(yaml.safe_load(text)))
    assert shown['http.trusted_proxies'] == ['unix', '10.0.0.0/8'] and shown['data_dir'] == 'dät"a\\'
    assert shown['log.level'] == 'debug' and 'github.token' not in shown


def test_secrets_are_not_shown(larder, tmp_path):
    token_file = tmp_path / 'token'
    token_file.write_text('tok-from-file-4711\n')
    for options in ({'github.token': 'tok-4711'}, {'github.token_file': str(token_file)}):
        one = larder(options, start=False)
        done = run('config', 'show', '-c', one.config_file)
        assert done.returncode == 0 and 'tok-4711' not in done.stdout and 'from-file' not in done.stdout
    done = run('config', 'show', '-c', one.config_file, env=environment(LARDER_GITHUB_TOKEN='tok-4712'))
    assert 'tok-4712' not in done.stdout + done.stderr


def test_a_variable_that_is_no_option_is_warned_of_at_the_start(larder):
    one = larder({}, env={'LARDER_LOGLEVEL': 'debug'})
    assert one.errors.count('LARDER_LOGLEVEL') == 1 and one.get('/healthz').status == 200


def test_an_address_in_brackets_may_be_given_as_it_stands(larder):
    one = larder(start=False)
    one.args = ['--set', 'listen=[::1]:0']
    one.start()
    assert one.listeners[0].startswith('http://[::1]:')


# ---- reload ------------------------------------------------------------------------------------
def limit_of(larder):
    return int(larder.get(CACHE + '/status', key=larder.admin_key).headers['x-ratelimit-limit'])


def test_sighup_takes_up_what_can_change(larder):
    one = larder({'limits.requests_per_minute': 1000})
    assert limit_of(one) == 1000
    one.configure(limits__requests_per_minute=2000)
    one.signal(signal.SIGHUP)
    until(lambda: limit_of(one) == 2000, 'the new limit')


def test_sighup_says_what_cannot_change(larder):
    one = larder()
    port = one.port
    one.configure(listen=['127.0.0.1:1'], limits__requests_per_minute=2000)
    one.signal(signal.SIGHUP)
    until(lambda: limit_of(one) == 2000, 'the new limit')
    assert 'listen' in one.errors
    assert one.port == port and one.get('/healthz').status == 200
    one.configure(listen=['127.0.0.1:0'])


def test_sighup_with_a_broken_file_changes_nothing(larder):
    one = larder({'limits.requests_per_minute': 1000})
    with open(one.config_file, 'a', encoding='utf-8') as f:
        f.write('\nnonsense: 1\n')
    one.signal(signal.SIGHUP)
    until(lambda: 'nonsense' in one.errors, 'the complaint')
    assert limit_of(one) == 1000
    one.configure(limits__requests_per_minute=3000)
    one.signal(signal.SIGHUP)
    until(lambda: limit_of(one) == 3000, 'the mended limit')


def test_sighup_is_all_or_nothing(larder):
    one = larder({'limits.requests_per_minute': 1000})
    good = one.options['github.ca_file']
    one.configure(github__ca_file='/nowhere/ca.pem', limits__requests_per_minute=2000)
    one.signal(signal.SIGHUP)
    until(lambda: '/nowhere/ca.pem' in one.errors, 'the complaint')
    assert limit_of(one) == 1000
    one.configure(github__ca_file=good)
    one.signal(signal.SIGHUP)
    until(lambda: limit_of(one) == 2000, 'the new limit')


def test_sighup_a_hundred_times_leaks_nothing(larder):
    one = larder()
    for _ in range(100):
        one.signal(signal.SIGHUP)
        assert one.get('/healthz').status == 200


def test_sighup_reads_the_files_again_that_options_name(larder, tmp_path):
    token = tmp_path / 'token'
    token.write_text('one')
    token.chmod(0o600)
    one = larder({'github.token_file': str(token)})
    token.write_text('two')
    one.signal(signal.SIGHUP)
    until(lambda: 'github.token' in one.errors, 'the change')
    token.unlink()
    one.signal(signal.SIGHUP)
    until(lambda: str(token) in one.errors, 'the complaint')
    assert one.get('/healthz').status == 200


def test_a_file_that_takes_forever_to_read_holds_nobody_up(larder, tmp_path):
    """Reading is for a worker; and what the end waits for, it does not wait for long."""
    token = tmp_path / 'token'
    token.write_text('one')
    token.chmod(0o600)
    one = larder({'github.token_file': str(token)})
    token.unlink()
    os.mkfifo(token, 0o600)                         # whoever opens it waits for somebody who writes
    one.signal(signal.SIGHUP)
    for _ in range(20):
        assert one.get('/healthz').status == 200
    with open(token, 'w', encoding='utf-8') as f:
        f.write('two')
    until(lambda: 'option=github.token' in one.errors, 'the change')
    one.signal(signal.SIGHUP)
    for _ in range(20):                             # by then a worker has begun
        assert one.get('/healthz').status == 200
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 1
    assert 'waits_for=configuration' in one.errors
    token.unlink()
    token.write_text('three')
    token.chmod(0o600)
    one.start()


# ---- starts that fail ---------------------------------------------------------------------------
def refused(one, *words):
    """It ends with status 1, and the one line about why holds these words."""
    one.start(wait=False)
    assert one.wait_exit() == 1
    said = [line for line in one.errors.splitlines() if line.startswith('larder: ')]
    assert len(said) == 1 and all(str(word) in said[0] for word in words), one.errors
    assert not one.output
    one.check_clean()


def test_a_port_that_is_taken(larder):
    one = larder()
    where = '127.0.0.1:%d' % one.port
    refused(larder({'listen': [where]}, start=False), where, 'in use')
    other = larder({'listen': ['127.0.0.1:0', where]}, start=False)
    refused(other, where, 'in use')
    assert not os.path.exists(other.data)  # nothing is made before that is known
    assert one.get('/healthz').status == 200


def test_a_data_dir_that_another_server_has(larder):
    one = larder()
    refused(larder({'data_dir': one.data}, start=False), one.data, 'another server')
    assert one.get('/healthz').status == 200
    one.restart()


def test_a_data_dir_that_cannot_be(larder, tmp_path):
    (tmp_path / 'file').write_text('x')
    for where in (tmp_path / 'file', tmp_path / 'file' / 'below', tmp_path / 'no' / 'such' / 'folder'):
        refused(larder({'data_dir': str(where)}, start=False), where)


def test_a_first_key_that_cannot_be_told(larder):
    one = larder(start=False)
    os.makedirs(os.path.join(one.data, 'admin.key'))
    refused(one, os.path.join(one.data, 'admin.key'))
    os.rmdir(os.path.join(one.data, 'admin.key'))
    one.start()
    assert one.get(CACHE + '/status', key=one.admin_key).status == 200


def test_a_store_that_is_none(larder):
    one = larder(start=False)
    os.makedirs(one.data)
    with open(os.path.join(one.data, 'data.mdb'), 'wb') as f:
        f.write(b'x' * 100000)
    refused(one, one.data)


@pytest.mark.parametrize('text', [None, '', 'no certificate'])
def test_certificates_that_are_none(larder, tmp_path, text):
    path = tmp_path / 'ca.pem'
    if text is not None:
        path.write_text(text)
    refused(larder({'github.ca_file': str(path)}, start=False), 'github.ca_file', path)


def test_serving_goes_on_with_standard_output_closed(larder):
    """And nothing of ours goes into whatever file has got its number."""
    one = larder({'log.access': True}, start=False)
    one.process = subprocess.Popen(['sh', '-c', 'exec "$@" >&-', 'sh', BINARY, 'serve', '-c', one.config_file],
                                   stderr=open(one.err, 'ab'), env=one.env)
    url = until(lambda: re.search(r'listening=(http://\S+)', one.errors), 'the line that says it listens').group(1)
    one.listeners = [url]
    assert one.get('/healthz', key=None).status == 200
    with open(one.out, 'ab'):
        one.stop()
    one.command('check')


def test_commands_fail_when_their_output_is_lost(larder):
    one = larder()
    with open('/dev/full', 'w', encoding='ascii') as full:
        for args in (('key', 'new', '--label', 'lost'), ('key', 'list'), ('config', 'show'), ('--help',)):
            more = () if args == ('--help',) else ('-c', one.config_file)
            done = subprocess.run([BINARY, *args, *more], stdout=full, stderr=subprocess.PIPE, env=one.env, text=True,
                                  check=False)
            assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, args
    assert 'lost' not in one.command('key', 'list').stdout, 'a key that nobody knows was kept'


# ---- commands ----------------------------------------------------------------------------------
@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_help_is_everywhere(command):
    done = run(*command, '--help')
    assert done.returncode == 0 and done.stdout.lower().count('usage') >= 1 and not done.stderr


def test_help_names_the_commands():
    text = run('--help').stdout
    for word in ('serve', 'key', 'check', 'backup', 'config', 'version'):
        assert word in text


@pytest.mark.parametrize('args', [(), ('frobnicate',), ('serve', 'extra'), ('serve', '--frob'), ('serve', '-c'),
                                  ('serve', '--set'), ('backup',), ('backup', 'a', 'b'), ('config',),
                                  ('config', 'frob'), ('check', 'extra'), ('version', 'extra'), ('-c',)])
def test_wrong_usage_exits_2_with_one_clear_line(args):
    done = run(*args)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.strip().splitlines()) == 1 and 'larder' in done.stderr


def test_version_says_which():
    done = run('version')
    assert done.returncode == 0 and re.match(r'larder \d+\.\d+\.\d+', done.stdout)


def test_check_works_with_and_without_a_server(larder):
    one = larder()
    assert re.match(r'check: ok: \d+ access_keys, 0 sources, 0 entries', one.command('check').stdout)
    one.stop()
    one.command('check')


# ---- logs --------------------------------------------------------------------------------------
def test_the_access_log_is_there_when_asked_for(larder):
    loud, still = larder({'log.access': True}), larder({'log.access': False})
    for one in (loud, still):
        one.get('/healthz', headers={'X-Request-ID': 'find-me'}, key=None)
    until(lambda: 'find-me' in loud.errors, 'the line in the log')
    assert '/healthz' in loud.errors
    still.stop()
    assert 'find-me' not in still.errors


def test_the_log_can_be_json(larder):
    one = larder({'log.format': 'json', 'log.access': True, 'log.level': 'debug'})
    one.get(SOURCES + '/src_a%22b%0a', checked=False)
    one.get(CACHE + '/status', key=None)
    one.stop()
    lines = one.errors.splitlines()
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)


def test_a_request_cannot_forge_lines_of_the_log(larder):
    one = larder({'log.access': True})
    one.get('/a%0d%0aFORGED%20line', headers={'User-Agent': 'x'}, checked=False)
    one.stop()
    assert not any(line.startswith('FORGED') for line in one.errors.splitlines())
