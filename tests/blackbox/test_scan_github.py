"""Scanning against a GitHub that is thrifty, slow, broken or lying."""
import re
import shutil
import signal
import time

import certs
import pytest
import repos
from program import MB, ROOM, SOURCES, until

# The words a person needs to see in `last_error`, fault by fault.
WORDS = {401: r'credential|token|401|unauthori[sz]ed', 403: r'forbidden|403|refus|denied|limit',
         404: r'not found|404', 422: r'422|not found|no commit|ref', 451: r'451|legal|unavailable',
         500: r'500|server', 502: r'502|server|gateway'}


@pytest.fixture
def repo(github):
    return github.add(repos.skills_repo())


@pytest.fixture
def source(server, repo):
    made = server.create(repo)
    assert made['scan_status'] == 'success', made['last_error']
    return made


def api(github, repo):
    """What the API itself was asked about a repository."""
    return github.seen('/repos/' + repo.full_name)


def is_for_people(text):
    """An error text that somebody can act on: words, not a code, not a dump."""
    assert isinstance(text, str) and 10 <= len(text) <= 500 and len(text.split()) >= 3, text
    assert not re.search(r'0x[0-9a-f]{4}|-?MBEDTLS|UV_E|errno|\bnull\b|[\x00-\x1f]', text), text
    return text


def failed(server, source):
    """The source after a scan that must fail: it says why, and keeps all it had."""
    done = server.rescan(source['id'])
    assert done['scan_status'] == 'error', done
    is_for_people(done['last_error'])
    for name in ('artifact_count', 'counts_by_type', 'last_sync_at'):
        assert done[name] == source[name], name
    return done


def kept(server, source, commit):
    """The catalogue is still that of `commit`, and the next good scan takes the source up again."""
    assert server.catalogue(source['id']) == commit.expected
    return server.rescan(source['id'])


# ---- thrift ------------------------------------------------------------------------------------
@pytest.mark.parametrize('make', [repos.skills_repo, repos.plugin_repo, lambda: repos.large_repo(1500)])
def test_a_first_scan_costs_at_most_four_requests(server, github, make):
    repo = github.add(make())
    done = server.create(repo, import_repo_description=True, import_repo_readme=True)
    assert done['scan_status'] == 'success'
    assert 1 <= len(api(github, repo)) <= 4, [s.target for s in api(github, repo)]
    assert len(github.seen(repo.full_name, role='codeload')) <= 1
    assert server.catalogue(done['id']) == repo.head.expected


def test_a_rescan_of_an_unchanged_ref_costs_one_free_request(server, github, repo, source):
    for _ in range(3):
        github.forget()
        assert server.rescan(source['id'])['scan_status'] == 'success'
        seen = api(github, repo)
        assert [(s.status, 'if-none-match' in s.headers) for s in seen] == [(304, True)]
    assert server.catalogue(source['id']) == repo.head.expected


def test_validators_survive_a_restart(larder, github, repo):
    one = larder()
    source = one.create(repo)
    one.restart()
    github.forget()
    assert one.rescan(source['id'])['scan_status'] == 'success'
    assert [s.status for s in api(github, repo)] == [304]


def test_validators_of_one_credential_are_not_used_for_another(server, github):
    repo = github.add(repos.skills_repo(private=True))
    source = server.create(repo, access_token='standin-token')
    assert source['scan_status'] == 'success' and source['visibility'] == 'private'
    github.forget()
    done = server.rescan(source['id'])               # the token of the request is gone: GitHub hides the repository
    assert done['scan_status'] == 'error' and 'if-none-match' not in api(github, repo)[0].headers
    assert server.catalogue(source['id']) == repo.head.expected


def test_requests_are_as_github_asks_for_them(github, repo, source):
    for seen in api(github, repo):
        assert re.fullmatch(r'larder/\d+\.\d+\.\d+\S*', seen.headers['user-agent'])
        assert 'application/vnd.github' in seen.headers['accept']
        assert seen.headers['x-github-api-version'] == '2022-11-28'
        assert seen.headers['host'].startswith('localhost') and 'authorization' not in seen.headers


def test_connections_to_github_are_kept(larder, own_github):
    one = larder(standin=own_github)
    for _ in range(4):
        assert one.create(own_github.add(repos.skills_repo()))['scan_status'] == 'success'
    assert own_github.accepted('api') <= 4 < len(own_github.seen())


# ---- refs --------------------------------------------------------------------------------------
def test_without_main_the_default_branch_is_taken(server, github):
    repo = github.add(repos.skills_repo(default_branch='trunk'))
    done = server.create(repo)
    assert done['scan_status'] == 'success' and done['ref'] == 'trunk'
    assert server.catalogue(done['id']) == repo.head.expected


def test_a_given_ref_that_is_missing_is_an_error(server, github, repo):
    done = server.create(repo, ref='no-such-branch')
    assert done['scan_status'] == 'error' and 'no-such-branch' in is_for_people(done['last_error'])


@pytest.mark.parametrize('ref', ['v1', 'feature/with-slash', 'sha', 'short'])
def test_tags_branches_and_commits_are_refs(server, github, repo, ref):
    first = repo.head
    repo.advance()
    if ref in ('v1', 'feature/with-slash'):
        repo.tag(ref, first)
    ref = {'sha': first.sha, 'short': first.sha[:9]}.get(ref, ref)
    done = server.create(repo, ref=ref)
    assert done['scan_status'] == 'success' and done['ref'] == ref
    assert server.catalogue(done['id']) == first.expected


def test_a_renamed_repository_is_followed(server, github, repo):
    old = 'acme/' + repos.unique('before')
    repo.old_names.add(old)
    done = server.create('https://github.com/' + old)
    assert done['scan_status'] == 'success'
    assert server.catalogue(done['id']) == repo.head.expected


def test_a_repository_that_does_not_exist_is_an_error(server):
    done = server.create('https://github.com/acme/' + repos.unique('nowhere'))
    assert done['scan_status'] == 'error' and re.search('not found', is_for_people(done['last_error']), re.I)
    assert done['artifact_count'] == 0 and done['last_sync_at'] is None


def test_a_truncated_tree_is_completed_from_the_archive(server, github):
    repo = github.add(repos.large_repo(500))
    github.fault('/git/trees', 'truncated')
    done = server.create(repo)
    assert done['scan_status'] == 'success'
    assert server.catalogue(done['id']) == repo.head.expected


# ---- tokens ------------------------------------------------------------------------------------
def test_the_token_of_the_request_is_used_and_forgotten(larder, github):
    one = larder({'log.level': 'debug', 'log.access': True})
    repo = github.add(repos.skills_repo(private=True))
    body = {'repo_url': repo.url, 'access_token': 'standin-token'}
    reply = one.post(SOURCES, body, headers={'Prefer': 'wait=60'})
    assert reply.json()['scan_status'] == 'success' and b'standin-token' not in reply.body
    assert [s.headers.get('authorization') for s in api(github, repo)] == \
        ['Bearer standin-token'] * len(api(github, repo))
    carried = [s for s in github.seen(repo.full_name, role='codeload') if 'authorization' in s.headers]
    assert not carried, 'the token went to another origin'
    for path in (SOURCES, '%s/%s' % (SOURCES, reply.json()['id']), '/metrics'):
        assert b'standin-token' not in one.get(path).body
    one.stop()
    assert b'standin-token' not in one.bytes_left_behind()


def test_a_wrong_token_is_an_error_that_does_not_repeat_it(larder, github, repo):
    one = larder({'log.level': 'debug'})
    done = one.create(repo, access_token='ghp_wrong4711')
    assert done['scan_status'] == 'error' and re.search(WORDS[401], is_for_people(done['last_error']), re.I)
    one.stop()
    assert b'ghp_wrong4711' not in one.bytes_left_behind() and 'ghp_wrong' not in done['last_error']


@pytest.mark.parametrize('bad', ['a\r\nX-Evil: 1', 'a b', 'tökn', '', 'x' * 100000])
def test_a_token_cannot_carry_headers(server, github, repo, bad):
    reply = server.post(SOURCES, {'repo_url': repo.url, 'access_token': bad}, headers={'Prefer': 'wait=60'})
    assert reply.status in (201, 413, 422)
    assert not [s for s in github.seen() if 'x-evil' in s.headers]


@pytest.mark.parametrize('how', ['github.token', 'github.token_file'])
def test_the_configured_token_is_used(larder, github, tmp_path, how):
    token_file = tmp_path / 'token'
    token_file.write_text('standin-token\n')
    one = larder({how: 'standin-token' if how == 'github.token' else str(token_file), 'log.level': 'debug'})
    repo = github.add(repos.skills_repo(private=True))
    done = one.create(repo)
    assert done['scan_status'] == 'success' and done['visibility'] == 'private'
    assert {s.headers['authorization'] for s in api(github, repo)} == {'Bearer standin-token'}
    one.stop()
    assert b'standin-token' not in one.bytes_left_behind()


# ---- quota -------------------------------------------------------------------------------------
def test_with_no_quota_left_a_scan_waits_for_the_reset(larder, own_github):
    one = larder(standin=own_github)
    own_github.limit(0, reset_in=8)
    repo = own_github.add(repos.skills_repo())
    made = one.create(repo, settled=False)

    def waiting():
        source = one.source(made['id'])
        assert source['scan_status'] == 'scanning', source
        return source['waiting_until']
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', until(waiting, 'a moment to wait until'))
    refused = len(own_github.seen())
    done = one.settled(made['id'])
    assert done['scan_status'] == 'success' and done['waiting_until'] is None
    assert refused <= 2 and sum(s.status == 403 for s in own_github.seen()) <= 2


def test_with_no_quota_left_a_manual_map_is_asked_for_again_later(larder, own_github):
    one = larder(standin=own_github)
    source = one.create(own_github.add(repos.skills_repo()))
    own_github.limit(0, reset_in=600)
    reply = one.patch('%s/%s' % (SOURCES, source['id']), {'manual_map': {'skills': 'skill'}})
    assert reply.status == 503 and 'rate limit' in reply.detail, reply.body
    assert 500 < int(reply.headers['retry-after']) <= 602
    assert one.source(source['id'])['manual_map'] is None


def test_a_manual_map_for_a_ref_that_is_not_there_is_refused(server, repo, source):
    path, sent = '%s/%s' % (SOURCES, source['id']), {'ref': 'no-such', 'manual_map': {'skills': 'skill'}}
    reply = server.patch(path, sent)
    assert reply.status == 422 and "ref 'no-such' not found" in reply.detail, reply.body
    assert server.source(source['id']) == source
    assert server.delete(path).status == 204
    reply = server.post(SOURCES, dict(sent, repo_url=repo.url))
    assert reply.status == 422 and "ref 'no-such' not found" in reply.detail, reply.body
    assert server.get(path).status == 404


# What a client hears of a manual_map that GitHub was to be asked about, fault by fault.
@pytest.mark.parametrize('part, kind, status', [
    ('/commits/', 404, 422), ('/commits/', 422, 422), ('/commits/', 409, 422), ('/commits/', 401, 500),
    ('/commits/', 403, 500), ('/commits/', 451, 500), ('/commits/', 500, 500), ('/commits/', 'garbage', 500),
    ('/commits/', 'close', 500), ('/commits/', 429, 503), ('/git/trees/', 404, 500), ('/git/trees/', 502, 500),
    ('/git/trees/', 'half', 500)])
def test_a_manual_map_that_github_cannot_confirm_changes_nothing(larder, github, repo, part, kind, status):
    one = larder()
    source = one.create(repo)
    github.fault(repo.full_name + part, kind, times=1 << 20)
    reply = one.patch('%s/%s' % (SOURCES, source['id']), {'manual_map': {'skills': 'skill'}})
    assert reply.status == status, reply.body
    is_for_people(reply.detail)
    assert one.source(source['id']) == source


def test_quota_that_runs_out_in_mid_scan(larder, own_github):
    one = larder(standin=own_github)
    own_github.limit(2, reset_in=5)
    repo = own_github.add(repos.skills_repo())
    done = one.create(repo)
    assert done['scan_status'] == 'success'
    assert one.catalogue(done['id']) == repo.head.expected


def test_quota_is_shared_by_the_scans_of_a_credential(larder, own_github):
    one = larder({'github.concurrency': 2}, standin=own_github)
    own_github.limit(0, reset_in=6)
    made = [one.create(own_github.add(repos.skills_repo()), settled=False) for _ in range(5)]
    assert all(one.settled(source['id'])['scan_status'] == 'success' for source in made)
    assert sum(s.status == 403 for s in own_github.seen()) <= 4, 'each scan asked again'


def test_another_credential_has_quota_of_its_own(larder, own_github):
    one = larder(standin=own_github)
    own_github.limit(0, reset_in=3600)
    stuck = one.create(own_github.add(repos.skills_repo()), settled=False)
    until(lambda: one.source(stuck['id'])['waiting_until'], 'the first to wait')
    done = one.create(own_github.add(repos.skills_repo()), access_token='standin-token')
    assert done['scan_status'] == 'success'
    assert one.delete('%s/%s' % (SOURCES, stuck['id'])).status == 204


@pytest.mark.parametrize('kind', ['secondary', 429])
def test_retry_after_is_honoured(server, github, repo, source, kind):
    repo.advance()
    github.forget()
    github.fault('/repos/' + repo.full_name, kind, times=1, retry_after=2)
    began = time.monotonic()
    done = server.rescan(source['id'])
    assert done['scan_status'] == 'success' and time.monotonic() - began >= 1.5
    assert server.catalogue(source['id']) == repo.head.expected


# ---- several at once ---------------------------------------------------------------------------
def test_scans_run_side_by_side_up_to_the_limit(larder, github):
    one = larder({'github.concurrency': 2})
    made = [github.add(repos.skills_repo(owner='many')) for _ in range(5)]
    github.fault('/repos/many/', 'hold', times=2)
    sources = [one.create(repo, settled=False) for repo in made]
    until(lambda: github.waiting == 2, 'two scans at once')
    for _ in range(10):
        assert one.get('/healthz').status == 200
    assert len({seen.target.split('/')[3] for seen in github.seen('/repos/many/')}) == 2
    github.release()
    assert all(one.settled(source['id'])['scan_status'] == 'success' for source in sources)


def test_a_large_scan_does_not_hold_up_others(larder, github):
    one = larder()
    repo = github.add(repos.large_repo(15000, every=10))
    made = one.create(repo, settled=False)
    answered = 0
    while one.source(made['id'])['scan_status'] == 'scanning':
        answered += 1
    done = one.source(made['id'])
    assert done['scan_status'] == 'success' and done['artifact_count'] == 1500
    assert answered > 5 and len(api(github, repo)) <= 4


# ---- faults ------------------------------------------------------------------------------------
@pytest.mark.parametrize('kind', [500, 502, 503, 'close', 'reset', 429])
def test_a_passing_fault_is_tried_again(server, github, repo, source, kind):
    repo.advance()
    github.fault('/repos/' + repo.full_name, kind, times=1)
    done = server.rescan(source['id'])
    assert done['scan_status'] == 'success', done['last_error']
    assert server.catalogue(source['id']) == repo.head.expected


@pytest.mark.parametrize('where', ['/repos/%s', '/codeload'])
@pytest.mark.parametrize('kind', [401, 403, 404, 422, 451, 500, 502])
def test_a_lasting_refusal_is_an_error_in_words(larder, github, repo, kind, where):
    one = larder()
    source = one.create(repo)
    repo.advance()
    match = where % repo.full_name if '%' in where else repo.full_name + '/legacy.tar.gz'
    github.fault(match, kind, times=1 << 20)
    done = failed(one, source)
    if where != '/codeload':
        assert re.search(WORDS[kind], done['last_error'], re.I), done['last_error']
    github.clear_faults()
    first = repo.commits[0]
    assert one.catalogue(source['id']) == first.expected
    until(lambda: one.rescan(source['id'])['scan_status'] == 'success', 'the good scan', pause=1)
    assert one.catalogue(source['id']) == repo.head.expected


# Kind, options, and what must come of it; None: an error or a success are both fine, a wrong catalogue is not.
BROKEN = {
    'garbage': ({}, 'error'), 'half': ({}, None), 'drip': ({}, 'success'), 'loop': ({}, 'error'),
    'to_plain': ({}, 'error'), 'oversized': ({'size': 1 << 30}, 'error'), 'close': ({}, 'error'),
    'reset': ({}, 'error'), 'body': ({'data': b'[]', 'media': 'application/json'}, 'error'),
}


@pytest.mark.parametrize('part', ['/commits/', '/git/trees/'])
@pytest.mark.parametrize('kind', BROKEN)
def test_broken_answers_keep_the_catalogue(larder, github, repo, kind, part):
    one = larder()
    source = one.create(repo)
    options, expected = BROKEN[kind]
    repo.advance()
    github.forget()
    before = one.resident
    github.fault(repo.full_name + part, kind, times=1 << 20, **options)
    done = one.rescan(source['id'])
    if not [seen for seen in github.seen() if seen.fault]:
        pytest.skip('a scan does not ask for ' + part)
    assert done['scan_status'] == (expected or done['scan_status']), done
    assert one.resident - before < 64 * ROOM
    if kind == 'to_plain':
        assert not [seen for seen in github.seen() if seen.listener == 'plain']
    if kind == 'loop':
        assert len(github.seen()) < 40
    if kind == 'oversized':
        assert max(seen.sent for seen in github.seen()) < 512 * MB
    if done['scan_status'] == 'error':
        is_for_people(done['last_error'])
        assert one.catalogue(source['id']) == repo.commits[0].expected
        assert done['last_sync_at'] == source['last_sync_at']
    github.clear_faults()
    until(lambda: one.rescan(source['id'])['scan_status'] == 'success', 'the good scan', pause=1)
    assert one.catalogue(source['id']) == repo.head.expected


def test_a_silent_github_is_given_up_and_tried_again(server, github, repo, source):
    repo.advance()
    github.fault('/repos/' + repo.full_name, 'stall', times=1)
    server.rescan(source['id'], settled=False)
    until(lambda: server.source(source['id'])['scan_status'] != 'scanning', 'the end of a stalled scan', 300, 0.5)
    github.clear_faults()
    assert server.rescan(source['id'])['scan_status'] == 'success'
    assert server.catalogue(source['id']) == repo.head.expected


def test_another_origin_is_told_nothing_secret(server, github):
    repo = github.add(repos.skills_repo(private=True))
    github.fault('/repos/' + repo.full_name, 'elsewhere', times=1)
    server.create(repo, access_token='standin-token')
    there = github.seen(repo.full_name, role='elsewhere')
    assert there and not [seen for seen in there if 'authorization' in seen.headers]


# ---- certificates ------------------------------------------------------------------------------
@pytest.mark.parametrize('which, words', [('expired_url', 'expired'), ('wrong_host_url', 'host ?name|name'),
                                          ('unknown_ca_url', 'trust|unknown|issuer|verif|sign')])
def test_a_wrong_certificate_is_refused_in_words(larder, github, repo, which, words):
    one = larder({'github.api_url': getattr(github, which)})
    done = one.create(repo)
    assert done['scan_status'] == 'error'
    text = is_for_people(done['last_error'])
    assert re.search('certificate', text, re.I) and re.search(words, text, re.I), text
    assert not github.seen(repo.full_name, role=None), 'it spoke to a server it must not trust'


def test_without_the_ca_file_our_ca_is_not_trusted(larder, github, repo):
    one = larder({'github.ca_file': ''})
    assert one.create(repo)['scan_status'] == 'error' and not github.seen(repo.full_name)


def test_a_reload_with_the_right_ca_lets_github_be_asked_at_once(larder, github, repo, tmp_path):
    ca = tmp_path / 'ca.pem'
    other = certs.make(str(tmp_path / 'other'))
    shutil.copy(other.ca, ca)
    one = larder({'github.ca_file': str(ca)})
    source = one.create(repo)
    for _ in range(20):
        if 'not asked' in source['last_error']:
            break
        source = one.rescan(source['id'])
    assert 'not asked' in source['last_error']
    shutil.copy(github.ca_file, ca)
    one.signal(signal.SIGHUP)
    until(lambda: 'the configuration was read again' in one.errors, 'the reload')
    assert one.rescan(source['id'])['scan_status'] == 'success'


def test_a_github_that_is_not_there_is_an_error(larder, github, repo):
    for url, words in (('https://localhost:1', 'connect|refused'),
                       ('https://no-such-host.invalid', 'resolve|DNS|address|found|name')):
        one = larder({'github.api_url': url})
        done = one.create(repo)
        assert done['scan_status'] == 'error'
        assert re.search(words, is_for_people(done['last_error']), re.I), done['last_error']


def test_plain_http_when_the_configuration_says_so(larder, github, repo):
    one = larder({'github.api_url': github.plain_url})
    assert one.create(repo)['scan_status'] == 'success'


# ---- time and life -----------------------------------------------------------------------------
def test_sources_are_scanned_again_by_themselves(larder, github, repo):
    one = larder({'sources.rescan_interval': '1s'})
    source = one.create(repo)
    repo.advance()
    until(lambda: one.catalogue(source['id']) == repo.head.expected, 'the timer to notice', pause=0.2)


def test_a_scan_cut_off_by_a_crash_is_taken_up_again(larder, github, repo):
    one = larder()
    for part in ('/repos/' + repo.full_name, repo.full_name + '/legacy.tar.gz'):
        github.fault(part, 'hold')
        made = one.create(repo, settled=False)
        until(lambda: github.waiting, 'the scan to begin')
        one.kill()
        github.clear_faults()
        one.start()
        assert one.settled(made['id'])['scan_status'] == 'success'
        assert one.catalogue(made['id']) == repo.head.expected
        one.delete('%s/%s' % (SOURCES, made['id']))


def test_a_scan_cut_off_by_an_orderly_stop_is_taken_up_again(larder, github, repo):
    one = larder()
    github.fault(repo.full_name, 'hold')
    made = one.create(repo, settled=False)
    until(lambda: github.waiting, 'the scan to begin')
    one.stop()
    github.clear_faults()
    one.start()
    assert one.settled(made['id'])['scan_status'] == 'success'
