"""The stand-in itself: a test that leans on it is worth as much as it is like GitHub."""
import gzip
import http.client
import io
import json
import shutil
import ssl
import subprocess
import tarfile
import threading
import zlib
from urllib.parse import urlsplit

import archives
import pytest
import repos
from github_standin import StandIn

AGENT = {'User-Agent': 'self-test'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp('standin'))


@pytest.fixture
def hub(folder):
    with StandIn(folder, tokens=('secret',)) as standin:
        yield standin


def ask(url, path, token=None, connection=None, ca=None, **headers):
    """One request; returns (status, headers in lower case, body)."""
    there = urlsplit(url)
    headers = dict(AGENT, **{k.replace('_', '-'): v for k, v in headers.items()})
    if token:
        headers['Authorization'] = 'Bearer ' + token
    made = connection or connect(there, ca)
    made.request('GET', path, headers={k: v for k, v in headers.items() if v is not None})
    reply = made.getresponse()
    body = reply.read()
    if not connection:
        made.close()
    return reply.status, {k.lower(): v for k, v in reply.getheaders()}, body


def connect(there, ca=None):
    if there.scheme == 'http':
        return http.client.HTTPConnection(there.hostname, there.port, timeout=30)
    context = ssl.create_default_context(cafile=ca)
    if not ca:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(there.hostname, there.port, timeout=30, context=context)


def test_object_ids_are_those_of_git(tmp_path):
    if not shutil.which('git'):
        pytest.skip('no git')
    repo = repos.Repo('o', 'r', {'a/b.txt': 'x', 'a.txt': 'y', 'a-b': 'z', 'link': repos.Link('a.txt'),
                                 'Ünï/ö.md': '\u00e9'})
    with tarfile.open(fileobj=io.BytesIO(repo.archive(repo.head))) as tar:
        tar.extractall(tmp_path)
    top = next(tmp_path.iterdir())

    def git(*args):
        return subprocess.run(['git', '-c', 'core.fileMode=false', '-C', str(top), *args], check=True,
                              capture_output=True, text=True).stdout.strip()
    git('init', '-q')
    git('add', '-A')
    assert git('write-tree') == repo.head.tree


def test_the_four_calls_of_a_scan(hub):
    repo = hub.add(repos.skills_repo())
    base = '/repos/' + repo.full_name
    _, _, body = ask(hub.url, base, ca=hub.ca_file)
    about = json.loads(body)
    assert about['default_branch'] == 'main' and about['topics'] == ['skills', 'documents']
    _, _, body = ask(hub.url, base + '/commits/main')
    commit = json.loads(body)
    assert commit['sha'] == repo.head.sha and commit['commit']['tree']['sha'] == repo.head.tree
    _, _, body = ask(hub.url, base + '/commits/main', Accept='application/vnd.github.sha')
    assert body.decode() == repo.head.sha
    _, _, body = ask(hub.url, base + '/git/trees/%s?recursive=1' % commit['sha'])
    tree = json.loads(body)
    assert not tree['truncated']
    assert {row['path'] for row in tree['tree'] if row['type'] == 'blob'} == set(repo.head.files)
    status, headers, _ = ask(hub.url, base + '/tarball/main')
    assert status == 302 and headers['location'].startswith(hub.codeload_url)
    there = urlsplit(headers['location'])
    _, _, body = ask(hub.codeload_url, there.path)
    names = tarfile.open(fileobj=io.BytesIO(body)).getnames()
    assert {n.split('/', 1)[1] for n in names if '.' in n} == set(repo.head.files) - {'LICENSE'}
    assert [s.role for s in hub.seen(role=None)] == ['api'] * 5 + ['codeload']


def test_blobs_contents_readme_and_tags(hub):
    repo = hub.add(repos.skills_repo())
    repo.tag('v1', repo.head)
    base = '/repos/' + repo.full_name
    _, _, body = ask(hub.url, base + '/readme', Accept='application/vnd.github.raw')
    assert body == repo.head.files['README.md'].encode()
    _, _, body = ask(hub.url, base + '/contents/skills?ref=v1')
    assert [row['name'] for row in json.loads(body)] == ['canvas', 'pdf', 'sheets']
    sha = repo.head.by_path['skills/pdf/SKILL.md'][3]
    assert json.loads(ask(hub.url, base + '/git/blobs/' + sha)[2])['encoding'] == 'base64'
    assert json.loads(ask(hub.url, base + '/tags')[2])[0]['name'] == 'v1'
    assert ask(hub.url, base + '/commits/nowhere')[0] == 422
    assert ask(hub.url, '/repos/no/such')[0] == 404


def test_unchanged_things_are_304_and_free(hub):
    repo = hub.add(repos.skills_repo())
    path = '/repos/%s/commits/main' % repo.full_name
    _, headers, _ = ask(hub.url, path)
    left = headers['x-ratelimit-remaining']
    status, again, body = ask(hub.url, path, If_None_Match=headers['etag'])
    assert (status, body, again['x-ratelimit-remaining']) == (304, b'', left)
    repo.advance()
    assert ask(hub.url, path, If_None_Match=headers['etag'])[0] == 200


def test_limits_count_per_credential(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    hub.limit(1, reset_in=3600)
    assert ask(hub.url, path)[0] == 200
    status, headers, _ = ask(hub.url, path)
    assert status == 403 and headers['x-ratelimit-remaining'] == '0'
    assert ask(hub.url, path, token='secret')[1]['x-ratelimit-limit'] == '5000'
    hub.limit(0, reset_in=-1)
    assert ask(hub.url, path)[0] == 200


def test_credentials_and_private_repositories(hub):
    repo = hub.add(repos.skills_repo(private=True))
    path = '/repos/' + repo.full_name
    assert ask(hub.url, path)[0] == 404
    assert ask(hub.url, path, token='secret')[0] == 200
    assert ask(hub.url, path, token='wrong')[0] == 401
    _, headers, _ = ask(hub.url, path + '/tarball/main', token='secret')
    there = urlsplit(headers['location'])
    assert ask(hub.codeload_url, there.path + '?' + there.query)[0] == 200
    assert ask(hub.codeload_url, there.path)[0] == 404


def test_a_request_without_user_agent_is_refused(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    assert ask(hub.url, path, User_Agent=None)[0] == 403


def test_renamed_repositories_redirect(hub):
    repo = hub.add(repos.skills_repo())
    repo.old_names.add('old/name')
    status, headers, _ = ask(hub.url, '/repos/old/name/commits/main')
    assert status == 301
    assert ask(hub.url, urlsplit(headers['location']).path)[0] == 200


def test_connections_are_kept(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    kept = connect(urlsplit(hub.plain_url))
    for _ in range(5):
        assert ask(hub.plain_url, path, connection=kept)[0] == 200
    kept.close()
    assert hub.accepted('plain') == 1


def test_large_answers_are_packed_when_asked(hub):
    path = '/repos/%s/git/trees/main?recursive=1' % hub.add(repos.large_repo(100)).full_name
    _, headers, body = ask(hub.url, path, Accept_Encoding='gzip')
    assert headers['content-encoding'] == 'gzip'
    assert json.loads(gzip.decompress(body))['tree']


@pytest.mark.parametrize('kind, status', [
    (500, 500), (502, 502), (401, 401), (403, 403), (404, 404), (422, 422), (451, 451), (429, 429),
    ('secondary', 403), ('loop', 302), ('to_plain', 302), ('elsewhere', 302), ('garbage', 200)])
def test_faults_that_answer(hub, kind, status):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    hub.fault(path, kind, times=1, retry_after=7)
    got, headers, _ = ask(hub.url, path)
    assert got == status
    assert (headers.get('retry-after') == '7') == (status >= 400)
    assert ask(hub.url, path)[0] == 200
    assert [s.fault for s in hub.seen()] == [kind, None]


def test_faults_that_break_off(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    for kind in ('close', 'reset', 'half'):
        hub.fault(path, kind)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(hub.url, path)
    hub.fault(path, 'oversized', size=1 << 20)
    assert len(ask(hub.url, path)[2]) == 1 << 20
    hub.fault(path, 'drip')
    assert ask(hub.url, path)[0] == 200
    hub.fault(path, 'body', data=b'abc')
    assert ask(hub.url, path)[2] == b'abc'


def test_truncated_trees_say_so(hub):
    path = '/repos/%s/git/trees/main?recursive=1' % hub.add(repos.skills_repo()).full_name
    hub.fault('git/trees', 'truncated')
    cut, whole = (json.loads(ask(hub.url, path)[2]) for _ in range(2))
    assert cut['truncated'] and len(cut['tree']) < len(whole['tree']) and not whole['truncated']


def test_held_requests_answer_when_released(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    hub.fault(path, 'hold')
    got = []
    waiter = threading.Thread(target=lambda: got.append(ask(hub.url, path)[0]))
    waiter.start()
    while not hub.waiting:
        pass
    hub.release()
    waiter.join(30)
    assert got == [200]


def test_certificates_fail_for_their_own_reason(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    assert ask(hub.url, path, ca=hub.ca_file)[0] == 200
    for url, why in ((hub.expired_url, 'expired'), (hub.wrong_host_url, 'ostname'),
                     (hub.unknown_ca_url, 'unable')):
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            ask(url, path, ca=hub.ca_file)
        assert ask(url, path)[0] == 200


def test_another_origin_sees_what_it_is_told(hub):
    path = '/repos/' + hub.add(repos.skills_repo()).full_name
    assert ask(hub.elsewhere_url, path, token='secret')[0] == 200
    assert hub.seen(role='elsewhere')[0].headers['authorization'] == 'Bearer secret'


@pytest.mark.parametrize('make', [
    archives.climbing, archives.linking, archives.foreign_bytes, archives.lying_size,
    lambda: archives.many_entries(50), lambda: archives.bomb(2)])
def test_evil_archives_still_begin_with_the_honest_skill(make):
    plain = zlib.decompressobj(31).decompress(make(), 4096)
    assert b'skills/honest/SKILL.md' in plain and b'An honest skill' in plain


def test_broken_archives_are_broken():
    with pytest.raises(EOFError):
        gzip.decompress(archives.truncated())
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(archives.bad_crc())
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(archives.not_gzip())
    assert len(gzip.decompress(archives.bomb(3))) > 3 << 20
    with tarfile.open(fileobj=io.BytesIO(archives.many_entries(123))) as tar:
        assert len(tar.getnames()) == 125
