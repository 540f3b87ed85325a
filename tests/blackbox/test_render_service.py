"""The tests' own render services: a test that leans on them is worth as much as they are like real ones.

The first half renders with Chromium, over TLS, pages of a small site of ours; the second half looks at each fault of
the scripted service on the wire.
"""
import http.client
import json
import os
import ssl
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import certs
import pytest

sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'render'))
import chromium  # noqa: E402  pylint: disable=wrong-import-position
import scripted  # noqa: E402  pylint: disable=wrong-import-position

SECOND = 10 ** 9


class Site(BaseHTTPRequestHandler):
    """Pages for a browser.  `shared['slow']` holds what is asked of /slow until the test is over."""
    protocol_version = 'HTTP/1.1'
    shared = {'asked': [], 'slow': threading.Event()}
    pages = {
        '/plain': (200, '<!doctype html><html><head><title>Plain</title></head><body><p>as sent</p></body></html>'),
        '/made': (200, '<html><head><title>-</title><script type="application/ld+json">{"a":1}</script></head><body>'
                       '<div id="app"></div><script>'
                       'document.title = "Made by script";'
                       'fetch("/data").then(r => r.json()).then(d => {'
                       '  document.getElementById("app").textContent = "sum " + (d.a + d.b) + ", "'
                       '    + navigator.userAgent + ", " + innerWidth + "x" + innerHeight; });'
                       '</script></body></html>'),
        '/data': (200, '{"a": 20, "b": 22}'),
        '/gone': (404, '<html><head><title>Gone</title></head><body>not here</body></html>'),
        '/broken': (503, '<html><body>later</body></html>'),
        '/empty': (200, ''),
        '/noindex': (200, '<html><head><title>n</title><meta name="robots" content="NOINDEX"></head>'
                          '<body>x</body></html>'),
        '/waits': (200, '<html><body>begun<img src="/slow"></body></html>'),
        '/late': (200, '<html><body><p id="p">early</p><script>setTimeout(() => {'
                       'document.getElementById("p").textContent = "late"; }, 400)</script></body></html>'),
        '/parts': (200, '<html><body>x<img src="/picture.png"><script src="/ads/ad.js"></script></body></html>'),
        '/ads/ad.js': (200, 'document.body.append("an ad")'),
        '/cookie': (200, '<html><body><script>document.body.append("had: " + document.cookie);'
                         'document.cookie = "seen=1"</script></body></html>'),
    }

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):
        self.shared['asked'].append(self.path)
        if self.path in ('/moved', '/moved-again'):
            self.send_response(301)
            self.send_header('Location', '/plain?from=moved')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        if self.path == '/slow':
            self.shared['slow'].wait(30)
        status, text = self.pages.get(self.path.partition('?')[0], (200, ''))
        self.send_response(status)
        self.send_header('Content-Type', 'text/html; charset=utf-8')
        self.send_header('Content-Length', str(len(text.encode())))
        self.send_header('X-Site', 'ours')
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    return certs.make(str(tmp_path_factory.mktemp('render-certs')))


@pytest.fixture(scope='module')
def site():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield 'http://127.0.0.1:%d' % server.server_address[1]
    Site.shared['slow'].set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope='module')
def browser(keys):
    with chromium.Chromium(pool=2, cert=keys.good, key=('X-Render-Key', 'secret')) as service:
        service.ca = keys.ca
        yield service


class Answer:
    """A reply taken apart: status, content type, `about` (metadata or failure), `html`."""

    def __init__(self, status, headers, body):
        self.status, self.type, self.body = status, headers['Content-Type'], body
        self.about, self.html = {}, None
        if self.type == 'application/octet-stream':
            size, = struct.unpack('>I', body[:4])
            if size > len(body) - 4:
                raise ValueError('metadata of %d bytes' % size)
            self.about, self.html = json.loads(body[4:4 + size]), body[4 + size:].decode()
        elif self.type == 'application/json':
            self.about = json.loads(body)

    @property
    def metrics(self):
        return self.about['metrics']


def connect(service, ca=None):
    if service.url.startswith('http:'):
        return http.client.HTTPConnection('127.0.0.1', service.port, timeout=90)
    context = ssl.create_default_context(cafile=ca or service.ca)
    return http.client.HTTPSConnection('127.0.0.1', service.port, timeout=90, context=context)


def post(service, body, path='/render', headers=None):
    headers = dict({'Content-Type': 'application/json', 'X-Request-ID': 'r-1'}, **(headers or {}))
    if service.key:
        headers.setdefault(*service.key)
    connection = connect(service)
    connection.request('POST', path, body if isinstance(body, (bytes, str)) else json.dumps(body), headers)
    reply = connection.getresponse()
    answer = Answer(reply.status, reply.headers, reply.read())
    connection.close()
    return answer


def render(service, url, **fields):
    return post(service, dict({'request_id': 'r-1', 'url': url, 'tab_id': 0, 'viewport_width': 1200,
                               'viewport_height': 700, 'user_agent': 'RenderBot/1.0', 'timeout': 20 * SECOND,
                               'wait_for': 'networkIdle', 'extra_wait': 0, 'strip_scripts': False}, **fields))


# ---- Chromium ----

def test_a_page_is_what_its_javascript_made_of_it(browser, site):
    answer = render(browser, site + '/made')
    assert (answer.status, answer.type) == (200, 'application/octet-stream')
    assert 'sum 42, RenderBot/1.0, 1200x700' in answer.html
    about = answer.about
    assert about['success'] is True and about['request_id'] == 'r-1' and 'error_type' not in about
    assert about['html_size'] == len(answer.html.encode()) and about['render_time'] > 0
    assert answer.metrics['status_code'] == 200 and answer.metrics['final_url'] == site + '/made'
    assert answer.metrics['timed_out'] is False and answer.metrics['total_requests'] >= 2
    assert about['page_seo']['title'] == 'Made by script' and about['page_seo']['index_status'] == 1
    assert about['headers']['X-Site'] == ['ours']


def test_scripts_are_stripped_but_what_they_made_and_data_stay(browser, site):
    html = render(browser, site + '/made', strip_scripts=True).html
    assert 'sum 42' in html and 'fetch(' not in html and '{"a":1}' in html
    assert 'fetch(' in render(browser, site + '/made').html


def test_a_redirect_is_told_and_not_followed(browser, site):
    answer = render(browser, site + '/moved')
    assert answer.html == '' and answer.about['success'] is True
    assert answer.metrics['status_code'] == 301
    assert answer.metrics['final_url'] == site + '/plain?from=moved'
    assert '/plain?from=moved' not in Site.shared['asked']


@pytest.mark.parametrize('path, status, kind', [('/gone', 404, 'origin_4xx'), ('/broken', 503, 'origin_5xx')])
def test_an_error_page_is_a_page(browser, site, path, status, kind):
    answer = render(browser, site + path)
    assert answer.about['success'] is True and answer.metrics['status_code'] == status
    assert answer.about['error_type'] == kind and answer.about['page_seo']['index_status'] == 2
    assert Site.pages[path][1].partition('<body>')[2].partition('<')[0] in answer.html


def test_an_empty_answer_is_an_empty_page(browser, site):
    answer = render(browser, site + '/empty')
    assert answer.about['success'] is True and answer.about['error_type'] == 'empty_response' and answer.html == ''


def test_a_page_that_is_not_done_in_time_comes_as_it_is(browser, site):
    answer = render(browser, site + '/waits', timeout=2 * SECOND)
    assert answer.about['success'] is True and answer.metrics['timed_out'] is True
    assert answer.about['error_type'] == 'soft_timeout' and 'begun' in answer.html


def test_the_event_and_the_wait_after_it_count(browser, site):
    assert '>early<' in render(browser, site + '/late', wait_for='DOMContentLoaded').html
    assert '>late<' in render(browser, site + '/late', wait_for='load', extra_wait=SECOND).html


def test_what_is_blocked_is_not_loaded(browser, site):
    whole = render(browser, site + '/parts')
    assert 'an ad' in whole.html and '/picture.png' in Site.shared['asked']
    Site.shared['asked'].clear()
    answer = render(browser, site + '/parts', blocked_patterns=['*/ads/*'], blocked_resource_types=['Image'])
    assert 'an ad' not in answer.html
    assert not {'/picture.png', '/ads/ad.js'} & set(Site.shared['asked'])
    assert answer.metrics['blocked_count'] == 2


def test_a_page_that_must_not_be_indexed_says_so(browser, site):
    assert render(browser, site + '/noindex').about['page_seo']['index_status'] == 3


def test_one_page_knows_nothing_of_another(browser, site):
    for _ in range(2):
        assert 'had: <' in render(browser, site + '/cookie').html


@pytest.mark.parametrize('url', ['http://127.0.0.1:9/', 'http://no-such-host.invalid/'])
def test_an_origin_that_is_not_there_is_a_network_error(browser, url):
    answer = render(browser, url)
    assert (answer.status, answer.type) == (200, 'application/json')
    assert answer.about['success'] is False and answer.about['error_type'] == 'network_error'
    assert answer.about['error'].startswith('net::ERR_')


def test_pages_share_the_tabs(browser, site):
    browser.most_active = 0
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: render(browser, '%s/plain?%d' % (site, i)), range(4)))
    assert all('as sent' in answer.html for answer in answers)
    assert browser.most_active == 2


def test_a_browser_that_died_is_replaced(browser, site):
    browser.browser.process.kill()
    browser.browser.reader.join(10)
    assert 'as sent' in render(browser, site + '/plain').html


def test_health_and_the_key(browser):
    connection = connect(browser)
    connection.request('GET', '/health', headers={'X-Render-Key': 'secret'})
    reply = connection.getresponse()
    assert json.loads(reply.read()) == {'status': 'ok', 'pool_size': 2, 'available_instances': 2,
                                        'active_instances': 0}
    assert reply.headers['Server'] == 'RenderService/rs-1'
    connection.request('GET', '/health')
    assert connection.getresponse().status == 401
    connection.close()
    assert post(browser, {}, headers={'X-Render-Key': 'wrong'}).status == 401


def test_the_certificate_is_to_be_trusted_through_our_authority(browser, keys):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(browser, keys.unknown_ca[0]).request('GET', '/health')


# ---- requests that make no sense ----

@pytest.mark.parametrize('body, error', [
    ('{', 'Invalid JSON body'), ('[]', 'Invalid JSON body'), ({'request_id': 'x'}, 'url field is required'),
    ({'url': 'http://x/'}, 'request_id field is required'),
    ({'url': 'http://x/', 'request_id': 'x', 'tab_id': 4}, 'Invalid tab_id: 4 (pool size: 4)')])
def test_a_bad_request_is_told_so(body, error):
    with scripted.Scripted() as service:
        answer = post(service, body)
    assert answer.status == 400 and answer.about['error_type'] == 'invalid_url' and answer.about['error'] == error


def test_there_is_nothing_else():
    with scripted.Scripted() as service:
        assert post(service, {}, path='/other').status == 404


# ---- the scripted service ----

@pytest.fixture(scope='module')
def script():
    with scripted.Scripted(pool=8) as service:
        yield service


def test_a_page_without_a_fault(script):
    first, second = (render(script, 'https://example.com/a?b=1&c') for _ in range(2))
    assert 'https://example.com/a?b=1&amp;c' in first.html and 'copy 1, 1200x700' in first.html
    assert 'copy 2' in second.html and first.metrics['status_code'] == 200


@pytest.mark.parametrize('fault, status, success, kind', [
    ('network_error', 200, False, 'network_error'), ('chrome_crash', 200, False, 'chrome_crash'),
    ('origin_4xx', 200, False, 'origin_4xx'), ('origin_5xx', 200, False, 'origin_5xx'),
    ('response_too_large', 200, False, 'response_too_large'), ('http_400', 400, False, 'invalid_url'),
    ('http_503', 503, False, 'pool_unavailable'), ('http_504', 504, False, 'hard_timeout'),
    ('soft_timeout', 200, True, 'soft_timeout'), ('empty', 200, True, 'empty_response'),
    ('redirect', 200, True, None), ('not_found', 200, True, 'origin_4xx'), ('server_error', 200, True, 'origin_5xx')])
def test_faults_that_the_protocol_knows(script, fault, status, success, kind):
    answer = render(script, 'https://example.com/?fault=' + fault)
    assert answer.status == status
    assert answer.about['success'] is success and answer.about.get('error_type') == kind


def test_sizes_at_the_limit_and_past_it(script):
    assert len(render(script, 'https://example.com/?fault=large').html) == 20 << 20
    assert len(render(script, 'https://example.com/?fault=too_large').html) == (20 << 20) + 1
    answer = post(script, {'request_id': 'x', 'url': 'https://example.com/?fault=large_metadata'})
    assert struct.unpack('>I', answer.body[:4])[0] > 1 << 20


@pytest.mark.parametrize('fault', ['truncated', 'drop', 'garbage'])
def test_connections_that_break(script, fault):
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        answer = render(script, 'https://example.com/?fault=' + fault)
        raise AssertionError(answer.body)


@pytest.mark.parametrize('fault', ['drop_in_head', 'truncated_metadata', 'no_metadata', 'huge_metadata', 'bad_json',
                                   'bad_failure'])
def test_answers_that_nobody_can_read(script, fault):
    with pytest.raises((ValueError, struct.error)):
        answer = render(script, 'https://example.com/?fault=' + fault)
        raise AssertionError(answer.body)


def test_an_answer_to_somebody_else(script):
    assert render(script, 'https://example.com/?fault=wrong_id').about['request_id'] == 'another'


def test_silence_lasts_until_it_is_ended(script):
    script.released = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(render, script, 'https://example.com/?fault=stall')
        while not script.active:
            pass
        assert not waiting.done()
        script.released.set()
        with pytest.raises(http.client.RemoteDisconnected):
            waiting.result(30)


def test_a_page_in_small_pieces_is_whole_in_the_end(script):
    assert render(script, 'https://example.com/?fault=drip').html == '<html>' + 'x' * 100 + '</html>'


def test_a_page_is_utf_8_whatever_its_origin_s_type_says(script):
    page = render(script, 'https://example.com/?fault=other_charset')
    assert '\u00fc' in page.html and page.about['headers'] == {'Content-Type': ['text/html; charset=iso-8859-1']}


def test_every_fault_is_looked_at():
    """A new fault needs a test here."""
    with open(__file__, encoding='utf-8') as f:
        text = f.read()
    assert [name for name in scripted.FAULTS if "'%s'" % name not in text and '=%s' % name not in text] == []


def test_it_registers_and_says_so_again():
    beats = []

    class Door(BaseHTTPRequestHandler):
        def log_message(self, format, *args):  # pylint: disable=redefined-builtin
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            beats.append((self.path, self.headers['X-Internal-Auth'], body))
            self.send_response(200)
            self.send_header('Content-Length', '0')
            self.end_headers()
    door = ThreadingHTTPServer(('127.0.0.1', 0), Door)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    with scripted.Scripted(pool=3, name='rs-9') as service:
        service.register_at('http://127.0.0.1:%d' % door.server_address[1], 'key', interval=0.01)
        while len(beats) < 3:
            pass
    door.shutdown()
    door.server_close()
    path, auth, body = beats[-1]
    assert (path, auth) == ('/internal/render/register', 'key')
    assert (body['id'], body['port'], body['capacity'], body['load']) == ('rs-9', service.port, 3, 0)
    assert body['address'] == '0.0.0.0' and body['metadata']['pool_size'] == 3
