"""Rate limits: counted per key, or per address without one; said on every answer."""
import json
import time

import pytest
import repos
from program import CACHE, SOURCES, until
from wire import request

TEXT = 'Rate limit exceeded. Maximum %d requests per %s per user'


def rates(reply):
    return tuple(int(reply.headers['x-ratelimit-' + name]) for name in ('limit', 'remaining', 'reset'))


def test_the_headers_count_down(larder):
    one = larder({'limits.requests_per_minute': 5})
    key = one.new_key(rate=None)
    for left in (4, 3, 2, 1, 0):
        limit, remaining, reset = rates(one.get(SOURCES, key=key))
        assert (limit, remaining) == (5, left)
        assert reset > time.time() - 3600            # a moment in Unix seconds, not a span


def test_too_many_requests_are_429_with_the_spec_s_body(larder):
    one = larder({'limits.requests_per_minute': 3})
    key = one.new_key(rate=None)
    for _ in range(3):
        assert one.get(CACHE + '/status', key=key).status == 200
    for path in (CACHE + '/status', SOURCES):
        reply = one.get(path, key=key)
        assert reply.status == 429 and reply.detail == TEXT % (3, 'minute')
        assert 1 <= int(reply.headers['retry-after']) <= 60
        assert rates(reply)[:2] == (3, 0)


def test_each_key_has_its_own_budget(larder):
    one = larder({'limits.requests_per_minute': 2})
    first, second = one.new_key('first', rate=None), one.new_key('second', rate=None)
    assert [one.get(SOURCES, key=first).status for _ in range(3)] == [200, 200, 429]
    assert [one.get(SOURCES, key=second).status for _ in range(3)] == [200, 200, 429]
    assert one.get(SOURCES, key=one.new_key('free', rate='unlimited')).status == 200


def test_without_a_key_the_address_counts(larder):
    one = larder({'limits.requests_per_minute': 2})
    assert [one.get(CACHE + '/status', key=None).status for _ in range(3)] == [401, 401, 429]
    key = one.new_key(rate=None)
    assert one.get(CACHE + '/status', key=key).status == 200


def test_where_no_key_is_needed_anonymous_requests_are_not_counted(larder):
    one = larder({'limits.requests_per_minute': 2})
    assert [one.get(SOURCES, key=None).status for _ in range(6)] == [200] * 6


def test_an_hour_has_a_limit_as_well(larder):
    one = larder({'limits.requests_per_minute': 100, 'limits.requests_per_hour': 4})
    key = one.new_key(rate=None)
    assert [one.get(SOURCES, key=key).status for _ in range(4)] == [200] * 4
    reply = one.get(SOURCES, key=key)
    assert reply.status == 429 and reply.detail == TEXT % (4, 'hour')
    assert 1 <= int(reply.headers['retry-after']) <= 3600


def test_errors_and_304_carry_the_headers_too(larder):
    one = larder()
    key = one.new_key(rate=None)
    tag = one.get(SOURCES, key=key).headers['etag']
    answers = [one.get(SOURCES, key=key, headers={'If-None-Match': tag}),
               one.get(SOURCES + '/src_none', key=key), one.post(SOURCES, {}, key=key),
               one.get(CACHE + '/search', key=key, params={'query': 'a', 'limit': 0})]
    assert [reply.status for reply in answers] == [304, 404, 422, 400]
    left = [rates(reply)[1] for reply in answers]
    assert left == [98, 97, 96, 95]


def test_concurrent_requests_are_limited(larder, github):
    one = larder({'limits.concurrent_requests': 2, 'github.concurrency': 4})
    key = one.new_key(rate=None)
    waiting = []
    for _ in range(2):
        repo = github.add(repos.skills_repo())
        github.fault('/repos/' + repo.full_name, 'hold')
        wire = one.wire()
        wire.send(request('POST', SOURCES, {'Prefer': 'wait=60', 'Authorization': 'Bearer ' + key},
                          json.dumps({'repo_url': repo.url}).encode()))
        waiting.append(wire)
    until(lambda: github.waiting == 2, 'two scans to begin')
    reply = one.get(SOURCES, key=key)
    assert reply.status == 429 and 'concurrent' in reply.detail and 'retry-after' in reply.headers
    assert one.get(SOURCES).status == 200            # another client is not concerned
    github.release()
    assert [wire.reply().status for wire in waiting] == [201, 201]
    assert one.get(SOURCES, key=key).status == 200


@pytest.mark.parametrize('path', ['/healthz', '/readyz', '/openapi.json'])
def test_probes_are_not_limited(larder, path):
    one = larder({'limits.requests_per_minute': 2})
    assert [one.get(path, key=None).status for _ in range(6)] == [200] * 6
