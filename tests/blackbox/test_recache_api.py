"""The recache family over HTTP: who may come in, what is refused and in which order, and both envelopes.

Nothing is rendered here: the scheduler is paused.
"""
import json
import signal

import pytest
from program import Larder, until
from recaching import BLOCKED, BYPASS, DESKTOP, HOSTS, KEY, MOBILE, Recache, options

CACHE = '/internal/cache/'
POSTS = [CACHE + name for name in ('recache', 'invalidate', 'invalidate-all', 'hit', 'dead-letters/retry', 'sitemap')]
LISTS = [CACHE + name for name in ('urls', 'summary', 'queue', 'queue/summary', 'dead-letters')]
OTHERS = ['/internal/scheduler/pause', '/internal/scheduler/resume', '/internal/render/register',
          '/internal/render/heartbeat']


@pytest.fixture(scope='module')
def running(tmp_path_factory):
    one = Larder(tmp_path_factory.mktemp('recache-api'), options()).start()
    Recache(one).pause()
    yield one
    one.stop()


@pytest.fixture
def api(running):
    return Recache(running)


def refused(reply, status, message):
    assert reply.headers['content-type'] == 'application/json'
    body = reply.json()
    assert (reply.status, body['success'], body['status']) == (status, False, 'error'), (reply.status, body)
    if message.endswith('...'):
        assert body['message'].startswith(message[:-3]), body
    else:
        assert body == {'success': False, 'status': 'error', 'message': message}


# ---- who may come in ----
@pytest.mark.parametrize('path', POSTS + LISTS + OTHERS + [CACHE + 'page', '/status', '/internal', '/internal/none'])
@pytest.mark.parametrize('key', ['', 'wrong', KEY + 'x', KEY[:-1]])
def test_without_a_right_key_nobody_learns_which_paths_there_are(api, path, key):
    method = 'POST' if path in POSTS + OTHERS else 'GET'
    refused(api.ask(method, path, b'{', key=key), 401, 'unauthorized')


@pytest.mark.parametrize('path', POSTS + ['/internal/none'])
def test_a_strangers_large_body_is_refused_before_it_comes(running, path):
    """Only the head is sent: the answer is there all the same."""
    for key in ('', 'X-Internal-Auth: wrong\r\n'):
        with running.wire() as wire:
            wire.send(('POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n'
                       % (path, key, 31 << 20)).encode())
            refused(wire.reply(), 401, 'unauthorized')
        with running.wire() as wire:  # of no announced length: it could be large
            wire.send(('POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n' % (path, key)).encode())
            refused(wire.reply(), 401, 'unauthorized')


def test_an_empty_key_is_none(api):
    refused(api.ask('GET', '/status', headers={'X-Internal-Auth': ''}), 401, 'unauthorized')
    refused(api.ask('GET', '/status', key='', headers={'Authorization': 'Bearer ' + KEY}), 401, 'unauthorized')


@pytest.mark.parametrize('method, path', [
    ('GET', '/internal'), ('GET', '/internal/none'), ('POST', '/status'), ('GET', '/status/'), ('DELETE', '/status'),
    ('GET', CACHE + 'recache'), ('PUT', CACHE + 'recache'), ('OPTIONS', CACHE + 'recache'), ('POST', CACHE + 'urls'),
    ('POST', CACHE + 'recache/'), ('GET', '/internal/scheduler/pause'), ('PATCH', CACHE + 'page')])
def test_another_path_or_method_is_not_found(api, method, path):
    reply = api.ask(method, path, b'{}')
    refused(reply, 404, 'not found')
    assert 'allow' not in reply.headers


def test_several_keys_while_they_change(larder):
    one = larder(options(auth_key=['old-' + KEY]))
    old, new = Recache(one, 'old-' + KEY), Recache(one, 'new-' + KEY)
    assert (old.get('/status').status, new.get('/status').status) == (200, 401)
    for keys, statuses in ((['old-' + KEY, 'new-' + KEY], (200, 200)), (['new-' + KEY], (401, 200))):
        one.configure(recache__auth_key=keys)
        one.signal(signal.SIGHUP)
        until(lambda: (old.get('/status').status, new.get('/status').status) == statuses, 'the keys to change')


def test_a_key_from_a_file_and_none_at_all(larder, tmp_path):
    (tmp_path / 'keys').write_text('first-key-of-the-file\nsecond-key-of-the-file\n')
    changed = options(auth_key_file=str(tmp_path / 'keys'))
    del changed['recache.auth_key']
    (tmp_path / 'keys').chmod(0o600)
    one = larder(changed)
    for key, status in (('first-key-of-the-file', 200), ('second-key-of-the-file', 200), ('\n', 401), (KEY, 401)):
        assert Recache(one, key.strip() or 'none').get('/status').status == status
    nobody = larder({'recache.hosts': HOSTS})
    refused(Recache(nobody).get('/status'), 401, 'unauthorized')


def test_the_scheduler_is_steered_only_where_the_configuration_allows_it(larder):
    one = Recache(larder(options(scheduler_control_api=False)))
    for path in OTHERS[:2]:
        refused(one.ask('POST', path), 403, 'Scheduler control API not enabled')


def test_pause_and_resume(larder):
    one = Recache(larder(options()))
    for name, said, paused in (('pause', 'Scheduler paused', True), ('resume', 'Scheduler resumed', False)):
        for body in (None, b'', b'{', b'not looked at'):
            reply = one.ask('POST', '/internal/scheduler/' + name, body)
            assert reply.status == 200
            assert reply.json() == {'success': True, 'status': 'ok', 'message': said}
            assert one.status()['paused'] is paused


# ---- what is refused, in the order of the checks: each body has all that comes later wrong as well ----
NOT_JSON = [b'', b'{', b'{"host_id":1}x', b'[]', b'"x"', b'7', b'{"host_id":"1"}', b'{"host_id":1.5}',
            b'{"host_id":1.0}', b'{"host_id":true}', b'{"host_id":1e2}', b'{"host_id":123456789012345678901}',
            b'{"host_id":1e999}', b'{"urls":"x"}', b'{"urls":[1]}', b'{"urls":{}}', b'{"dimension_ids":[1.5]}',
            b'{"dimension_ids":["1"]}', b'{"dimension_ids":1}', b'{"priority":1}', b'\xef\xbb\xbf{}',
            b'{"urls":["\xff\xfe"]}', b'{"urls":["\xc0\x80"]}', b'{"urls":["\\ud800"]}', b'[' * 10000,
            b'{"urls":["' + b'\x00' + b'"]}', b"{'host_id':1}", b'{"host_id":01}', b'{"host_id":NaN}']
U = ['https://localhost/']
MANY = ['https://localhost/%d' % i for i in range(10001)]
HOST_MISSING = [({}, 'host_id is required'), ({'host_id': 0}, 'host_id is required'),
                ({'host_id': None}, 'host_id is required'), (None, 'host_id is required')]
URLS_MISSING = [({'host_id': 9}, 'urls array cannot be empty'),
                ({'host_id': 9, 'urls': []}, 'urls array cannot be empty'),
                ({'host_id': 9, 'urls': None}, 'urls array cannot be empty')]
HOST_UNKNOWN = [({'host_id': 9}, 'host_id 9 not found'), ({'host_id': -1}, 'host_id -1 not found'),
                ({'host_id': 4294967297}, 'host_id 4294967297 not found'),
                ({'host_id': 9223372036854775807}, 'host_id 9223372036854775807 not found')]
DIMENSIONS = [(ids, "dimension_id %d not configured for host 'localhost'" % first) for ids, first in (
    ([9], 9), ([DESKTOP, 8, 9], 8), ([BLOCKED], BLOCKED), ([DESKTOP, BLOCKED], BLOCKED), ([-1], -1),
    ([65537], 65537), ([4294967296], 4294967296))]


def with_all(cases, **fields):
    return [(dict(fields, **(body or {})), message) for body, message in cases]


RECACHE = with_all(HOST_MISSING, urls=[], priority='low', dimension_ids=[9]) + \
    with_all(URLS_MISSING, priority='low', dimension_ids=[9]) + \
    [({'host_id': 9, 'urls': MANY, 'priority': 'low', 'dimension_ids': [9]},
      'urls array cannot exceed 10000 entries')] + \
    [({'host_id': 9, 'urls': U, 'priority': p, 'dimension_ids': [9]}, "priority must be 'high' or 'normal'")
     for p in ('', 'low', 'HIGH', 'autorecache', ' high', None)] + \
    [({'host_id': 9, 'urls': U, 'dimension_ids': [9]}, "priority must be 'high' or 'normal'")] + \
    with_all(HOST_UNKNOWN, urls=U, priority='high', dimension_ids=[9]) + \
    [({'host_id': 1, 'urls': U, 'priority': 'high', 'dimension_ids': ids}, message) for ids, message in DIMENSIONS]
INVALIDATE = with_all(HOST_MISSING, urls=[], dimension_ids=[9]) + with_all(URLS_MISSING, dimension_ids=[9]) + \
    with_all(HOST_UNKNOWN, urls=U, dimension_ids=[9]) + \
    [({'host_id': 1, 'urls': U, 'dimension_ids': ids}, message) for ids, message in DIMENSIONS]
INVALIDATE_ALL = with_all(HOST_MISSING, dimension_ids=[9]) + with_all(HOST_UNKNOWN, dimension_ids=[9]) + \
    [({'host_id': 1, 'dimension_ids': ids}, message) for ids, message in DIMENSIONS]
URL_MISSING = [({}, 'url is required'), ({'url': ''}, 'url is required'), ({'url': None}, 'url is required')]
HIT = with_all(HOST_MISSING, url='', dimension_id=9) + with_all(URL_MISSING, host_id=9, dimension_id=9) + \
    with_all(HOST_UNKNOWN, url=U[0], dimension_id=9) + \
    [({'host_id': 1, 'url': U[0], 'dimension_id': 9}, "dimension_id 9 not configured for host 'localhost'"),
     ({'host_id': 1, 'url': U[0], 'dimension_id': BLOCKED},
      "dimension_id 3 blocks on host 'localhost': no pages are kept for it")] + \
    [({'host_id': 1, 'url': 'http://[::1]/', 'dimension_id': 1}, 'url: ...')]
RETRY = with_all(HOST_MISSING, priority='low', dimension_ids=[9]) + \
    [({'host_id': 9, 'priority': 'low', 'dimension_ids': [9]}, "priority must be 'high' or 'normal'")] + \
    with_all(HOST_UNKNOWN, dimension_ids=[9]) + \
    [({'host_id': 1, 'dimension_ids': ids}, message) for ids, message in DIMENSIONS]


SITEMAP = with_all(HOST_MISSING, url='', priority='low') + with_all(URL_MISSING, host_id=9, priority='low') + \
    [({'host_id': 9, 'url': 'x', 'priority': 'autorecache'}, "priority must be 'high' or 'normal'")] + \
    with_all(HOST_UNKNOWN, url='x', dimension_ids=[9]) + \
    [({'host_id': 1, 'url': 'x', 'dimension_ids': ids}, message) for ids, message in DIMENSIONS] + \
    [({'host_id': 1, 'url': url}, 'url: ...') for url in ('x', 'http://127.0.0.2/sitemap.xml')]


def test_bodies_are_refused_in_the_known_order_with_the_known_texts(api, running):
    """One connection for all: whatever is refused, the next request is answered."""
    with running.wire() as wire:
        for path, cases in zip(POSTS, (RECACHE, INVALIDATE, INVALIDATE_ALL, HIT, RETRY, SITEMAP)):
            for broken in NOT_JSON:
                refused(api.ask('POST', path, broken, wire=wire), 400, 'invalid json: ...')
            for body, message in cases:
                refused(api.ask('POST', path, body, wire=wire), 400, message)
        refused(api.ask('POST', POSTS[0], b'null', wire=wire), 400, 'host_id is required')
        assert api.ask('GET', '/status', wire=wire).status == 200


HOST_OF_A_LIST = [({}, 400, 'host_id is required'), ({'host_id': ''}, 400, 'host_id is required'),
                  ({'host_id': '0'}, 400, 'host_id is required'), ({'host_id': '-1'}, 400, 'host_id is required'),
                  ({'host_id': 'x'}, 400, 'host_id must be a valid integer'),
                  ({'host_id': '1.0'}, 400, 'host_id must be a valid integer'),
                  ({'host_id': '1 '}, 400, 'host_id must be a valid integer'),
                  ({'host_id': '99999999999999999999'}, 400, 'host_id must be a valid integer'),
                  ({'host_id': '9'}, 404, 'host_id 9 not found'),
                  ({'host_id': '4294967297'}, 404, 'host_id 4294967297 not found')]
LIMIT = 'limit must be between 1 and 100'
FILTERS = [('limit', '0', LIMIT), ('limit', '101', LIMIT), ('limit', '-1', LIMIT), ('limit', 'x', LIMIT),
           ('limit', '99999999999999999999', LIMIT),
           ('status', 'old', 'invalid status filter: old'), ('status', 'active, Old ', 'invalid status filter: Old'),
           ('dimension', 'tv', "dimension 'tv' not configured for host"),
           ('dimension', 'desktop,1', "dimension '1' not configured for host"),
           ('url_contains', 'x' * 201, 'url_contains ...'),
           ('size_min', 'x', 'invalid size_min filter: ...'), ('size_min', '-1', 'invalid size_min filter: ...'),
           ('size_max', '1.5', 'invalid size_max filter: ...'),
           ('cache_age_min', '-5', 'invalid cache_age_min filter: ...'),
           ('cache_age_max', 'x', 'invalid cache_age_max filter: ...'),
           ('status_code', 'ok', 'invalid status_code filter: ok'),
           ('source', 'cache', 'invalid source filter: cache'),
           ('index_status', '5', 'invalid index_status filter: 5'),
           ('index_status', '1,0', 'invalid index_status filter: 0')]


def test_questions_are_refused_in_the_known_order_with_the_known_texts(api, running):
    with running.wire() as wire:
        def ask(path, params, status, message):
            refused(api.ask('GET', path, params=params, wire=wire), status, message)
        for path in LISTS:
            for params, status, message in HOST_OF_A_LIST:
                ask(path, dict(params, limit='0', priority='x'), status, message)
        for path in LISTS[:1] + LISTS[2:3] + LISTS[4:]:
            for value in ('0', '101', 'x'):
                ask(path, {'host_id': 1, 'limit': value, 'priority': 'x', 'status': 'x'}, 400, LIMIT)
        for at, (name, value, message) in enumerate(FILTERS):
            later = {n: v for n, v, _ in FILTERS[at + 1:] if n != name}
            ask(LISTS[0], dict(later, host_id=1, **{name: value}), 400, message)
        ask(LISTS[0], {'host_id': 1, 'size_min': 5, 'size_max': 4}, 400, 'size_max must be >= size_min')
        ask(LISTS[0], {'host_id': 1, 'cache_age_min': 5, 'cache_age_max': 4}, 400,
            'cache_age_max must be >= cache_age_min')
        ask(LISTS[2], {'host_id': 1, 'priority': 'high, low'}, 400, 'invalid priority filter: low')
        for cursor in ('x', 'ff' * 40, '../..', '\x01'):
            ask(LISTS[0], {'host_id': 1, 'cursor': cursor}, 400, 'invalid cursor')
            ask(LISTS[4], {'host_id': 1, 'cursor': cursor}, 400, 'invalid cursor')
            assert api.ask('GET', LISTS[2], params={'host_id': 1, 'cursor': cursor}, wire=wire).status == 200


def test_a_page_is_asked_for_by_host_url_and_dimension(api):
    def ask(status, message, **params):
        refused(api.get(CACHE + 'page', **params), status, message)
    ask(400, 'host_id is required', url='x', dimension_id='x')
    ask(404, 'host_id 9 not found', host_id=9)
    ask(400, 'url is required', host_id=1, dimension_id='x')
    ask(400, 'dimension_id must be a valid integer', host_id=1, url='http://[::1]/', dimension_id='x')
    ask(400, 'dimension_id is required', host_id=1, url='http://[::1]/')
    ask(400, "dimension_id 9 not configured for host 'localhost'", host_id=1, url='http://[::1]/', dimension_id=9)
    ask(400, 'url: ...', host_id=1, url='http://[::1]/', dimension_id=1)
    miss = api.get(CACHE + 'page', host_id=1, url=U[0], dimension_id=1)
    refused(miss, 404, 'page not cached')
    assert miss.headers['x-cache'] == 'miss'


# ---- what is answered ----
def queued(api, **params):
    return [(item['url'], item['dimension'], item['priority']) for item in api.list('queue', **params)['items']]


def test_queueing_says_what_it_took(larder):
    api = Recache(larder(options()))
    api.pause()
    seven = ['https://localhost', 'localhost/', 'HTTPS://localhost:443/', 'https://localhost/#top',
             'https://localhost//', 'https://localhost/./', 'https://localhost/?utm_source=x']
    body = {'host_id': 1, 'urls': seven, 'priority': 'normal'}
    reply = api.ask('POST', POSTS[0], body)
    assert list(reply.json()) == ['success', 'status', 'data']
    assert api.data(reply) == {
        'host_id': 1, 'urls_count': 7, 'dimension_ids_count': 3, 'entries_enqueued': 21, 'priority': 'normal',
        'entries_deduplicated': 18, 'rejected_count': 0, 'rejected': []}
    assert sorted(queued(api)) == [('https://localhost/', d, 'normal') for d in ('bypass', 'desktop', 'mobile')]
    # names in any case, unknown ones, null for nothing; a higher priority takes over, a lower one doesn't
    shouted = api.post(POSTS[0], HOST_ID=1, Urls=[seven[0]], PRIORITY='high', DIMENSION_IDS=None, more={'x': [1]})
    assert (shouted['entries_enqueued'], shouted['entries_deduplicated']) == (3, 3)
    assert api.queue(seven[:1], [MOBILE], 'normal')['entries_deduplicated'] == 1
    assert api.queue([None], [None])['rejected'] == [{'url': '', 'reason': 'it has no host'}]
    assert {p for _, _, p in queued(api)} == {'high'} and len(queued(api)) == 3
    # dimensions given twice count twice, as do URLs
    twice = api.queue(['https://localhost/a', 'https://localhost/a'], [DESKTOP, DESKTOP])
    assert (twice['dimension_ids_count'], twice['entries_enqueued'], twice['entries_deduplicated']) == (2, 4, 3)
    # another site's URL is accepted, one that can't be parsed is named
    unusable = ['http://[::1]/', 'singleword', 'http://a b/', '', '\u0001']
    odd = api.queue(['https://elsewhere.example/'] + unusable, [BYPASS])
    assert (odd['urls_count'], odd['entries_enqueued'], odd['rejected_count']) == (6, 1, 5)
    assert [r['url'] for r in odd['rejected']] == unusable
    assert all(r['reason'] for r in odd['rejected'])
    none = api.queue(['x'] * 150)
    assert (none['entries_enqueued'], none['rejected_count'], len(none['rejected'])) == (0, 150, 100)
    # lists
    assert api.list('queue/summary') == {'pending': 5, 'processing': 0}
    assert queued(api, priority='normal') == [] and len(queued(api, priority='autorecache, high')) == 5
    first = api.list('queue', limit=2)
    assert first['has_more'] is True
    rest = api.list('queue', limit=100, cursor=first['cursor'])
    assert (len(rest['items']), rest['has_more'], rest['cursor']) == (3, False, '0')
    assert {json.dumps(i) for i in first['items']} & {json.dumps(i) for i in rest['items']} == set()
    status = api.status()
    assert status['queues'] == {
        '1': {'high': {'total': 5, 'due_now': 5}, 'normal': {'total': 0, 'due_now': 0},
              'autorecache': {'total': 0, 'due_now': 0}},
        '2': {name: {'total': 0, 'due_now': 0} for name in ('high', 'normal', 'autorecache')}}
    assert status['daemon']['daemon_id'] == 'larder' and status['daemon']['uptime_seconds'] >= 0
    assert status['internal_queue'] == {'size': 0, 'max_size': 1000, 'capacity_used_percent': 0}
    assert status['rs_capacity']['reservation_percent'] == 0 and status['services'] == []
    assert 'success' not in status
    # nothing is stored yet
    assert api.post(POSTS[1], host_id=1, urls=seven) == {
        'host_id': 1, 'urls_count': 7, 'dimension_ids_count': 3, 'entries_invalidated': 0}
    assert api.post(POSTS[2], host_id=1) == {'host_id': 1, 'dimension_ids_count': 3, 'entries_invalidated': 0}
    assert api.list('urls') == {'items': [], 'cursor': '0', 'has_more': False}
    assert api.list('summary') == {'total_urls': 0, 'active_count': 0, 'stale_count': 0, 'expired_count': 0,
                                   'total_size': 0, 'by_dimension': {}, 'by_source': {'render': 0, 'bypass': 0}}
    assert api.dead() == {'items': [], 'total': 0, 'cursor': '0', 'has_more': False}
    assert api.post(POSTS[4], host_id=1) == \
        {'host_id': 1, 'entries_retried': 0, 'rejected_count': 0, 'rejected': []}


def test_ten_thousand_long_urls_and_not_a_byte_too_much(api, running):
    urls = ['https://127.0.0.2/%s/%d' % ('x' * (2000 - 24), i) for i in range(10000)]
    taken = api.queue(urls, [DESKTOP], host_id=2)
    assert (taken['urls_count'], taken['entries_enqueued'], taken['rejected_count']) == (10000, 10000, 0)
    assert api.list('queue/summary', 2)['pending'] == 10000
    refused(api.ask('POST', POSTS[0], b' ' * ((32 << 20) + 1)), 413, 'the body is larger than allowed')
    refused(api.ask('POST', POSTS[2], b' ' * ((1 << 20) + 1)), 413, 'the body is larger than allowed')
    # dimensions by the million stay a handful of entries
    many = api.ask('POST', POSTS[0], {'host_id': 1, 'urls': ['https://localhost/m'], 'priority': 'high',
                                      'dimension_ids': [DESKTOP, BYPASS] * 500000})
    assert api.data(many)['entries_enqueued'] == 1000000
    assert [d for u, d, _ in queued(api) if u.endswith('/m')] == ['bypass', 'desktop']
    assert running.get('/healthz').status == 200


@pytest.mark.parametrize('path', OTHERS[2:])
def test_a_registration_must_say_who_and_where(api, path):
    for body in (b'', b'{', b'[]', b'{}', b'{"id":"a"}', b'{"id":"a","address":"127.0.0.1"}',
                 b'{"id":"a","address":"127.0.0.1","port":"x","capacity":1}',
                 b'{"id":"a","address":"127.0.0.1","port":70000,"capacity":1}',
                 b'{"id":"a","address":"a b","port":1,"capacity":1}'):
        reply = api.ask('POST', path, body)
        refused(reply, 400, '...')
        assert reply.json()['message']


def test_a_page_of_another_site_changes_nothing_even_with_the_key(api):
    reply = api.ask('POST', '/internal/scheduler/resume', headers={'Origin': 'https://evil.example'})
    assert reply.status == 403 and api.status()['paused'] is True
