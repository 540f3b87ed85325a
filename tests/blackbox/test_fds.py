"""Too many connections, and too few file descriptors."""
import os
import resource
import time

import repos
from program import until
from wire import Closed, request

HEALTH = request('GET', '/healthz')


def test_one_connection_too_many_is_told_so(larder):
    one = larder({'http.max_connections': 5})
    wires = [one.wire() for _ in range(5)]
    for wire in wires:
        assert wire.send(HEALTH).reply().status == 200
    with one.wire() as wire:
        reply = wire.send(HEALTH).reply()
        assert reply.status == 503 and reply.detail and int(reply.headers['retry-after']) >= 1
        assert wire.is_closed()
    assert wires[0].send(HEALTH).reply().status == 200
    wires.pop().close()

    def served():
        with one.wire() as wire:
            return wire.send(HEALTH).reply().status == 200
    until(served, 'the place that became free')


def test_without_descriptors_it_neither_dies_nor_spins(larder):
    one = larder(limits=[(resource.RLIMIT_NOFILE, 64)])
    wires = []
    for _ in range(120):
        wires.append(one.wire(timeout=5))
    before = one.cpu
    time.sleep(2)
    assert one.cpu - before < 1.0, 'it spins'
    said = [line for line in one.errors.splitlines() if "can be accepted" in line]
    assert len(said) == 1 and 'out of file descriptors' in said[0], said
    assert wires[0].send(HEALTH).reply().status == 200
    for wire in wires:
        wire.close()

    def served():
        try:
            with one.wire(timeout=5) as wire:
                return wire.send(HEALTH).reply().status == 200
        except (OSError, Closed):
            return False
    until(served, 'service after the flood')


def test_a_scan_without_descriptors_is_an_error_not_the_end(larder, github):
    one = larder(limits=[(resource.RLIMIT_NOFILE, 64)])
    one.key
    made = one.create(github.add(repos.skills_repo()), settled=False)
    wires = [one.wire() for _ in range(120)]
    for wire in wires:
        wire.close()
    source = one.settled(made['id'])
    assert source['scan_status'] in ('success', 'error')
    until(lambda: one.rescan(made['id'])['scan_status'] == 'success', 'a good scan', pause=1)


def test_descriptors_are_given_back(larder):
    one = larder()
    where = '/proc/%d/fd' % one.process.pid
    one.get('/healthz')
    before = len(os.listdir(where))
    for _ in range(300):
        with one.wire() as wire:
            wire.send(HEALTH).reply()
    until(lambda: len(os.listdir(where)) <= before + 2, 'the descriptors to be closed')
