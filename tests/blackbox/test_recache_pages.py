"""From the queue to the stored page and back out, with scripted render services over TLS.

`running` is one server with one such service for all tests that leave nothing behind; each uses URLs of its own.
"""
import glob
import gzip
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import certs
import pytest
from program import Larder, until
from recaching import AGENT, BYPASS, DESKTOP, HOSTS, MOBILE, Recache, host, options
from repos import unique

import scripted

SECRET = ('X-Render-Key', 'only-for-the-render-services')
CACHE = '/internal/cache/'


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    return certs.make(str(tmp_path_factory.mktemp('recache-certs')))


@pytest.fixture(scope='module')
def script(keys):
    with scripted.Scripted(pool=8, cert=keys.good, key=SECRET) as service:
        yield service


def with_key(service):
    return [{'url': service.url, 'key_header': SECRET[0], 'key': SECRET[1]}]


@pytest.fixture(scope='module')
def running(tmp_path_factory, keys, script):
    short = [host(7, '127.0.0.7', ttl='1s'), host(8, '127.0.0.8', ttl='1s', stale_ttl='0s'),
             host(9, '127.0.0.9', hit_interval='1s')]
    one = Larder(tmp_path_factory.mktemp('recache-pages'), options(
        ca=keys.ca, hosts=HOSTS + short, render_services=with_key(script), max_attempts=2)).start()
    yield one
    one.stop()


@pytest.fixture
def api(running, script):
    yield Recache(running)
    script.fault = None


@pytest.fixture
def url():
    return 'https://localhost/' + unique('page')


class Origin(BaseHTTPRequestHandler):
    """What the dimension bypass fetches."""
    protocol_version = 'HTTP/1.1'
    asked = []
    pages = {'/good': (200, 'text/html; charset=utf-8', b'<p>as the origin has it</p>', {}),
             '/gone': (404, 'text/html', b'<p>not here</p>', {'X-Robots-Tag': 'noindex'}),
             '/moved': (302, 'text/html', b'', {'Location': '/there?' + 'x' * 900}),
             '/empty': (200, 'text/html', b'', {}), '/broken': (503, 'text/html', b'later', {}),
             '/teapot': (418, 'text/html', b'short', {})}

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):
        self.asked.append((self.path, self.headers['User-Agent']))
        status, kind, body, more = self.pages[self.path]
        self.send_response(status)
        for name, value in dict({'Content-Type': kind, 'Content-Length': str(len(body)), 'Set-Cookie': 'a=b'},
                                **more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope='module')
def origin():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Origin)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield 'http://127.0.0.1:%d' % server.server_address[1]
    server.shutdown()
    server.server_close()


def dead_letter(api, url, host_id=1, dimension=DESKTOP):
    found = [d for d in api.dead(host_id, limit=100)['items'] if (d['url'], d['dimension_id']) == (url, dimension)]
    return found[0] if found else None


# ---- a page's way ----
def test_a_page_is_rendered_stored_and_served(api, running, script, url):
    page = api.rendered(url)
    assert page.status == 200 and page.headers['content-type'] == 'text/html; charset=utf-8'
    text = page.body.decode()
    assert url in text and 'copy 1, 1200x700' in text and int(page.headers['age']) >= 0
    assert page.headers['vary'] == 'Accept-Encoding'
    asked = next(a for a in script.asked if a['url'] == url)
    assert (asked['user_agent'], asked['wait_for'], asked['strip_scripts']) == (AGENT, 'networkIdle', True)
    assert asked['timeout'] == 20 * 10 ** 9 and asked['extra_wait'] == 0
    sent = script.headers[script.asked.index(asked)]
    assert sent[SECRET[0]] == SECRET[1] and sent['X-Request-ID'] == asked['request_id']
    # the same bytes, packed; the file is what is sent
    packed = api.page(url, headers={'Accept-Encoding': 'br, gzip'})
    assert packed.headers['content-encoding'] == 'gzip' and gzip.decompress(packed.body) == page.body
    assert 'content-encoding' not in api.page(url, headers={'Accept-Encoding': 'gzip;q=0'}).headers
    files = [path for path in glob.glob(os.path.join(running.data, 'pages', '??', '*.gz'))
             if gzip.open(path).read() == page.body]
    assert len(files) == 1
    with open(files[0], 'rb') as f:
        assert f.read() == packed.body
    # who has it need not get it again
    tags = page.headers['etag'], packed.headers['etag']
    assert tags[0] != tags[1]
    for tag in tags + ('*', '"x", ' + tags[0]):
        again = api.page(url, headers={'If-None-Match': tag})
        assert (again.status, again.headers['x-cache']) == (304, 'fresh')
    head = api.page(url, method='HEAD')
    assert (head.status, head.body, head.headers['etag']) == (200, b'', tags[0])
    # another copy has another tag
    second = api.rendered(url)
    assert 'copy 2' in second.body.decode() and second.headers['etag'] != tags[0]
    assert api.page(url, headers={'If-None-Match': tags[0]}).status == 200
    # each dimension is a page of its own
    assert api.page(url, MOBILE).headers['x-cache'] == 'miss'
    assert '390x844' in api.rendered(url, MOBILE).body.decode()


def test_a_page_is_found_under_every_spelling_of_its_url(api, url):
    api.rendered(url + '?b=2&utm_source=mail&a=1')
    for other in (url + '?a=1&b=2', url + '?a=1&b=2&gclid=7#part', url.replace('/page', '//x/../page') + '?a=1&b=2'):
        assert api.page(other).headers['x-cache'] == 'fresh', other
    assert api.page(url + '?a=2&b=1').headers['x-cache'] == 'miss'
    assert api.post(CACHE + 'invalidate', host_id=1, urls=[url + '?a=1&b=2&fbclid=9'])['entries_invalidated'] == 1


def test_what_is_stored_is_listed(api, url):
    urls = [url.replace('localhost', '127.0.0.2') + '/%d' % i for i in range(5)]
    api.queue(urls, [DESKTOP, MOBILE], host_id=2)
    api.settle(2)
    whole = api.list('urls', 2, limit=100)
    assert len(whole['items']) == 10 and not whole['has_more']
    item = next(i for i in whole['items'] if i['url'] == urls[0] and i['dimension'] == 'desktop')
    body = api.page(urls[0], host_id=2).body
    assert item['size'] == len(body) and [item[name] for name in (
        'title', 'status', 'status_code', 'source', 'index_status')] == ['page', 'active', 200, 'render', 1]
    assert item['expires_at'] - item['created_at'] == 3600 and item['cache_key'].startswith('cache:2:1:')
    assert 0 < item['disk_size'] < item['size'] and item['last_bot_hit'] is None
    assert all(i['created_at'] <= i['last_access'] < i['expires_at'] for i in whole['items'])
    seen, cursor = [], '0'
    while True:
        part = api.list('urls', 2, limit=3, cursor=cursor)
        seen += [(i['url'], i['dimension']) for i in part['items']]
        cursor = part['cursor']
        if not part['has_more']:
            break
    assert sorted(seen) == sorted((i['url'], i['dimension']) for i in whole['items'])
    for count, params in ((5, {'dimension': 'mobile'}), (10, {'dimension': 'mobile, desktop'}),
                          (0, {'status': 'stale'}), (10, {'status': 'active,expired'}), (2, {'url_contains': '/3'}),
                          (0, {'size_max': 5}),
                          (10, {'size_min': 5}), (0, {'cache_age_min': 3600}), (10, {'status_code': '404,200'}),
                          (0, {'status_code': '404'}), (0, {'source': 'bypass'}), (10, {'index_status': '1,2'})):
        assert len(api.list('urls', 2, **params)['items']) == count, params
    total = sum(i['size'] for i in whole['items'])
    assert api.list('summary', 2) == {
        'total_urls': 10, 'active_count': 10, 'stale_count': 0, 'expired_count': 0, 'total_size': total,
        'by_dimension': {'desktop': 5, 'mobile': 5}, 'by_source': {'render': 10, 'bypass': 0}}
    # and gone when invalidated: by URL, by dimension, all
    def gone(path, **body):
        return api.post(CACHE + path, host_id=2, **body)['entries_invalidated']
    assert gone('invalidate', urls=urls[:2] + urls[:1], dimension_ids=[DESKTOP]) == 2
    assert api.page(urls[0], host_id=2).status == 404 and api.page(urls[0], MOBILE, 2).status == 200
    assert gone('invalidate-all', dimension_ids=[MOBILE]) == 5 and gone('invalidate-all') == 3
    assert api.list('urls', 2)['items'] == [] and gone('invalidate-all') == 0


def test_a_page_gets_stale_and_then_is_gone(api):
    stale, gone = 'https://127.0.0.7/' + unique('page'), 'https://127.0.0.8/' + unique('page')
    api.queue([stale], host_id=7)
    api.queue([gone], host_id=8)
    page = until(lambda: (p := api.page(stale, host_id=7)).headers['x-cache'] == 'stale' and p, 'it to be stale')
    assert page.status == 200 and stale in page.body.decode()
    assert api.list('urls', 7)['items'][0]['status'] == 'stale' and api.list('summary', 7)['stale_count'] == 1
    api.settle(8)
    until(lambda: api.list('urls', 8)['items'] == [], 'it to be forgotten')
    assert api.page(gone, host_id=8).headers['x-cache'] == 'miss'


def test_a_page_is_refreshed_before_its_time_ends(larder, script, keys, url):
    hosts = [host(1, 'localhost', ttl='2s', refresh_ahead='1900ms', hit_interval='0s')]
    api = Recache(larder(options(ca=keys.ca, hosts=hosts, render_services=with_key(script))))
    api.queue([url])
    until(lambda: b'copy 3' in api.page(url).body, 'its third copy, which nobody asked for')
    assert api.post(CACHE + 'hit', host_id=1, url=url, dimension_id=DESKTOP)['due_at'] is None


# ---- answers that are not simply good ----
@pytest.mark.parametrize('fault, reason', [('soft_timeout', 'soft_timeout'), ('empty', 'empty_response'),
                                           ('truncated', None), ('server_error', 'origin_5xx')])
def test_a_good_copy_is_not_replaced_by_a_bad_one(api, script, url, fault, reason):
    before = api.rendered(url)
    script.fault = fault
    api.queue([url])
    api.settle()
    after = api.page(url)
    assert (after.status, after.body, after.headers['etag']) == (200, before.body, before.headers['etag'])
    letter = dead_letter(api, url)
    assert letter['attempts'] == 2 and (reason is None or letter['reason'] == reason)
    script.fault = None
    assert api.rendered(url).body != before.body


def test_half_a_page_is_better_than_none(api, script, url):
    script.fault = 'soft_timeout'
    assert api.rendered(url).body == b'<html><body>half of it'
    script.fault = None
    assert b'copy 2' in api.rendered(url).body


def test_a_rendered_page_is_in_utf_8_whatever_its_origin_wrote(api, url):
    page = api.rendered(url + '?fault=other_charset')
    assert page.headers['content-type'] == 'text/html; charset=utf-8' and '\u00fc' in page.body.decode()


def test_redirects_and_missing_pages_are_kept_as_what_they_are(api, script, url):
    script.fault = 'redirect'
    moved = api.rendered(url)
    assert (moved.status, moved.headers['location'], moved.body) == (301, 'https://example.com/there', b'')
    script.fault = 'not_found'
    lost = api.rendered(url)
    assert (lost.status, lost.body) == (404, b'<html><body>no such page</body></html>')
    assert gzip.decompress(api.page(url, headers={'Accept-Encoding': 'gzip'}).body) == lost.body


AGAIN = {'network_error': 'network_error', 'chrome_crash': 'chrome_crash', 'http_503': 'pool_unavailable',
         'http_504': 'hard_timeout', 'empty': 'empty_response', 'server_error': 'origin_5xx', 'truncated': None,
         'drop': None, 'drop_in_head': None, 'garbage': None, 'truncated_metadata': 'bad_answer',
         'no_metadata': 'bad_answer', 'bad_json': 'bad_answer', 'bad_failure': 'bad_answer', 'wrong_id': 'bad_answer',
         'origin_5xx': 'origin_5xx'}
NEVER = {'http_400': 'invalid_url', 'origin_4xx': 'origin_4xx', 'response_too_large': 'response_too_large',
         'too_large': 'response_too_large', 'huge_metadata': 'metadata_too_large',
         'large_metadata': 'metadata_too_large'}
GOOD = {'large', 'drip', 'soft_timeout', 'redirect', 'not_found', 'other_charset'}


def test_every_fault_is_tried_again_or_given_up_with_its_reason(api, script):
    assert set(AGAIN) | set(NEVER) | GOOD | {'stall'} == set(scripted.FAULTS), 'a new fault needs a row here'
    for expected, attempts in ((AGAIN, 2), (NEVER, 1)):
        for fault, reason in expected.items():
            url = 'https://localhost/%s?fault=%s' % (unique('fault'), fault)
            api.queue([url])
            api.settle()
            letter = dead_letter(api, url)
            assert letter, '%s: no dead letter' % fault
            # what a kept connection may be to blame for is asked once more on a new one
            assert letter['attempts'] == attempts and script.counts[url] in (attempts, attempts + 1), (fault, letter)
            assert reason is None or letter['reason'] == reason, (fault, letter)
            assert letter['detail'] and letter['priority'] == 'high' and letter['died_at'] >= letter['queued_at']
            assert api.page(url).status == 404
            api.rendered('https://localhost/' + unique('between'))   # or the breaker would open
    big = api.rendered('https://localhost/%s?fault=large' % unique('fault'))
    assert len(big.body) == 20 << 20
    assert api.rendered('https://localhost/%s?fault=drip' % unique('fault')).body.endswith(b'</html>')


def test_the_status_counts_what_waits_to_be_tried_again(larder, keys, script):
    one = larder(options(ca=keys.ca, render_services=with_key(script), retry_base_delay='1h'))
    api = Recache(one)
    api.queue(['https://localhost/%s?fault=network_error' % unique('page')])
    until(lambda: (api.status()['retrying'], api.status()['in_flight']) == (1, 0), 'the first attempt to fail')
    assert api.list('queue/summary') == {'pending': 1, 'processing': 0}
    one.restart()
    assert api.status()['retrying'] == 1


def test_what_may_never_be_asked_for_is_a_dead_letter_at_once(api, script, larder, keys):
    asked = len(script.asked)
    for dimension in (DESKTOP, BYPASS):
        api.queue(['https://elsewhere.example/', 'https://127.0.0.2/', 'ftp://localhost/'], [dimension])
    api.settle()
    for dimension in (DESKTOP, BYPASS):
        for url, reason in (('https://elsewhere.example/', 'host_not_allowed'),
                            ('https://127.0.0.2/', 'host_not_allowed'), ('ftp://localhost/', 'scheme_not_supported')):
            letter = dead_letter(api, url, dimension=dimension)
            assert (letter['reason'], letter['attempts']) == (reason, 0)
    strict = Recache(larder(options(ca=keys.ca, render_services=with_key(script), allow_private=False)))
    strict.queue(['https://localhost/inside', 'https://127.0.0.1/inside'], [DESKTOP, BYPASS])
    strict.settle()
    assert [d['reason'] for d in strict.dead()['items']] == ['address_not_public'] * 4
    assert len(script.asked) == asked


def test_a_page_as_its_origin_has_it(api, script, origin):
    asked = len(script.asked)
    good = api.rendered(origin + '/good', BYPASS)
    assert (good.status, good.body) == (200, b'<p>as the origin has it</p>') and 'set-cookie' not in good.headers
    gone = api.rendered(origin + '/gone', BYPASS)
    assert (gone.status, gone.body, gone.headers['x-robots-tag']) == (404, b'<p>not here</p>', 'noindex')
    moved = api.rendered(origin + '/moved', BYPASS)
    assert moved.status == 302 and moved.headers['location'] == '/there?' + 'x' * 900
    api.queue([origin + name for name in ('/empty', '/broken', '/teapot')], [BYPASS])
    api.settle()
    for name, reason, attempts in (('/empty', 'empty_response', 2), ('/broken', 'origin_5xx', 2),
                                   ('/teapot', 'origin_4xx', 1)):
        letter = dead_letter(api, origin + name, dimension=BYPASS)
        assert (letter['reason'], letter['attempts']) == (reason, attempts)
    assert len(script.asked) == asked and 'Chrome' in dict(Origin.asked)['/good']
    assert {i['source'] for i in api.list('urls', dimension='bypass')['items']} == {'bypass'}


def test_the_pages_of_a_sitemap_are_queued(api, script, origin, url):
    loc = '<url><loc>%s</loc><lastmod>%s</lastmod><priority>%s</priority></url>'
    urls = [url + '/%d' % i for i in range(4)]

    def xml(kind, entries):
        return ('<?xml version="1.0"?><%s xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">%s</%s>' % (
            kind, ''.join(entries), kind)).encode()
    old, new = '2020-01-01', time.strftime('%Y-%m-%d')
    whole = xml('urlset', [loc % (urls[0], new, '0.1'), loc % (urls[1], old, '0.9'), loc % (urls[2], new, '0.9'),
                           loc % ('http://[::1]/', old, '0.5')])
    Origin.pages.update({'/sitemap.xml': (200, 'text/xml', whole, {}),
                         '/more.xml.gz': (200, 'application/gzip', gzip.compress(xml('urlset', [loc % (
                             urls[3], old, '0.5')])), {}),
                         '/index.xml': (200, 'text/xml', xml('sitemapindex', [
                             '<sitemap><loc>%s%s</loc></sitemap>' % (origin, name)
                             for name in ('/sitemap.xml', '/more.xml.gz', '/gone')]), {}),
                         '/old.xml': (301, 'text/html', b'moved', {'Location': 'cut.xml'}),
                         '/away.xml': (302, 'text/html', b'moved', {'Location': 'https://example.org/sitemap.xml'}),
                         '/cut.xml': (200, 'text/xml', whole[:-30], {})})
    sitemap = CACHE + 'sitemap'
    api.pause()
    try:
        one = api.post(sitemap, host_id=1, url=origin + '/sitemap.xml', dimension_ids=[DESKTOP])
        assert (one['entries_enqueued'], one['priority'], one['rejected_count']) == (3, 'normal', 1)
        assert [i['url'] for i in api.list('queue')['items']] == [urls[2], urls[1], urls[0]]
        all_of = api.post(sitemap, host_id=1, url=origin + '/index.xml', dimension_ids=[DESKTOP], priority='high')
        assert (all_of['entries_enqueued'], all_of['entries_deduplicated']) == (4, 3)
        assert {r['url'] for r in all_of['rejected']} == {'http://[::1]/', origin + '/gone'}
        cut = api.post(sitemap, host_id=1, url=origin + '/old.xml', dimension_ids=[DESKTOP])
        assert (cut['entries_enqueued'], cut['entries_deduplicated']) == (3, 3)
        assert [r['reason'] for r in cut['rejected'] if r['url'] == origin + '/old.xml'] == [
            'it ends too early: only what comes before was read']
        for name in ('/gone', '/good', '/broken', '/away.xml'):
            reply = api.ask('POST', sitemap, {'host_id': 1, 'url': origin + name})
            assert reply.status == 502 and reply.json()['message'].startswith('sitemap: '), reply.body
    finally:
        api.resume()
    api.settle()
    assert all(api.page(u).status == 200 for u in urls)


def test_dead_letters_are_listed_and_queued_again(api, script):
    urls = ['https://127.0.0.9/' + unique('dead') for _ in range(5)]
    script.fault = 'origin_4xx'
    for url in urls:
        api.queue([url], host_id=9)
    api.settle(9)
    assert api.dead(9)['total'] == 5
    seen, cursor = [], '0'
    while True:
        part = api.dead(9, limit=2, cursor=cursor)
        seen += [d['url'] for d in part['items']]
        cursor = part['cursor']
        if not part['has_more']:
            break
    assert sorted(seen) == sorted(urls) and api.status()['dead_letters'] >= 5
    script.fault = None
    retry = CACHE + 'dead-letters/retry'
    assert api.post(retry, host_id=9, urls=urls[:2], dimension_ids=[MOBILE])['entries_retried'] == 0
    assert api.post(retry, host_id=9, urls=urls[:2] + ['https://127.0.0.9/none'])['entries_retried'] == 2
    api.settle(9)
    assert api.dead(9)['total'] == 3 and api.page(urls[0], host_id=9).status == 200
    assert api.post(retry, host_id=9, priority='high')['entries_retried'] == 3
    api.settle(9)
    assert api.dead(9)['total'] == 0 and all(api.page(url, host_id=9).status == 200 for url in urls)
    # a page that is queued anew is no dead letter any more once it is rendered
    script.fault = 'origin_4xx'
    api.queue(urls[:1], host_id=9)
    api.settle(9)
    script.fault = None
    api.rendered(urls[0], host_id=9)
    assert api.dead(9)['total'] == 0


def test_a_retry_names_what_is_no_url_and_no_list_is_not_an_empty_one(api, url):
    retry = CACHE + 'dead-letters/retry'
    data = api.post(retry, host_id=1, urls=['https://', url])
    assert data['entries_retried'] == 0 and data['rejected_count'] == 1
    assert [r['url'] for r in data['rejected']] == ['https://'] and data['rejected'][0]['reason']
    reply = api.ask('POST', retry, {'host_id': 1, 'urls': []})
    assert reply.status == 400 and reply.json()['message'] == 'urls array cannot be empty'
    assert api.post(retry, host_id=1, urls=None)['rejected'] == []


def test_a_bot_s_hit_asks_for_a_new_copy(api, script, url):
    hit = CACHE + 'hit'
    api.rendered(url)
    first = api.post(hit, host_id=1, url=url, dimension_id=DESKTOP)
    assert first['host_id'] == 1 and first['dimension_id'] == DESKTOP and first['due_at']
    entry, = api.list('queue', priority='autorecache')['items']
    for _ in range(3):
        api.post(hit, host_id=1, url=url + '?utm_campaign=x', dimension_id=DESKTOP)
    assert api.list('queue', priority='autorecache')['items'] == [entry], 'a later hit moved it'
    item = next(i for i in api.list('urls', url_contains=url)['items'])
    assert item['last_bot_hit'] >= item['created_at']
    assert b'copy 2' in api.rendered(url).body       # in another queue than autorecache, at once
    assert api.waiting() == 0
    item = next(i for i in api.list('urls', url_contains=url)['items'])
    assert item['last_bot_hit'] is None
    assert api.post(hit, host_id=1, url=url + '-never-stored', dimension_id=DESKTOP)['due_at'] is None
    assert api.waiting() == 0
    soon = 'https://127.0.0.9/' + unique('hit')
    api.rendered(soon, host_id=9)
    api.post(hit, host_id=9, url=soon, dimension_id=DESKTOP)
    until(lambda: b'copy 2' in api.page(soon, host_id=9).body, 'the copy that the hit asked for')


# ---- render services come and go ----
def test_one_slow_page_delays_nobody(api, script, url):
    script.released = threading.Event()
    try:
        stalled = url + '?fault=stall'
        api.queue([stalled])
        until(lambda: script.active, 'the page that stalls')
        others = [url + '/%d' % i for i in range(50)]
        api.queue(others, priority='normal')
        until(lambda: api.list('queue/summary') == {'pending': 0, 'processing': 1}, 'all others to be rendered')
        assert all(api.page(other).status == 200 for other in others)
        assert api.status()['in_flight'] == 1
    finally:
        script.released.set()
        script.released = script.stopping
    script.counts.clear()


def test_services_register_themselves_and_are_gone_when_silent(larder):
    api = Recache(larder(options(hosts=HOSTS)))
    url = 'https://localhost/' + unique('page')
    api.queue([url])
    assert api.status()['services'] == [] and api.waiting() == 1
    with scripted.Scripted(pool=3, name='rs-of-its-own') as service:
        service.register_at(api.larder.url, api.key, interval=0.3)
        until(lambda: api.page(url).status == 200, 'the page')
        told, = api.status()['services']
        assert (told['id'], told['url'], told['registered'], told['capacity'], told['breaker']) == \
            ('rs-of-its-own', service.url, True, 3, 'closed')
        assert told['is_reachable'] and told['pages'] == 1
    assert until(lambda: api.status()['services'] == [], 'it to be forgotten') is True
    assert api.status()['rs_capacity'] == {'total_free_tabs': 0, 'reserved_for_online': 0,
                                           'available_for_recache': 0, 'reservation_percent': 0}
    beat = {'id': 'by-heartbeat', 'address': '127.0.0.1', 'port': 9, 'capacity': 10, 'load': 4}
    assert api.data(api.ask('POST', '/internal/render/heartbeat', beat)) == 'Registered'
    assert api.status()['rs_capacity']['total_free_tabs'] == 6


def test_work_of_a_dead_service_goes_elsewhere(larder, keys):
    with scripted.Scripted(pool=4, cert=keys.good) as good, \
            scripted.Scripted(pool=4, cert=keys.unknown_ca) as unknown, \
            scripted.Scripted(pool=4, cert=keys.wrong_host) as elsewhere, \
            scripted.Scripted(pool=4, cert=keys.good) as broken:
        broken.fault = 'http_503'
        good.delay = 0.05    # so that one service has not done all before the others are asked
        services = [good, unknown, elsewhere, broken]
        api = Recache(larder(options([s.url for s in services] + ['https://127.0.0.1:9'], keys.ca,
                                     reserved_for_online=0.25, max_attempts=20)))
        urls = ['https://localhost/' + unique('page') for _ in range(60)]
        api.queue(urls)
        api.settle()
        assert all(api.page(url).status == 200 for url in urls) and api.dead()['total'] == 0
        by_url = {s['url']: s for s in api.status()['services']}
        assert by_url[good.url]['pages'] == 60 and not unknown.asked and not elsewhere.asked
        assert broken.asked and by_url[broken.url]['failures'] and by_url[broken.url]['last_error']
        assert not by_url[unknown.url]['is_reachable'] and by_url[unknown.url]['last_error']
        assert good.most_active <= 4


# ---- what must last ----
def test_pause_and_queues_survive_a_restart(larder, script, keys):
    one = larder(options(ca=keys.ca, render_services=with_key(script)))
    api = Recache(one)
    api.pause()
    urls = ['https://localhost/' + unique('page') for _ in range(20)]
    api.queue(urls, priority='normal')
    one.restart()
    status = api.status()
    assert status['paused'] is True and status['queues']['1']['normal'] == {'total': 20, 'due_now': 20}
    asked = len(script.asked)
    until(lambda: api.status()['rs_capacity']['available_for_recache'] > 0, 'the service to be found')
    assert api.waiting() == 20 and len(script.asked) == asked
    api.resume()
    api.settle()
    assert all(api.page(url).status == 200 for url in urls)
    one.restart()
    assert api.status()['paused'] is False and api.page(urls[0]).headers['x-cache'] == 'fresh'
    one.command('check')


def test_hosts_and_services_come_and_go_without_losing_a_queue(larder, script, keys, tmp_path):
    folder = tmp_path / 'hosts.d'
    folder.mkdir()
    (folder / 'two.yaml').write_text('hosts:\n- {id: 2, domain: 127.0.0.2, dimensions: {desktop: {id: 1}}}\n')
    one = larder(options(ca=keys.ca, hosts=HOSTS[:1], hosts_include=str(folder), scheduler_control_api=True))
    api = Recache(one)
    api.pause()
    first, second = 'https://localhost/' + unique('page'), 'https://127.0.0.2/' + unique('page')
    api.queue([first])
    api.queue([second], host_id=2)

    def reload(hosts, expected):
        one.configure(recache__hosts=hosts)
        one.signal(signal.SIGHUP)
        until(lambda: set(api.status()['queues']) == expected, 'the hosts to be %s' % expected)
    (folder / 'two.yaml').unlink()
    reload([], set())
    assert api.get(CACHE + 'queue', host_id=1).status == 404 and api.page(first).status == 404
    (folder / 'three.yaml').write_text('hosts:\n- {id: 3, domain: 127.0.0.3, dimensions: {desktop: {id: 1}}}\n')
    reload(HOSTS, {'1', '2', '3'})
    assert api.waiting() == 1 and api.waiting(2) == 1 and api.waiting(3) == 0
    (folder / 'three.yaml').write_text('hosts:\n- {id: 4, domain: 127.0.0.3, dimensions: {desktop: {id: 1}}}\n')
    logged = len(one.errors)
    one.signal(signal.SIGHUP)
    until(lambda: set(api.status()['queues']) == {'1', '2', '4'}, 'the changed file to be taken up')
    until(lambda: 'read again changed=1' in one.errors[logged:], 'the change to be told')
    (folder / 'three.yaml').write_text('hosts:\n- {id: 3, domain: 127.0.0.3, dimensions: {desktop: {id: 1}}}\n')
    one.signal(signal.SIGHUP)
    until(lambda: '3' in api.status()['queues'], 'the first file again')
    # a configuration that makes no sense changes nothing
    one.configure(recache__hosts=[host(1, 'localhost'), host(1, '127.0.0.1')])
    one.signal(signal.SIGHUP)
    until(lambda: "another host's" in one.errors, 'a line about it')
    assert set(api.status()['queues']) == {'1', '2', '3'}
    one.configure(recache__hosts=HOSTS, recache__render_services=with_key(script))
    one.signal(signal.SIGHUP)
    api.resume()
    api.settle()
    api.settle(2)
    assert api.page(first).status == 200 and api.page(second, host_id=2).status == 200


def test_a_full_store_is_507_and_room_can_be_made(larder, script, keys):
    one = larder(dict(options(ca=keys.ca, render_services=with_key(script)), **{'store.max_size': '4MiB'}))
    api = Recache(one)
    page = 'https://localhost/' + unique('page')
    api.rendered(page)
    api.pause()
    body = {'host_id': 1, 'priority': 'normal', 'dimension_ids': [DESKTOP]}
    taken = 0
    for n in range(100):
        reply = api.ask('POST', CACHE + 'recache', dict(
            body, urls=['https://localhost/%s/%d/%d' % ('x' * 1000, n, i) for i in range(500)]))
        if reply.status != 200:
            break
        taken += api.data(reply)['entries_enqueued']
    assert reply.status == 507 and reply.json()['success'] is False and reply.json()['status'] == 'error'
    pending = api.list('queue/summary')['pending']
    assert taken <= pending < taken + 500
    assert api.page(page).status == 200 and api.get('/status').status == 200
    one.restart()
    assert api.list('queue/summary')['pending'] == pending
    # what was taken has room to be rendered, and there is room for others then
    asked = len(script.asked)
    api.resume()
    api.settle()
    assert len(script.asked) == asked + pending
    assert api.list('summary')['total_urls'] == pending + 1 and api.list('dead-letters')['total'] == 0
    again = api.post(CACHE + 'recache', **dict(body, urls=['https://localhost/later']))
    assert again['entries_enqueued'] == 1
    assert api.post(CACHE + 'invalidate-all', host_id=1)['entries_invalidated'] >= pending + 1
    one.command('check')


def test_the_least_used_pages_go_when_there_is_no_room_for_all(larder, script, keys):
    one = larder(options(ca=keys.ca, render_services=with_key(script), max_bytes=10 * 4096))
    api = Recache(one)
    urls = ['https://localhost/' + unique('page') for _ in range(40)]
    api.queue(urls)
    api.settle()

    left = until(lambda: len(found := api.list('urls', limit=100)['items']) <= 10 and found, 'some of them to go')
    assert len(left) == 10, 'each file takes a block of the disk'
    assert sum(api.page(url).status == 200 for url in urls) == 10


def test_figures_move(larder, script, keys, url):
    one = larder(options(ca=keys.ca, render_services=with_key(script)))
    api = Recache(one)

    def figures():
        lines = one.get('/metrics').body.decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(' ') for line in lines if line[0] != '#')}
    api.rendered(url)
    api.queue([url + '?fault=origin_4xx'], priority='normal')
    api.settle()
    api.pause()
    api.queue([url, url + '/2'], [DESKTOP, MOBILE])
    found = figures()
    service = '{service="%s"}' % script.url
    for name, value in (('larder_recache_queue_entries{priority="high"}', 4), ('larder_recache_paused', 1),
                        ('larder_recache_in_flight', 0), ('larder_recache_pages_total{source="render"}', 1),
                        ('larder_recache_duration_seconds_count', 1), ('larder_recache_failed_attempts_total', 1),
                        ('larder_recache_disk_errors_total', 0),
                        ('larder_recache_dead_letters_total', 1), ('larder_recache_page_bytes', 4096),
                        ('larder_render_tabs{state="all"}', 8), ('larder_render_service_up' + service, 1),
                        ('larder_render_service_breaker_open' + service, 0),
                        ('larder_render_service_pages_total' + service, 2),
                        ('edgecomet_cd_queue_depth{queue_type="high"}', 4),
                        ('edgecomet_cd_recache_requests_total{status="success",queue_type="high"}', 1),
                        ('edgecomet_cd_recache_requests_total{status="error",queue_type="normal"}', 1),
                        ('edgecomet_cd_recache_duration_seconds_count', 1)):
        assert found[name] == value, (name, found[name])
