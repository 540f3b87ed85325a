"""Clients that send slowly, read slowly, or not at all: they must cost little and disturb nobody."""
import os
import re
import signal
import socket
import time

import repos
from program import MB, ROOM, SOURCES, until
from wire import Wire, request

HEALTH = request('GET', '/healthz')


def push(wire, data, most):
    """Sends copies of `data` until the server stops taking them for a while, or `most` bytes went out."""
    wire.socket.settimeout(1)
    sent, part = 0, b''
    while sent < most:
        part = part or data
        try:
            n = wire.socket.send(part)
        except (socket.timeout, BrokenPipeError, ConnectionResetError):
            break
        sent += n
        part = part[n:]
    return sent


def test_a_client_that_never_reads_is_not_buffered_without_bound(larder, github):
    one = larder()
    one.create(github.add(repos.commands_repo(['command-%03d' % i for i in range(100)])))
    assert len(one.get('/openapi.json').body) > 4000
    before = one.resident
    asked = request('GET', '/openapi.json', {'Authorization': 'Bearer ' + one.key})
    with one.wire(receive_buffer=4096) as wire:
        sent = push(wire, asked * 100, 200 * MB)
        assert sent < 200 * MB, 'it took everything without being read from'
        assert one.resident - before < 64 * ROOM
        with one.wire() as other:
            assert other.send(HEALTH).reply().status == 200
    assert one.get('/healthz').status == 200


def test_many_clients_that_never_read(larder):
    one = larder()
    before = one.resident
    asked = request('GET', '/openapi.json', {'Authorization': 'Bearer ' + one.key})
    wires = [one.wire(receive_buffer=4096) for _ in range(50)]
    for wire in wires:
        wire.socket.settimeout(0.2)
        try:
            wire.socket.sendall(asked * 200)
        except OSError:
            pass
    assert one.get('/healthz').status == 200
    assert one.resident - before < 128 * ROOM
    for wire in wires:
        wire.close()
    assert one.get('/healthz').status == 200


def test_a_slow_reader_gets_all_of_a_large_answer(larder, github):
    one = larder()
    source = one.create(github.add(repos.commands_repo(['command-%03d' % i for i in range(100)])))
    path = '%s/%s/artifacts?limit=100' % (SOURCES, source['id'])
    whole = one.get(path)
    with one.wire(receive_buffer=2048) as wire:
        wire.send(request('GET', path, {'Authorization': 'Bearer ' + one.key}))
        got = b''
        while len(got.partition(b'\r\n\r\n')[2]) < len(whole.body):
            piece = wire.socket.recv(1500)
            assert piece, 'the connection ended before the answer did'
            got += piece
            time.sleep(0.005)
    assert got.endswith(whole.body[-200:])


def test_hundreds_of_unfinished_requests_hold_nobody_up(larder):
    one = larder()
    wires = [one.wire() for _ in range(300)]
    for i, wire in enumerate(wires):
        wire.send((b'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ' + b'a' * i)[:20 + i])
    for _ in range(20):
        with one.wire() as other:
            assert other.send(HEALTH).reply().status == 200
    for i, wire in enumerate(wires[:50]):           # and each of them still works
        wire.send((b'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ' + b'a' * i)[20 + i:] + b'\r\n\r\n')
        assert wire.reply().status == 200
    for wire in wires:
        wire.close()


def test_a_body_that_trickles_in_is_408_in_the_end(larder):
    """Bytes that keep coming must not prolong the time for the whole body for ever."""
    one = larder({'http.body_timeout': '2s'})
    with one.wire() as wire:
        wire.send(request('POST', SOURCES, {'Content-Length': '100000'}))
        wire.socket.settimeout(0.2)

        def refused():
            wire.send(b' ')
            try:
                return wire.socket.recv(1000)
            except socket.timeout:
                return None
        answer = until(refused, 'the refusal of a trickling body')
    assert answer.startswith(b'HTTP/1.1 408 ')


def test_a_header_that_trickles_in_is_408_in_the_end(larder):
    one = larder({'http.header_timeout': '2s'})
    with one.wire() as wire:
        wire.send(b'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ')
        wire.socket.settimeout(0.2)

        def refused():
            wire.send(b'a')
            try:
                return wire.socket.recv(1000)
            except socket.timeout:
                return None
        answer = until(refused, 'the refusal of a trickling header')
    assert answer.startswith(b'HTTP/1.1 408 ')


def test_connections_that_come_and_go_leave_nothing(larder):
    one = larder()
    for _ in range(500):
        Wire(one.port).close()
    before = one.resident
    for i in range(3000):
        wire = Wire(one.port)
        if i % 3:
            wire.send(b'GET /heal' if i % 2 else HEALTH)
        wire.close()
    assert one.get('/healthz').status == 200
    assert one.resident - before < 16 * ROOM


def test_who_reads_standard_error_and_stalls_holds_up_no_request(larder):
    one = larder({'log.access': True}, start=False)
    os.mkfifo(one.err)
    log = os.open(one.err, os.O_RDONLY | os.O_NONBLOCK)
    one.start()
    with one.wire() as wire:
        for _ in range(50):    # some 700 KB of log: twice what pipe and ring take
            wire.send(HEALTH * 100)
            assert all(wire.reply().status == 200 for _ in range(100))
    os.set_blocking(log, True)
    one.process.send_signal(signal.SIGTERM)
    with os.fdopen(log, encoding='utf-8') as f:
        lines = f.read().splitlines()
    assert one.process.wait(30) == 0
    one.process = None
    lost = [re.search(r'log lines were lost.* lines=(\d+)$', line) for line in lines]
    told = sum(int(found.group(1)) for found in lost if found)
    logged = sum(' path=/healthz ' in line for line in lines)
    assert told > 0 and 5000 <= logged + told <= 5003    # with the start and the end
    assert lost[-1] or lines[-1].endswith('stopped')    # the last of all may be among the lost
