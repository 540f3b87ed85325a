"""etc/nginx.conf, as it is in the tree: two listeners of one Larder behind nginx with keep-alive upstreams."""
import pytest
from nginx import CLIENT, Nginx
from program import CACHE, SOURCES, until
from wire import Wire, request


@pytest.fixture
def proxied(larder, tmp_path):
    """(larder, port of nginx): a Larder with two listeners and nginx in front of it."""
    one = larder({'listen': ['127.0.0.1:0', '127.0.0.1:0'], 'http.trusted_proxies': ['127.0.0.1/32'],
                  'access.sources': 'open', 'limits.requests_per_minute': 1000, 'log.access': True})
    with Nginx(one, tmp_path) as nginx:
        yield one, nginx.port


STATUS = CACHE + '/status'


def ask(port, headers=None, path=SOURCES):
    with Wire(port, source=CLIENT) as wire:
        return wire.send(request('GET', path, headers or {})).reply()


def upstream_ports(larder):
    """Ports from which nginx is connected to Larder right now."""
    ours = {int(name.rsplit(':', 1)[1]) for name in larder.listeners}
    found = set()
    with open('/proc/net/tcp', encoding='ascii') as f:
        for line in list(f)[1:]:
            local, remote, state = line.split()[1:4]
            if state == '01' and int(local.split(':')[1], 16) in ours:
                found.add(int(remote.split(':')[1], 16))
    return found


def test_nginx_keeps_its_connections_to_us(proxied):
    one, port = proxied
    seen = set()
    for _ in range(60):
        assert ask(port).status == 200
        seen |= upstream_ports(one)
    assert 1 <= len(seen) <= 8, 'connections used: %d' % len(seen)


def test_the_client_s_own_address_counts(proxied):
    one, port = proxied
    left = [int(ask(port, path=STATUS).headers['x-ratelimit-remaining']) for _ in range(3)]
    assert left == [999, 998, 997]
    assert ask(port, {'X-Forwarded-For': '203.0.113.9'}, STATUS).headers['x-ratelimit-remaining'] == '996', \
        'a client chose its own address'
    until(lambda: CLIENT in one.errors, 'the address in the access log')


def test_bodies_errors_and_ids_pass_through(proxied):
    one, port = proxied
    reply = ask(port, {'X-Request-ID': 'through-nginx'}, SOURCES + '/src_none')
    assert reply.status == 404 and reply.detail == "Source with ID 'src_none' not found"
    assert reply.headers['x-request-id'] == 'through-nginx'
    with Wire(port) as wire:
        body = b'{"url": "https://github.com/acme/x"}'
        wire.send(request('POST', SOURCES + '/infer-url', {'Content-Type': 'application/json'}, body))
        assert wire.reply().json()['success'] is True
