"""GET /cache/events: Server-Sent Events over a real connection."""
import re

import pytest
import repos
from program import CACHE, SOURCES, until
from sse import PATH, Events
from wire import request

OUTDATED = ('canvas', '1.0.0', '2.0.0')


def test_a_stream_begins_with_its_place(server):
    with Events(server) as stream:
        assert stream.status == 200
        assert stream.headers['content-type'] == 'text/event-stream'
        assert stream.headers['cache-control'] == 'no-store'
        assert stream.headers['connection'] == 'close'
        assert 'content-length' not in stream.headers and 'content-encoding' not in stream.headers
        assert 'x-request-id' in stream.headers
        block = stream.block()
        assert re.fullmatch(r'retry: \d+\nid: [0-9a-f]{8}-\d+', block)


def test_what_happens_to_projects_is_told(larder):
    one = larder({'projects.refresh_interval': '365d'})
    with Events(one) as stream:
        one.report('proj-1', [OUTDATED, ('same', '1.0.0', '1.0.0')], name='My Project')
        seen = stream.until('artifact_outdated')
        artifact = one.listed('/stale-artifacts')[0]
        assert seen[-1].data == {'id': artifact['id'], 'name': 'canvas', 'type': 'skill', 'project_id': 'proj-1',
                                 'project_name': 'My Project', 'deployed_version': '1.0.0',
                                 'upstream_version': '2.0.0'}
        assert any(event.type == 'project_changed' and event.data['project_id'] == 'proj-1' for event in seen)
        stream.until('refresh_finished')                     # what a report brings about
        reply = one.post(CACHE + '/refresh', {'project_id': 'proj-1', 'force': True})
        assert reply.json()['projects_refreshed'] == 1
        seen = stream.until('refresh_finished', project_id='proj-1')
        assert seen[-1].data == {'project_id': 'proj-1', 'project_name': 'My Project', 'projects_refreshed': 1,
                                 'changes_detected': False, 'errors': 0, 'error': None}
        assert 'refresh_started' in [event.type for event in seen]
        one.delete(CACHE + '/projects/proj-1')
        stream.until('project_changed')


def test_a_run_over_all_tells_how_far_it_is(larder):
    one = larder({'projects.refresh_interval': '365d'})
    for i in range(5):
        one.report('p%d' % i)
    with Events(one) as stream:
        one.post(CACHE + '/refresh', {'force': True})
        seen = stream.until('refresh_finished', project_id=None)
        assert seen[-1].data['projects_refreshed'] == 5 and seen[-1].data['errors'] == 0
        started = [event for event in seen if event.type == 'refresh_started' and event.data['project_id'] is None]
        assert started[0].data['total'] == 5
        progress = [event.data for event in seen if event.type == 'refresh_progress']
        assert progress and all(0 <= one['done'] <= one['total'] == 5 for one in progress)
        assert [one['done'] for one in progress] == sorted(one['done'] for one in progress)


def test_scans_that_end_are_told(larder, github):
    one = larder()
    with Events(one) as stream:
        source = one.create(github.add(repos.skills_repo()))
        event = stream.until('scan_finished', source_id=source['id'])[-1]
        assert event.data == {'source_id': source['id'], 'status': 'success', 'artifacts_found': 3, 'new_count': 3,
                              'updated_count': 0, 'removed_count': 0, 'not_modified': False, 'error': None}
        reply = one.post(SOURCES, {'repo_url': 'https://github.com/acme/' + repos.unique('nowhere')})
        event = stream.until('scan_finished', source_id=reply.json()['id'])[-1]
        assert event.data['status'] == 'error' and event.data['error']


def test_ids_rise_and_are_the_same_for_all(larder):
    one = larder({'projects.refresh_interval': '365d'})
    with Events(one) as first, Events(one) as second:
        for i in range(3):
            one.report('p%d' % i, [OUTDATED])
        mine = first.until('artifact_outdated', project_id='p2')
        yours = second.until('artifact_outdated', project_id='p2')
        assert mine == yours
        numbers = [int(event.id.rpartition('-')[2]) for event in mine]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_who_comes_back_misses_nothing(larder):
    one = larder({'projects.refresh_interval': '365d'})
    with Events(one) as stream:
        one.report('p0', [OUTDATED])
        last = stream.until('artifact_outdated', project_id='p0')[-1].id
    one.report('p1', [OUTDATED])
    one.report('p2', [OUTDATED])
    with Events(one, last_id=last) as stream:
        seen = stream.until('artifact_outdated', project_id='p2')
        assert [event.data['project_id'] for event in seen if event.type == 'artifact_outdated'] == ['p1', 'p2']
        assert 'reset' not in {event.type for event in seen}
        assert int(seen[0].id.rpartition('-')[2]) == int(last.rpartition('-')[2]) + 1


def test_an_id_that_is_no_longer_kept_gets_a_reset(larder):
    one = larder({'projects.refresh_interval': '365d'})
    with Events(one) as stream:
        stream.block()
        one.report('small', [OUTDATED])
        last = stream.until('artifact_outdated')[-1].id
    one.report('large', [('a%04d' % i, '1.0.0', '2.0.0') for i in range(1200)])
    with Events(one) as stream:                              # by now all of them have been told
        one.report('late', [OUTDATED])
        stream.until('artifact_outdated', project_id='late')
    with Events(one, last_id=last) as stream:
        event = stream.next()
        assert event.type == 'reset' and event.data['reason']
        one.report('later', [OUTDATED])
        seen = stream.until('artifact_outdated', project_id='later')
        assert 'reset' not in {event.type for event in seen}


@pytest.mark.parametrize('last_id', ['0', 'x', '-', 'deadbeef-1', 'deadbeef-', '9' * 40, 'a' * 4000, '\xff'])
def test_ids_of_nobody_get_a_reset(server, last_id):
    with Events(server, last_id=last_id) as stream:
        assert stream.next().type == 'reset'


def test_ids_of_another_run_get_a_reset(larder):
    one = larder()
    with Events(one) as stream:
        one.report('a')
        last = stream.until('project_changed')[-1].id
    one.restart()
    with Events(one, last_id=last) as stream:
        assert stream.next().type == 'reset'


def test_a_flood_reaches_who_reads(larder):
    """More events at once than are kept: who keeps up gets them all or is told that he did not."""
    one = larder({'projects.refresh_interval': '365d'})
    with Events(one) as stream:
        one.report('flood', [('a%05d' % i, '1.0.0', '2.0.0') for i in range(5000)])
        one.report('end', [OUTDATED])
        seen = stream.until('artifact_outdated', project_id='end')
        names = [event.data['name'] for event in seen if event.type == 'artifact_outdated'][:-1]
        resets = [event for event in seen if event.type == 'reset']
        assert len(set(names)) == len(names) and (len(names) == 5000 or resets)


def test_old_clients_and_head(server):
    with Events(server, version='1.0') as stream:
        assert stream.status == 200 and stream.block()
    reply = server.request('HEAD', PATH, checked=False)
    assert reply.status == 200 and reply.headers['content-type'] == 'text/event-stream' and not reply.body


def test_a_stream_needs_a_key_that_may_read(server):
    for key, status in ((None, 401), ('lk_wrong', 401), (server.new_key(scopes=['cache:write']), 403)):
        reply = server.get(PATH, key=key)
        assert reply.status == status and reply.detail


def test_a_client_has_as_many_streams_as_requests(larder):
    one = larder({'limits.concurrent_requests': 3})
    key = one.new_key(scopes=['cache:read'], rate=None)
    streams = [Events(one, key=key) for _ in range(3)]
    try:
        for stream in streams:
            assert stream.block()
        reply = one.get(PATH, key=key)
        assert reply.status == 429
        assert reply.detail == 'Rate limit exceeded. Maximum 3 event streams per user'
        assert int(reply.headers['retry-after']) >= 1
        assert one.get(CACHE + '/status', key=key).status == 200     # streams are no requests under way
        with Events(one) as other:
            assert other.block()
    finally:
        for stream in streams:
            stream.close()


def test_draining_ends_streams(larder):
    one = larder()
    with Events(one) as stream:
        assert stream.block()
        one.stop()
        assert stream.next() is None and stream.ended


def test_a_revoked_key_loses_its_stream(larder):
    one = larder()
    key = one.new_key(scopes=['cache:read'])
    listed = one.command('key', 'list').stdout
    with Events(one, key=key) as stream:
        assert stream.block()
        mine = [line.split()[0] for line in listed.splitlines()[1:] if 'cache:read' in line and 'admin' not in line]
        one.command('key', 'revoke', mine[0])
        while stream.next():                                 # a comment comes every 15 seconds
            pass
        assert stream.ended


def test_requests_behind_a_stream_are_not_answered(server):
    with server.wire() as wire:
        key = {'Authorization': 'Bearer ' + server.key}
        wire.send(request('GET', PATH, key) + request('GET', CACHE + '/status', key))
        while b'retry:' not in wire.buffer:
            assert wire._more()
        assert wire.buffer.count(b'HTTP/1.1 ') == 1


def test_clients_that_leave_leave_nothing_behind(server):
    def streams():
        return int(re.search(r'^larder_event_streams (\d+)$', server.get('/metrics').body.decode(), re.M).group(1))
    for _ in range(50):
        with Events(server) as stream:
            assert stream.status == 200
    with Events(server) as stream:
        assert stream.block()
        until(lambda: streams() == 1, 'the others to have left')
    until(lambda: streams() == 0, 'the last one to have left')
