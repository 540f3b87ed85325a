"""The main job, seen from outside: a repository becomes a source, the source a catalogue."""
import re

import pytest
import repos
from program import SOURCES, until

FIELDS = '''id repo_url owner repo_name ref root_hint trust_level visibility scan_status artifact_count
    last_sync_at last_error created_at updated_at description notes enable_frontmatter_detection manual_map
    repo_description repo_readme tags counts_by_type indexing_enabled last_indexed_at new_artifact_count
    updated_artifact_count single_artifact_mode single_artifact_type'''.split()
MOMENT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z')


@pytest.fixture
def repo(github):
    return github.add(repos.skills_repo())


@pytest.fixture
def source(server, repo):
    return server.create(repo)


def path_of(source):
    return '%s/%s' % (SOURCES, source['id'])


# ---- create ------------------------------------------------------------------------------------
def test_a_new_source_is_scanned_at_once(server, repo, github):
    github.fault('/repos/' + repo.full_name, 'hold')
    reply = server.post(SOURCES, {'repo_url': repo.url})
    made = reply.json()
    assert reply.status == 201
    assert set(FIELDS) <= set(made), set(FIELDS) - set(made)
    assert made['id'] == 'src_%s_%s' % (repo.owner, repo.name)
    assert made['scan_status'] == 'scanning' and made['artifact_count'] == 0
    assert (made['repo_url'], made['owner'], made['repo_name']) == (repo.url, repo.owner, repo.name)
    assert (made['ref'], made['trust_level'], made['visibility']) == ('main', 'basic', 'public')
    assert made['tags'] == [] and made['counts_by_type'] == {} and made['manual_map'] is None
    for name in ('root_hint', 'last_sync_at', 'last_error', 'description', 'notes', 'repo_readme'):
        assert made[name] is None, name
    until(lambda: github.waiting == 1, 'the scan to begin')
    github.release()
    done = server.settled(made['id'])
    assert (done['scan_status'], done['last_error']) == ('success', None)
    assert done['artifact_count'] == 3 and done['counts_by_type'] == {'skill': 3}
    for name in ('created_at', 'updated_at', 'last_sync_at'):
        assert MOMENT.fullmatch(done[name]), (name, done[name])
    assert server.catalogue(made['id']) == repo.head.expected


@pytest.mark.parametrize('prefer', ['wait=60', 'Wait = "60"', 'respond-async; x="y", wait="60"; z'])
def test_create_can_wait_for_the_result(server, repo, prefer):
    reply = server.post(SOURCES, {'repo_url': repo.url}, headers={'Prefer': prefer})
    assert reply.status == 201 and reply.json()['scan_status'] == 'success'
    assert reply.json()['artifact_count'] == 3


def test_waiting_ends_when_the_time_is_up(server, repo, github):
    github.fault('/repos/' + repo.full_name, 'hold')
    reply = server.post(SOURCES, {'repo_url': repo.url}, headers={'Prefer': 'wait=1'})
    assert reply.status == 201 and reply.json()['scan_status'] == 'scanning'
    github.release()
    server.settled(reply.json()['id'])


def test_all_that_is_sent_is_kept(server, github):
    repo = github.add(repos.plugin_repo())
    sent = {'root_hint': 'plugins', 'trust_level': 'verified', 'description': 'D' * 500, 'notes': 'N' * 2000,
            'enable_frontmatter_detection': True, 'tags': ['UI-UX', 'a_b', '9'], 'indexing_enabled': True,
            'import_repo_description': True, 'import_repo_readme': True}
    source = server.create(repo, **sent)
    for name in ('root_hint', 'trust_level', 'description', 'notes', 'enable_frontmatter_detection',
                 'indexing_enabled'):
        assert source[name] == sent[name], name
    assert source['tags'] == ['ui-ux', 'a_b', '9']
    assert source['repo_description'] == repo.description
    assert source['repo_readme'] == '# Plugins\n'
    assert all(path.startswith('plugins/') for _, _, path in server.catalogue(source['id']))


def test_what_is_not_asked_for_is_not_imported(source):
    assert source['repo_description'] is None and source['repo_readme'] is None


def test_a_long_readme_is_cut(server, github):
    repo = repos.skills_repo()
    repo.push(dict(repo.head.files, **{'README.md': 'x' * 60000}))
    source = server.create(github.add(repo), import_repo_readme=True)
    assert source['repo_readme'] == 'x' * 50000 + '\n... [truncated]'


@pytest.mark.parametrize('url', [
    'http://github.com/acme/x', 'https://www.github.com/acme/x', 'https://gitlab.com/acme/x', 'git@github.com:acme/x',
    'ssh://git@github.com/acme/x', 'github.com/acme/x', 'https://github.com/acme', 'https://github.com/',
    'https://github.com//x', 'https://github.com/acme/x/tree/main', 'https://github.com/acme/x?y=1',
    'https://github.com/acme/x#y', 'https://github.com.evil.org/acme/x', 'https://u@github.com/acme/x',
    'https://u:p@github.com/acme/x', 'https://github.com/../x', 'https://github.com/acme/..',
    'https://github.com/acme/.', 'https://github.com/acme/x y', 'https://github.com/ac me/x',
    'https://github.com/acme/x\n', 'https://github.com/acme/%2e%2e', 'https://github.com/äcme/x', ' ', 'x',
    'https://github.com/acme/' + 'x' * 101, 'javascript:alert(1)', 'file:///etc/passwd'])
def test_a_bad_url_is_400(server, url):
    reply = server.post(SOURCES, {'repo_url': url})
    assert reply.status == 400
    assert reply.detail.startswith('Invalid GitHub repository URL format. Expected: https://github.com/owner/repo')


@pytest.mark.parametrize('url', ['', 'https://github.com/acme/' + 'x' * 5000], ids=['empty', 'endless'])
def test_a_url_of_no_sensible_length_is_refused(server, url):
    assert server.post(SOURCES, {'repo_url': url}).status in (400, 422)


@pytest.mark.parametrize('shape', ['%s/', '%s.git', '%s.git/', '%s///'])
def test_usual_spellings_of_a_url_are_tolerated(server, repo, shape):
    source = server.create(shape % repo.url)
    assert (source['owner'], source['repo_name']) == (repo.owner, repo.name)
    assert source['scan_status'] == 'success'


def test_a_name_like_github_io_stays_intact(server, github):
    repo = github.add(repos.skills_repo(name=repos.unique('pages') + '.github.io'))
    source = server.create(repo)
    assert source['repo_name'] == repo.name and source['scan_status'] == 'success'


def test_the_same_repository_twice_is_409_however_it_is_spelled(server, repo, source):
    for url in (repo.url, repo.url + '/', repo.url + '.git', repo.url.upper().replace('HTTPS://GITHUB.COM',
                                                                                      'https://github.com')):
        reply = server.post(SOURCES, {'repo_url': url})
        assert reply.status == 409, url
        assert reply.detail == "Source with repository URL '%s' already exists" % url
    assert server.source(source['id'])['created_at'] == source['created_at']


LONG = 'x' * 51
VALIDATION = [
    ({'ref': None}, 'ref'), ({'ref': 7}, 'ref'),
    ({'root_hint': '../x'}, 'root_hint cannot contain parent directory references (..)'),
    ({'root_hint': 'a/../b'}, 'root_hint cannot contain parent directory references (..)'),
    ({'root_hint': 'a/%2e%2e/b'}, 'root_hint cannot contain parent directory references (..)'),
    ({'root_hint': '/etc'}, 'root_hint must be a relative path'),
    ({'root_hint': 'c:/x'}, 'root_hint must be a relative path'),
    ({'root_hint': 'a%00b'}, 'root_hint cannot contain null bytes'),
    ({'root_hint': 'a<b'}, 'root_hint contains invalid characters'),
    ({'root_hint': 'a|b'}, 'root_hint contains invalid characters'),
    ({'root_hint': 'a?b'}, 'root_hint contains invalid characters'),
    ({'trust_level': 'high'}, "Input should be 'untrusted', 'basic', 'verified' or 'official'"),
    ({'trust_level': ''}, 'trust_level'),
    ({'description': 'x' * 501}, 'String should have at most 500 characters'),
    ({'notes': 'x' * 2001}, 'String should have at most 2000 characters'),
    ({'tags': ['t%d' % i for i in range(21)]}, 'Maximum 20 tags allowed per source'),
    ({'tags': [LONG]}, "Tag '%s' must be 1-50 characters" % LONG),
    ({'tags': ['']}, "Tag '' must be 1-50 characters"),
    ({'tags': ['a b']}, "Tag 'a b' must be alphanumeric with optional hyphens/underscores"),
    ({'tags': ['-a']}, "Tag '-a' must be alphanumeric with optional hyphens/underscores"),
    ({'tags': ['a\n']}, 'must be alphanumeric with optional hyphens/underscores'),
    ({'tags': ['ä']}, "Tag 'ä' must be alphanumeric with optional hyphens/underscores"),
    ({'enable_frontmatter_detection': 'perhaps'}, 'enable_frontmatter_detection'),
    ({'import_repo_readme': []}, 'import_repo_readme'),
    ({'single_artifact_mode': True}, 'single_artifact_type is required when single_artifact_mode is True'),
    ({'single_artifact_mode': True, 'single_artifact_type': 'spoon'}, 'single_artifact_type'),
    ({'manual_map': {'skills': 'spoon'}}, 'spoon'),
    ({'manual_map': {'../x': 'skill'}}, '../x'),
    ({'manual_map': {'/x': 'skill'}}, '/x'),
    ({'manual_map': {'skills': 7}}, 'manual_map'),
]


@pytest.mark.parametrize('fields, text', VALIDATION, ids=lambda v: None if isinstance(v, str) else repr(v)[:40])
def test_create_validates_with_422(server, repo, fields, text):
    reply = server.post(SOURCES, dict({'repo_url': repo.url}, **fields))
    assert reply.status == 422 and text in reply.detail, reply.body
    assert server.get('%s/src_%s_%s' % (SOURCES, repo.owner, repo.name)).status == 404


@pytest.mark.parametrize('fields, text', [row for row in VALIDATION if not {'single_artifact_mode'} & row[0].keys()
                                          and row[0] != {'ref': None}],
                         ids=lambda v: None if isinstance(v, str) else repr(v)[:40])
def test_patch_validates_with_422(server, source, fields, text):
    reply = server.patch(path_of(source), fields)
    assert reply.status == 422 and text in reply.detail, reply.body
    assert server.source(source['id']) == source


def test_lengths_count_characters_not_bytes(server, repo):
    source = server.create(repo, description='ü' * 500, notes='🚀' * 2000)
    assert source['description'] == 'ü' * 500 and source['notes'] == '🚀' * 2000


# ---- manual_map --------------------------------------------------------------------------------
@pytest.mark.parametrize('given', [{'tools/one': 'agent', 'tools/two': 'command'},
                                   {'agent': ['tools/one'], 'command': ['tools/two']}], ids=['paths', 'types'])
def test_manual_map_takes_both_shapes_and_keeps_one(server, github, given):
    repo = github.add(repos.Repo('acme', repos.unique('mapped'), {
        'tools/one/a.md': repos.front(description='a'), 'tools/two/b.md': repos.front(description='b'),
        'README.md': '# Mapped\n'}))
    source = server.create(repo, manual_map=given)
    assert source['manual_map'] == {'tools/one': 'agent', 'tools/two': 'command'}
    assert {('agent', 'a', 'tools/one/a.md'), ('command', 'b', 'tools/two/b.md')} == server.catalogue(source['id'])
    assert server.source(source['id'])['manual_map'] == source['manual_map']
    assert any(row['id'] == source['id'] for row in server.get(SOURCES, params={'limit': 100, 'search': repo.name})
               .json()['items'])


def test_manual_map_names_directories_that_are_not_there(server, repo, source):
    reply = server.patch(path_of(source), {'manual_map': {'nowhere': 'skill', 'skills': 'skill', 'also/not': 'agent'}})
    assert reply.status == 422
    assert reply.detail == "Invalid directory path(s) not found in repository: 'also/not', 'nowhere'"
    assert server.source(source['id'])['manual_map'] is None


def test_manual_map_of_a_new_source_is_checked_too(server, repo):
    reply = server.post(SOURCES, {'repo_url': repo.url, 'manual_map': {'nowhere': 'skill'}},
                        headers={'Prefer': 'wait=60'})
    assert reply.status == 422 and "'nowhere'" in reply.detail
    assert server.get('%s/src_%s_%s' % (SOURCES, repo.owner, repo.name)).status == 404


def test_manual_map_can_be_cleared(server, source):
    assert server.patch(path_of(source), {'manual_map': {'skills': 'skill'}}).json()['manual_map']
    assert not server.patch(path_of(source), {'manual_map': {}}).json()['manual_map']


# ---- single artifact mode ----------------------------------------------------------------------
def test_an_id_is_not_cut_at_a_nul(server):
    reply = server.get(SOURCES + '/src_x_y%00foo')
    assert reply.status in (400, 422) and 'src_x_y%00foo' in reply.detail, reply.text


def test_single_artifact_mode_makes_one_entry(server, github):
    repo = github.add(repos.flat_repo())
    source = server.create(repo, single_artifact_mode=True, single_artifact_type='agent')
    assert [(row['artifact_type'], row['name'], row['confidence_score']) for row in server.artifacts(source['id'])] == \
        [('agent', repo.name, 100)]


# ---- get, patch, delete ------------------------------------------------------------------------
@pytest.mark.parametrize('method, tail', [('GET', ''), ('PATCH', ''), ('DELETE', ''), ('POST', '/rescan'),
                                          ('GET', '/artifacts')])
def test_what_is_not_there_is_404(server, method, tail):
    body = {'notes': 'x'} if method == 'PATCH' else None
    reply = server.request(method, SOURCES + '/src_no_such' + tail, body)
    assert reply.status == 404 and reply.detail == "Source with ID 'src_no_such' not found"


def test_patch_changes_only_what_is_sent(server, source):
    changed = server.patch(path_of(source), {'tags': ['New', 'Tags'], 'trust_level': 'official',
                                             'description': '', 'notes': 'n'}).json()
    expected = dict(source, tags=['new', 'tags'], trust_level='official', description='', notes='n',
                    updated_at=changed['updated_at'])
    assert changed == expected and changed['updated_at'] >= source['updated_at']
    assert server.source(source['id']) == changed
    assert server.patch(path_of(source), {'tags': []}).json()['tags'] == []


@pytest.mark.parametrize('body', [{}, {'description': None}, {'tags': None, 'notes': None}])
def test_patch_with_nothing_to_do_is_400(server, source, body):
    reply = server.patch(path_of(source), body)
    assert reply.status == 400 and reply.detail == 'At least one update parameter must be provided'


def test_patch_does_not_rescan(server, source, repo, github):
    github.forget()
    assert server.patch(path_of(source), {'ref': 'other', 'root_hint': 'skills'}).json()['ref'] == 'other'
    assert server.source(source['id'])['scan_status'] == 'success'
    assert not github.seen('/tarball') and not github.seen('/git/trees')


@pytest.mark.parametrize('option, member', [('import_repo_description', 'repo_description'),
                                            ('import_repo_readme', 'repo_readme')])
def test_patch_fetches_description_and_readme_anew(server, source, repo, option, member):
    changed = server.patch(path_of(source), {option: True}).json()
    assert changed[member] == {'repo_description': repo.description,
                               'repo_readme': repo.head.files['README.md']}[member]


def test_the_repository_of_a_source_cannot_be_changed(server, source):
    reply = server.patch(path_of(source), {'repo_url': 'https://github.com/acme/other', 'notes': 'x'})
    assert reply.status in (200, 422)
    assert server.source(source['id'])['repo_url'] == source['repo_url']


def test_delete_takes_everything_along(server, repo):
    repo.push({'skills/%s/SKILL.md' % repo.name: repos.front(description='d')})
    source = server.create(repo)
    assert server.search(repo.name)['total'] == 1
    reply = server.delete(path_of(source))
    assert (reply.status, reply.body) == (204, b'')
    assert server.get(path_of(source)).status == 404
    assert server.delete(path_of(source)).status == 404
    assert server.get(path_of(source) + '/artifacts').status == 404
    assert server.search(repo.name)['total'] == 0
    again = server.create(repo)
    assert again['scan_status'] == 'success' and again['artifact_count'] == 1


def test_delete_in_the_middle_of_a_scan(server, repo, github):
    github.fault('/repos/' + repo.full_name, 'hold')
    made = server.create(repo, settled=False)
    until(lambda: github.waiting, 'the scan to begin')
    assert server.delete(path_of(made)).status == 204
    github.release()
    assert server.create(repo)['artifact_count'] == 3
    assert server.delete(path_of(made)).status == 204
    assert server.get(path_of(made)).status == 404


# ---- rescan ------------------------------------------------------------------------------------
def test_rescan_finds_what_changed(server, source, repo):
    repo.advance()
    assert server.rescan(source['id'], settled=False)['scan_status'] == 'scanning'
    done = server.settled(source['id'])
    assert done['scan_status'] == 'success' and done['artifact_count'] == 3
    assert server.catalogue(source['id']) == repo.head.expected
    gone = [row['path'] for row in server.artifacts(source['id'], status='removed')]
    assert gone == ['skills/sheets']


def test_a_waited_rescan_answers_with_counts(server, source, repo):
    repo.advance()
    reply = server.post(path_of(source) + '/rescan', headers={'Prefer': 'wait=60'})
    done = reply.json()
    assert reply.status == 200 and done['id'] == source['id'] and done['scan_status'] == 'success'
    assert (done['new_count'], done['updated_count'], done['removed_count'], done['unchanged_count']) == (1, 1, 1, 1)
    again = server.post(path_of(source) + '/rescan', headers={'Prefer': 'wait=60'}).json()
    assert (again['new_count'], again['updated_count'], again['removed_count'], again['unchanged_count']) == \
        (0, 0, 0, 3)
    assert again['last_sync_at'] >= done['last_sync_at'] >= source['last_sync_at']


SCANNED = '''source_id status artifacts_found new_count updated_count removed_count unchanged_count total_detected
    total_unique duplicates_within_source duplicates_cross_source scan_duration_ms errors scanned_at actual_ref
    not_modified'''.split()


def test_what_was_waited_for_brings_the_scans_counts(server, repo, source):
    """Every reply is held against the document, which must know them."""
    waited = server.post(path_of(source) + '/rescan', headers={'Prefer': 'wait=60'}).json()
    assert set(SCANNED) <= set(waited) and waited['source_id'] == waited['id'] == source['id']
    assert not set(SCANNED) & set(server.post(path_of(source) + '/rescan').json())
    server.settled(source['id'])
    document = server.get('/openapi.json').json()
    for path in (SOURCES, SOURCES + '/{id}/rescan'):
        named = [p for p in document['paths'][path]['post']['parameters'] if p['in'] == 'header']
        assert [p['name'] for p in named] == ['Prefer']
    assert not [p for p in document['paths'][SOURCES]['get']['parameters'] if p['in'] == 'header']


def test_the_counts_do_not_depend_on_how_they_came_to_be_known(server, github):
    files = {'skills/%s/SKILL.md' % name: repos.front(description=text)
             for name, text in (('a', '1'), ('b', '2'), ('c', '2'), ('d', '2'))}
    repo = github.add(repos.Repo('acme', repos.unique('twins'), files))
    source = server.create(repo)
    counts = [name for name in SCANNED if name.endswith('_count') or name.startswith(('total', 'dup', 'artifacts'))]
    unchanged = server.post(path_of(source) + '/rescan', headers={'Prefer': 'wait=60'}).json()
    repo.push(dict(files, **{'notes.txt': 'x'}))
    read = server.post(path_of(source) + '/rescan', headers={'Prefer': 'wait=60'}).json()
    assert (unchanged['not_modified'], read['not_modified']) == (True, False)
    assert [unchanged[name] for name in counts] == [read[name] for name in counts]
    assert (read['unchanged_count'], read['duplicates_within_source'], read['total_detected']) == (2, 2, 4)


def test_rescan_while_scanning_is_409(server, source, repo, github):
    github.fault('/repos/' + repo.full_name, 'hold')
    assert server.rescan(source['id'], settled=False)['scan_status'] == 'scanning'
    until(lambda: github.waiting, 'the scan to begin')
    reply = server.post(path_of(source) + '/rescan')
    assert reply.status == 409 and reply.detail
    github.release()
    assert server.settled(source['id'])['scan_status'] == 'success'


def test_an_entry_that_comes_back_is_not_a_second_one(server, source, repo):
    ids = {row['path']: row['id'] for row in server.artifacts(source['id'])}
    repo.advance()
    server.rescan(source['id'])
    repo.push(repo.commits[0].files, repo.commits[0].expected)
    server.rescan(source['id'])
    rows = server.artifacts(source['id'])
    back = [row for row in rows if row['path'] == 'skills/sheets']
    assert len(back) == 1 and back[0]['id'] == ids['skills/sheets'] and back[0]['status'] != 'removed'
    assert server.catalogue(source['id']) == repo.head.expected
    assert {row['path']: row['id'] for row in rows}.items() >= ids.items()


def test_a_patched_ref_is_what_the_next_scan_looks_at(server, source, repo):
    repo.tag('v2', repo.commits[1])
    server.patch(path_of(source), {'ref': 'v2'})
    assert server.rescan(source['id'])['scan_status'] == 'success'
    assert server.catalogue(source['id']) == repo.commits[1].expected


# ---- infer-url ---------------------------------------------------------------------------------
@pytest.mark.parametrize('url, repo_url, ref, root_hint', [
    ('https://github.com/acme/x', 'https://github.com/acme/x', 'main', None),
    ('http://github.com/acme/x', 'https://github.com/acme/x', 'main', None),
    ('https://github.com/acme/x.git', 'https://github.com/acme/x', 'main', None),
    ('https://github.com/acme/x/', 'https://github.com/acme/x', 'main', None),
    ('https://github.com/acme/x/tree/dev', 'https://github.com/acme/x', 'dev', None),
    ('https://github.com/acme/x/tree/dev/a/b', 'https://github.com/acme/x', 'dev', 'a/b'),
    ('https://github.com/acme/x/blob/v1/a/b/SKILL.md', 'https://github.com/acme/x', 'v1', 'a/b'),
    ('https://github.com/acme/x/blob/v1/SKILL.md', 'https://github.com/acme/x', 'v1', None),
    ('https://github.com/acme/x/tree/dev/a?tab=readme', 'https://github.com/acme/x', 'dev', 'a')])
def test_infer_url_takes_an_address_apart(server, url, repo_url, ref, root_hint):
    reply = server.post(SOURCES + '/infer-url', {'url': url})
    got = reply.json()
    assert reply.status == 200 and got['success'] is True and got['error'] is None
    assert (got['repo_url'], got['ref'], got['root_hint'] or None) == (repo_url, ref, root_hint)


@pytest.mark.parametrize('url', ['x', 'https://gitlab.com/a/b', 'https://github.com/a', 'ftp://github.com/a/b',
                                 'https://github.com/a/b/tree/main/../../etc'])
def test_infer_url_says_what_it_cannot_read(server, url):
    reply = server.post(SOURCES + '/infer-url', {'url': url})
    got = reply.json()
    assert reply.status == 200 and got['success'] is False and got['repo_url'] is None
    assert got['error'] == 'Invalid GitHub URL format. Expected: https://github.com/owner/repo[/tree/branch[/path]]'


def test_infer_url_needs_a_url(server):
    assert server.post(SOURCES + '/infer-url', {}).status == 422
