"""Refreshing: what POST /refresh does, for reported projects and for folders of this machine."""
import time
from datetime import datetime

import pytest
import repos
from program import CACHE, until

REFRESH, INVALIDATE, PROJECTS = CACHE + '/refresh', CACHE + '/invalidate', CACHE + '/projects'
NEVER = {'projects.refresh_interval': '365d'}


def refresh(one, project_id=None, force=False, **how):
    reply = one.post(REFRESH, {'project_id': project_id, 'force': force}, **how)
    assert reply.status == 200, (reply.status, reply.body)
    return reply.json()


def skill(folder, name, version=None, body='Text.\n'):
    where = folder / '.claude' / 'skills' / name
    where.mkdir(parents=True, exist_ok=True)
    fields = {'name': name, 'description': 'About ' + name}
    (where / 'SKILL.md').write_text(repos.front(body, **(dict(fields, version=version) if version else fields)))
    return where


def project_at(one, path):
    """The discovered project of a folder, once it is known."""
    return until(lambda: next((row for row in one.listed('/projects') if row['path'] == str(path)), None), str(path))


def settled(one):
    """Waits until no refresh is under way, or about to be because of a report."""
    refresh(one, force=True)
    until(lambda: one.get(CACHE + '/status').json()['refreshing'] == 0, 'the refreshes')


# ---- the answer --------------------------------------------------------------------------------
def test_a_refresh_answers_as_the_spec_prints_it(larder):
    one = larder(NEVER)
    one.report('proj-1', [('canvas', '1.0.0', '1.2.0')])
    settled(one)
    got = refresh(one, 'proj-1', force=True)
    assert isinstance(got.pop('duration_seconds'), (int, float))
    assert got == {'success': True, 'projects_refreshed': 1, 'changes_detected': False, 'errors': [],
                   'message': 'Refresh completed successfully'}


def test_what_is_fresh_is_passed_over_unless_forced(larder):
    one = larder(NEVER)
    for name in 'abc':
        one.report(name)
    refresh(one)
    settled(one)
    for project_id in (None, '', 'a'):
        assert refresh(one, project_id)['projects_refreshed'] == 0
    assert refresh(one, force=True)['projects_refreshed'] == 3
    assert refresh(one, 'b', force=True)['projects_refreshed'] == 1


@pytest.mark.parametrize('project_id', ['proj-999', 'x' * 5000, 'a\nb', 'ünknown', '\x7f'])
def test_an_unknown_project_is_404_at_once(server, project_id):
    begun = time.monotonic()
    reply = server.post(REFRESH, {'project_id': project_id, 'force': True})
    assert reply.status == 404 and reply.json() == {'detail': "Project '%s' not found" % project_id}
    assert time.monotonic() - begun < 30
    assert server.post(INVALIDATE, {'project_id': project_id}).status == 404


def test_the_next_run_is_never_past(larder):
    one = larder(NEVER)
    for i in range(6):                               # due at once, and begun one a second
        one.report('p%d' % i)
    for _ in range(12):
        begun = int(time.time())
        said = one.get(CACHE + '/status').json()['refresh_job_status']['next_run_time']
        assert datetime.fromisoformat(said.replace('Z', '+00:00')).timestamp() >= begun
        time.sleep(.25)


def test_the_smallest_body_means_all(larder):
    one = larder(NEVER)
    one.report('a')
    settled(one)
    for body in ({}, {'project_id': None}, {'force': False}, {'surprise': {'x': [1]}}):
        assert one.post(REFRESH, body).json()['projects_refreshed'] == 0


BODIES = [(b'', 422), (b'null', 422), (b'[]', 422), (b'7', 422), (b'"a"', 422), (b'{', 400), (b'\xff', 400),
          (b'{"force": "yes"}', 422), (b'{"force": 1}', 422), (b'{"force": null}', 422), (b'{"project_id": 7}', 422),
          (b'{"project_id": []}', 422), (b'{"project_id": {}}', 422), (b'{"project_id": true}', 422),
          (b'{"project_id": "a\\u0000b"}', 422), (b'{"project_id": "\xff"}', 400),
          (b'{"project_id": "a", "project_id": "b"}', 400), (b'{"project_id": "' + b'x' * 900000 + b'"}', 404),
          (b'{"project_id": "' + b'x' * 1100000 + b'"}', 413)]


@pytest.mark.parametrize('path', [REFRESH, INVALIDATE])
@pytest.mark.parametrize('body, status', BODIES, ids=lambda value: repr(value)[:24])
def test_bodies_that_do_not_fit(server, path, body, status):
    if b'force' in body and path == INVALIDATE:
        pytest.skip('an invalidation knows no force')
    with server.wire() as wire:
        reply = server.post(path, body=body, wire=wire)
        assert reply.status == status and reply.detail, reply.body[:200]
        if status != 413:
            assert server.get(CACHE + '/status', wire=wire).status == 200
    assert server.get(CACHE + '/status').status == 200


def test_many_who_ask_share_one_run(larder):
    one = larder(NEVER)
    for i in range(10):
        one.report('p%d' % i)
    settled(one)
    wires = [one.wire() for _ in range(8)]
    try:
        for wire in wires:
            wire.send(b'POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 14\r\n\r\n{"force":true}'
                      % (REFRESH.encode(), one.key.encode()))
        for wire in wires:
            got = wire.reply().json()
            assert got['success'] and got['projects_refreshed'] == 10
    finally:
        for wire in wires:
            wire.close()


def test_a_client_that_leaves_ends_nothing(larder):
    one = larder(NEVER)
    one.report('a')
    for _ in range(5):
        wire = one.wire()
        wire.send(b'POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 14\r\n\r\n{"force":true}'
                  % (REFRESH.encode(), one.key.encode()))
        wire.close()
    assert refresh(one, force=True)['success'] is True


def test_what_was_invalidated_is_refreshed_next(larder):
    one = larder(NEVER)
    one.report('a')
    settled(one)
    one.post(INVALIDATE, {'project_id': 'a'})
    until(lambda: one.get(PROJECTS + '/a').json()['status'] == 'active', 'the scheduler')
    settled(one)
    assert refresh(one, 'a')['projects_refreshed'] == 0


def test_a_refresh_is_noted_in_the_status(larder):
    one = larder(NEVER)
    one.report('a')
    refresh(one, force=True)
    status = one.get(CACHE + '/status').json()
    assert status['refreshing'] == 0
    assert status['last_refresh'] is not None and status['refresh_job_status']['next_run_time'] is not None


# ---- upstream ----------------------------------------------------------------------------------
def test_upstream_versions_are_learnt_from_github(larder, github):
    repo = github.add(repos.skills_repo())
    one = larder(NEVER)
    one.report('proj-1', [{'name': 'pdf', 'type': 'skill', 'deployed_version': '1.0.0',
                           'source': 'github:%s/skills/pdf' % repo.full_name},
                          {'name': 'again', 'type': 'skill', 'deployed_version': '1.2.0',
                           'source': 'github:%s/skills/pdf@latest' % repo.full_name}])
    got = until(lambda: [row for row in one.listed('/artifacts') if row['upstream_version'] == '1.2.0'], 'the version')
    settled(one)
    rows = {row['name']: row for row in one.listed('/artifacts')}
    assert got and rows['pdf']['is_outdated'] is True and rows['again']['is_outdated'] is False
    stale = one.get(CACHE + '/stale-artifacts').json()
    assert [(row['name'], row['version_difference']) for row in stale['items']] == [
        ('pdf', 'minor version upgrade (0 -> 2)')]


def test_a_repository_is_asked_once_for_all_its_artifacts(larder, own_github):
    repo = own_github.add(repos.skills_repo())
    one = larder(NEVER, standin=own_github)
    names = ('pdf', 'sheets', 'canvas')
    for i in range(5):
        one.report('p%d' % i, [{'name': name, 'type': 'skill', 'deployed_version': '1.0.0',
                                'source': 'github:%s/skills/%s' % (repo.full_name, name)} for name in names])
    settled(one)
    refresh(one, force=True)
    own_github.forget()
    assert refresh(one, force=True)['projects_refreshed'] == 5
    assert len(own_github.seen('/commits/')) <= 1


# ---- folders of this machine -------------------------------------------------------------------
def test_folders_are_discovered_and_refreshed(larder, tmp_path):
    root = tmp_path / 'projects'
    skill(root / 'one', 'canvas', '1.0.0')
    skill(root / 'two', 'pdf', '2.0.0')
    (root / 'three').mkdir()
    one = larder(dict(NEVER, **{'projects.roots': [str(root)]}))
    project = project_at(one, root / 'one')
    assert project['origin'] == 'discovered' and project['name'] == 'one'
    project_at(one, root / 'two')
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 2, 'the artifacts')
    assert {row['path'] for row in one.listed('/projects')} == {str(root / 'one'), str(root / 'two')}
    rows = one.listed('/artifacts', project_id=project['id'])
    assert [(row['name'], row['type'], row['deployed_version']) for row in rows] == [('canvas', 'skill', '1.0.0')]


def test_changes_on_disk_are_changes(larder, tmp_path):
    root = tmp_path / 'projects'
    skill(root / 'one', 'canvas', '1.0.0')
    one = larder(dict(NEVER, **{'projects.roots': [str(root)]}))
    project_id = project_at(one, root / 'one')['id']
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 1, 'the artifact')
    settled(one)
    assert refresh(one, project_id, force=True)['changes_detected'] is False
    skill(root / 'one', 'canvas', '1.1.0')
    skill(root / 'one', 'docker', '0.1.0')

    def seen():
        refresh(one, project_id, force=True)
        return {row['name']: row['deployed_version'] for row in one.listed('/artifacts')}
    assert seen() == {'canvas': '1.1.0', 'docker': '0.1.0'}


def test_changes_on_disk_are_noticed(larder, tmp_path):
    root = tmp_path / 'projects'
    skill(root / 'one', 'canvas', '1.0.0')
    one = larder(dict(NEVER, **{'projects.roots': [str(root)]}))
    project_at(one, root / 'one')
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 1, 'the artifact')
    settled(one)
    skill(root / 'one', 'canvas', '1.1.0')
    until(lambda: one.listed('/artifacts')[0]['deployed_version'] == '1.1.0', 'the change to be noticed')


def test_projects_that_come_are_noticed(larder, tmp_path):
    root = tmp_path / 'projects'
    skill(root / 'one', 'canvas', '1.0.0')
    one = larder(dict(NEVER, **{'projects.roots': [str(root)]}))
    project_at(one, root / 'one')
    settled(one)
    skill(root / 'team' / 'two', 'docker', '2.0.0')
    project_at(one, root / 'team' / 'two')
    (root / 'one').rename(root / 'uno')
    project_at(one, root / 'uno')
    until(lambda: {row['path'] for row in one.listed('/projects')} == {str(root / 'uno'), str(root / 'team' / 'two')},
          'the old name to be gone')
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 2, 'the artifacts')


def test_a_folder_that_goes_is_an_error_or_is_gone(larder, tmp_path):
    root = tmp_path / 'projects'
    where = skill(root / 'one', 'canvas', '1.0.0')
    one = larder(dict(NEVER, **{'projects.roots': [str(root)]}))
    project_id = project_at(one, root / 'one')['id']
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 1, 'the artifact')
    (where / 'SKILL.md').unlink()
    where.rmdir()
    refresh(one, project_id, force=True)
    until(lambda: one.get(CACHE + '/artifacts').json()['total'] == 0, 'it to be gone')
