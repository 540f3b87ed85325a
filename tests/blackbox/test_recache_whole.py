"""The whole way, for real: a page is queued over HTTP, asked for over TLS, made by Chromium out of its JavaScript,
stored, and sent by nginx from its file.

The page is nothing before its script has run.
"""
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import certs
import pytest
from nginx import Nginx
from recaching import AGENT, BYPASS, DESKTOP, MOBILE, Recache, options
from wire import Wire, request

import chromium

MADE = b"""<!doctype html><html><head><title>-</title></head><body><ul id="list"></ul><script>
fetch("/shop/items.json").then(r => r.json()).then(items => {
  for (const item of items) {
    const li = document.createElement("li");
    li.textContent = item + " on " + innerWidth + "x" + innerHeight + " for " + navigator.userAgent;
    document.getElementById("list").append(li);
  }
  document.title = items.length + " things";
});
</script></body></html>"""


class Shop(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    pages = {'/shop': (200, 'text/html', MADE), '/shop/items.json': (200, 'application/json', b'["teapot", "kettle"]'),
             '/lost': (404, 'text/html', b'<body><script>document.write("nothing " + 6 * 7)</script></body>')}

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):
        status, kind, body = self.pages.get(self.path, (301, 'text/html', b''))
        self.send_response(status)
        if status == 301:
            self.send_header('Location', '/shop')
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope='module')
def shop():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Shop)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield 'http://127.0.0.1:%d' % server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def whole(larder, tmp_path):
    """(client of the server, port of nginx in front of it)"""
    keys = certs.make(str(tmp_path / 'certs'))
    secret = ('X-Render-Key', 'of-this-browser')
    with chromium.Chromium(pool=2, cert=keys.good, key=secret) as browser:
        one = larder(dict(options(ca=keys.ca, accel_prefix='/larder-pages/', render_services=[
            {'url': browser.url, 'key_header': secret[0], 'key': secret[1]}]), listen=['127.0.0.1:0'] * 2))
        (tmp_path / 'nginx').mkdir()
        with Nginx(one, tmp_path / 'nginx') as nginx:
            yield Recache(one), nginx.port


def sent_by_nginx(api, port, url, dimension=DESKTOP, headers=None, method='GET', key=None):
    target = '/internal/cache/page?host_id=1&dimension_id=%d&url=%s' % (dimension, url)
    with Wire(port) as wire:
        wire.send(request(method, target, dict({'X-Internal-Auth': key or api.key}, **(headers or {}))))
        return wire.reply(head=method == 'HEAD')


def test_pages_that_misbehave_cost_others_nothing(whole, shop):
    api, port = whole
    Shop.pages.update({
        '/asks': (200, 'text/html', b'<body><script>alert(1); document.body.append("asked " + confirm(2))</script>'),
        '/endless': (200, 'text/html', b'<body><script>document.body.hidden = true;'
                                       b'document.body.textContent = "x".repeat(21 << 20)</script>')})
    api.queue([shop + '/endless', shop + '/asks', shop + '/shop'])
    api.settle()
    assert b'asked true' in sent_by_nginx(api, port, shop + '/asks').body
    assert b'teapot' in sent_by_nginx(api, port, shop + '/shop').body
    letter, = api.dead()['items']
    assert (letter['url'], letter['reason']) == (shop + '/endless', 'response_too_large'), letter


def test_from_the_queue_to_the_file_that_nginx_sends(whole, shop):
    api, port = whole

    def through_nginx(*what, **how):
        return sent_by_nginx(api, port, *what, **how)
    api.queue([shop + '/shop', shop + '/lost', shop + '/moved'], [DESKTOP, MOBILE, BYPASS])
    api.queue([shop + '/shop/items.json'], [BYPASS])
    api.settle()
    assert api.dead()['items'] == []
    # what the script made, for each dimension; nginx unpacks it for who doesn't take gzip
    for dimension, view in ((DESKTOP, '1200x700 for ' + AGENT), (MOBILE, '390x844 for %s Mobile' % AGENT)):
        page = through_nginx(shop + '/shop', dimension)
        assert (page.status, page.headers['content-type'].partition(';')[0]) == (200, 'text/html')
        text = page.body.decode()
        assert '<li>teapot on %s</li><li>kettle on %s</li>' % (view, view) in text
        assert '<title>2 things</title>' in text and '<script' not in text
        assert page.headers['x-cache'] == 'fresh' and int(page.headers['age']) >= 0
        assert 'content-encoding' not in page.headers and 'x-accel-redirect' not in page.headers
        packed = through_nginx(shop + '/shop', dimension, {'Accept-Encoding': 'gzip'})
        assert packed.headers['content-encoding'] == 'gzip' and gzip.decompress(packed.body).decode() == text
        again = through_nginx(shop + '/shop', dimension, {'Accept-Encoding': 'gzip',
                                                          'If-None-Match': packed.headers['etag']})
        assert (again.status, again.body) == (304, b'')
    assert through_nginx(shop + '/shop', method='HEAD').status == 200
    as_sent = through_nginx(shop + '/shop', BYPASS)
    assert as_sent.body == MADE
    # nginx hands on the type that it is told, whatever the file is called
    data = through_nginx(shop + '/shop/items.json', BYPASS)
    assert (data.status, data.headers['content-type']) == (200, 'application/json')
    # what is no 200 stays what it is
    lost = through_nginx(shop + '/lost')
    assert (lost.status, lost.headers['x-cache']) == (404, 'fresh') and b'nothing 42' in lost.body
    moved = through_nginx(shop + '/moved')
    assert (moved.status, moved.headers['location'], moved.body) == (301, shop + '/shop', b'')
    # nobody gets at the files but through us
    direct = api.page(shop + '/shop')
    path = direct.headers['x-accel-redirect']
    assert direct.body == b'' and path.startswith('/larder-pages/') and '//' not in path
    for way in (path, path + '.gz'):
        with Wire(port) as wire:
            assert wire.send(request('GET', way)).reply().status == 404
    assert through_nginx(shop + '/shop', key='wrong').status == 401
    assert through_nginx(shop + '/none').status == 404
    item, = api.list('urls', url_contains=shop + '/shop', dimension='desktop')['items']
    assert (item['title'], item['source'], item['index_status']) == ('2 things', 'render', 1)
    # a new copy is another file; gone is gone
    api.queue([shop + '/shop'])
    api.settle()
    assert api.page(shop + '/shop').headers['x-accel-redirect'] != path
    assert api.post('/internal/cache/invalidate', host_id=1, urls=[shop + '/shop'])['entries_invalidated'] == 3
    assert through_nginx(shop + '/shop').headers['x-cache'] == 'miss'
