"""What the tests of the recache family share: hosts, a client with the family's key, render services in this process.

`Recache(larder)` asks one server; short forms take what most tests vary.  Hosts have addresses of this machine as
domains, so that nothing is looked up elsewhere; scripted services don't care what is there.
"""
import json
import os
import sys

from program import until

sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'render'))

KEY = 'the-key-that-all-these-tests-know'
DESKTOP, MOBILE, BYPASS, BLOCKED = 1, 2, 0, 3
AGENT = 'RenderBot/1.0'


def host(number, domain, **more):
    return dict({'id': number, 'domain': domain, 'ttl': '1h', 'stale_ttl': '1h', 'dimensions': {
        'desktop': {'id': DESKTOP, 'width': 1200, 'height': 700, 'render_ua': AGENT},
        'mobile': {'id': MOBILE, 'width': 390, 'height': 844, 'render_ua': AGENT + ' Mobile'},
        'badbots': {'id': BLOCKED, 'action': 'block', 'match_ua': ['BadBot']}}}, **more)


HOSTS = [host(1, ['localhost', '127.0.0.1']), host(2, '127.0.0.2')]


def options(services=(), ca=None, hosts=None, **more):
    """A configuration; `more` are further options of the recache section."""
    found = {'auth_key': [KEY], 'scheduler_control_api': True, 'tick_interval': '100ms', 'retry_base_delay': '20ms',
             'reserved_for_online': 0, 'allow_private': True, 'timeout_per_url': '20s',
             'hosts': HOSTS if hosts is None else hosts, 'render_services': [{'url': url} for url in services]}
    if ca:
        found['ca_file'] = ca
    found.update(more)
    return {'recache.' + name: value for name, value in found.items()}


class Recache:
    def __init__(self, larder, key=KEY):
        self.larder, self.key = larder, key

    def ask(self, method, path, body=None, key=None, headers=None, **how):
        """`body`: bytes, or what becomes JSON."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = dict(headers or {})
        if key != '':
            headers.setdefault('X-Internal-Auth', key or self.key)
        return self.larder.request(method, path, body=raw, headers=headers, key=None, **how)

    def get(self, path, **params):
        return self.ask('GET', path, params=params)

    def data(self, reply, status=200):
        body = reply.json()
        assert reply.status == status and body['success'] is True and body['status'] == 'ok', (reply.status, body)
        return body.get('data', body.get('message'))

    def post(self, path, **body):
        return self.data(self.ask('POST', path, body))

    def list(self, what, host_id=1, **params):
        return self.data(self.get('/internal/cache/' + what, host_id=host_id, **params))

    def queue(self, urls, dimensions=(DESKTOP,), priority='high', host_id=1):
        return self.post('/internal/cache/recache', host_id=host_id, urls=list(urls), priority=priority,
                         dimension_ids=list(dimensions))

    def pause(self):
        self.post('/internal/scheduler/pause')

    def resume(self):
        self.post('/internal/scheduler/resume')

    def status(self):
        reply = self.get('/status')
        assert reply.status == 200, (reply.status, reply.body)
        return reply.json()

    def page(self, url, dimension=DESKTOP, host_id=1, headers=None, method='GET', key=None):
        # a stored page has any status and type: the document can't know them
        return self.ask(method, '/internal/cache/page', headers=headers, checked=False, key=key,
                        params={'host_id': host_id, 'url': url, 'dimension_id': dimension})

    def dead(self, host_id=1, **params):
        return self.list('dead-letters', host_id, **params)

    def waiting(self, host_id=1):
        """What is queued or under way."""
        found = self.list('queue/summary', host_id)
        return found['pending'] + found['processing']

    def settle(self, host_id=1):
        """Waits until nothing is queued or under way."""
        until(lambda: self.waiting(host_id) == 0, 'the queue to be empty: %r' % self.status())

    def rendered(self, url, dimension=DESKTOP, host_id=1):
        """Queues one page and returns it once it is stored."""
        self.queue([url], [dimension], host_id=host_id)
        self.settle(host_id)
        page = self.page(url, dimension, host_id)
        assert page.headers['x-cache'] == 'fresh', (page.status, page.headers, self.dead(host_id))
        return page
