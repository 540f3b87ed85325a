"""SIGTERM lets requests in flight finish; a second one does not wait."""
import json
import signal
import threading

import pytest
import repos
from program import CACHE, SOURCES, until
from wire import Wire, request


def in_flight(larder, github, seconds=60):
    """A connection whose request waits for a scan that is held."""
    repo = github.add(repos.skills_repo())
    github.fault('/repos/' + repo.full_name, 'hold')
    wire = larder.wire()
    body = json.dumps({'repo_url': repo.url}).encode()
    wire.send(request('POST', SOURCES, {'Prefer': 'wait=%d' % seconds, 'Content-Type': 'application/json'}, body))
    until(lambda: github.waiting, 'the scan to begin')
    return wire


def refuses_connections(port):
    try:
        Wire(port, timeout=5).close()
        return False
    except OSError:
        return True


def test_sigterm_lets_requests_in_flight_finish(larder, github):
    one = larder()
    idle = one.wire()
    assert idle.send(request('GET', '/healthz')).reply().status == 200
    busy, port = in_flight(one, github), one.port
    one.signal(signal.SIGTERM)
    until(lambda: refuses_connections(port), 'new connections to be refused')
    assert idle.is_closed()
    github.release()
    reply = busy.reply()
    assert reply.status == 201 and reply.headers['connection'].lower() == 'close'
    assert busy.is_closed()
    assert one.wait_exit() == 0
    one.check_clean()
    one.start()
    assert one.settled(reply.json()['id'])['scan_status'] == 'success'


def test_pipelined_requests_behind_the_one_in_flight_are_not_half_answered(larder, github):
    one = larder()
    busy = in_flight(one, github)
    busy.send(request('GET', '/healthz') * 3)
    one.signal(signal.SIGTERM)
    until(lambda: refuses_connections(one.port), 'new connections to be refused')
    github.release()
    assert busy.reply().status == 201
    rest = busy.rest()
    assert rest == b'' or rest.endswith(b'}') or rest.endswith(b'}\n')
    assert one.wait_exit() == 0


def test_a_sighup_while_draining_changes_nothing(larder, github):
    one = larder()
    busy = in_flight(one, github)
    one.signal(signal.SIGTERM)
    until(lambda: refuses_connections(one.port), 'new connections to be refused')
    for _ in range(5):
        one.signal(signal.SIGHUP)
    github.release()
    assert busy.reply().status == 201
    assert one.wait_exit() == 0
    one.check_clean()
    assert 'read again' not in one.errors


def test_a_second_sigterm_stops_at_once(larder, github):
    one = larder()
    busy = in_flight(one, github)
    one.signal(signal.SIGTERM)
    until(lambda: refuses_connections(one.port), 'new connections to be refused')
    one.signal(signal.SIGTERM)
    one.wait_exit(patience=8)                        # the first alone would have waited ten seconds
    one.check_clean()
    busy.close()


def test_who_waits_for_a_refresh_hears_that_the_server_stops(larder, github):
    one = larder()
    repo = github.add(repos.skills_repo())
    one.report('a', [{'name': 'x', 'type': 'skill', 'source': 'github:%s/skills/x' % repo.full_name,
                      'deployed_version': '1.0.0'}])
    github.fault('/repos/' + repo.full_name, 'hold', times=9)
    wire = one.wire()
    wire.send(request('POST', CACHE + '/refresh', {'Authorization': 'Bearer ' + one.key}, b'{"force":true}'))
    until(lambda: github.waiting, 'the refresh to ask')
    one.signal(signal.SIGTERM)
    reply = wire.reply()
    assert reply.status == 503 and reply.json() == {'detail': 'The server is stopping'}
    assert one.wait_exit() == 0
    one.check_clean()


def test_draining_ends_even_if_a_request_never_does(larder, github):
    one = larder()
    busy = in_flight(one, github)
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0
    one.check_clean()
    busy.close()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_cleanly(larder, number):
    one = larder()
    wires = [one.wire() for _ in range(20)]
    wires[0].send(b'GET /half')
    one.signal(number)
    assert one.wait_exit(patience=60) == 0
    one.check_clean()


def test_writes_under_way_are_answered_or_not_done(larder):
    """Every 201 that left before the end is there after the next start."""
    one = larder({'github.api_url': 'https://localhost:1'})
    acknowledged, key = [], one.key

    def write(worker):
        try:
            with one.wire() as wire:
                for i in range(3000):
                    body = json.dumps({'repo_url': 'https://github.com/acme/w%d-%d' % (worker, i)}).encode()
                    headers = {'Authorization': 'Bearer ' + key, 'Content-Type': 'application/json'}
                    reply = wire.send(request('POST', SOURCES, headers, body)).reply()
                    if reply.status == 201:
                        acknowledged.append(reply.json()['id'])
        except Exception:                            # the end of the server, wherever it meets us
            pass
    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 50, 'some writes')
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0
    for thread in threads:
        thread.join()
    one.start()
    for source_id in acknowledged:
        assert one.source(source_id)
    one.command('check')


def test_signals_nobody_knows_are_survived(larder):
    one = larder()
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        one.signal(number)
    assert one.get('/healthz').status == 200
