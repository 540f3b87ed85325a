"""A render service without a browser: it answers at once, or with any fault there is.

What a page gets is said by its URL, `https://host/path?fault=NAME` (also `delay=SECONDS`), or for all pages by
`service.fault`.  A page without a fault is a small document that names its URL and how often that was asked, so that a
test sees which copy it has.

As a program: `scripted.py --pool 50 --delay 0.2 --fail 0.05` fails a share of its pages at random, for load.
"""
import argparse
import random
import struct
import time
from urllib.parse import parse_qs, urlsplit

import protocol

MIB = 1 << 20
FAULTS = {}


def fault(function):
    FAULTS[function.__name__] = function
    return function


# ---- failures that the protocol knows ----

@fault
def network_error(service, request, reply):
    reply.failure('network_error', 'net::ERR_CONNECTION_REFUSED')


@fault
def chrome_crash(service, request, reply):
    reply.failure('chrome_crash', 'the tab crashed')


@fault
def origin_4xx(service, request, reply):
    reply.failure('origin_4xx', 'the origin said 410', metrics={'status_code': 410})


@fault
def origin_5xx(service, request, reply):
    reply.failure('origin_5xx', 'the origin said 502', metrics={'status_code': 502})


@fault
def response_too_large(service, request, reply):
    reply.failure('response_too_large', 'more than 20 MiB')


@fault
def http_400(service, request, reply):
    reply.failure('invalid_url', 'url field is required', status=400)


@fault
def http_503(service, request, reply):
    reply.failure('pool_unavailable', 'Failed to acquire instance: all are busy', status=503)


@fault
def http_504(service, request, reply):
    reply.failure('hard_timeout', 'Hard timeout exceeded (50s)', status=504)


# ---- pages that are not simply good ----

@fault
def soft_timeout(service, request, reply):
    reply.page('<html><body>half of it', error_type='soft_timeout', metrics={'timed_out': True})


@fault
def empty(service, request, reply):
    reply.page('', error_type='empty_response')


@fault
def redirect(service, request, reply):
    reply.page('', status=301, metrics={'final_url': 'https://example.com/there'})


@fault
def not_found(service, request, reply):
    reply.page('<html><body>no such page</body></html>', status=404, error_type='origin_4xx')


@fault
def other_charset(service, request, reply):
    """The origin's document was in Latin-1; what is rendered of it is in UTF-8, as all that a service sends."""
    reply.page('<html><body>\u00fc</body></html>', headers={'Content-Type': ['text/html; charset=iso-8859-1']})


@fault
def server_error(service, request, reply):
    reply.page('<html><body>it broke</body></html>', status=500, error_type='origin_5xx')


@fault
def large(service, request, reply):
    reply.page(b'x' * (20 * MIB))


@fault
def too_large(service, request, reply):
    reply.page(b'x' * (20 * MIB + 1))


# ---- what no service should do ----

OCTETS = b'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n'


@fault
def truncated(service, request, reply):
    meta = b'{"success":true,"metrics":{"status_code":200}}'
    reply.raw(OCTETS + b'Content-Length: 5000\r\n\r\n' + struct.pack('>I', len(meta)) + meta + b'<html>half')


@fault
def truncated_metadata(service, request, reply):
    reply.whole(200, 'application/octet-stream', struct.pack('>I', 500) + b'{"success":true')


@fault
def no_metadata(service, request, reply):
    reply.whole(200, 'application/octet-stream', b'\0\0\0\0<html></html>')


@fault
def huge_metadata(service, request, reply):
    reply.whole(200, 'application/octet-stream', b'\xff\xff\xff\xff{}')


@fault
def large_metadata(service, request, reply):
    reply.page('<html></html>', har={'filler': 'x' * MIB})


@fault
def bad_json(service, request, reply):
    reply.whole(200, 'application/octet-stream', struct.pack('>I', 9) + b'{"success<html></html>')


@fault
def bad_failure(service, request, reply):
    reply.whole(200, 'application/json', b'<html>a proxy says hello</html>')


@fault
def wrong_id(service, request, reply):
    reply.page('<html>of somebody else</html>', request_id='another')


@fault
def drop(service, request, reply):
    reply.drop()


@fault
def drop_in_head(service, request, reply):
    reply.raw(OCTETS)


@fault
def garbage(service, request, reply):
    reply.raw(b'\x00\x01\x02 rubbish\r\n\r\n')


@fault
def stall(service, request, reply):
    """Silence, until the service stops or is released."""
    service.released.wait(60)
    reply.drop()


@fault
def drip(service, request, reply):
    """A good page in small pieces, over two seconds."""
    meta = b'{"success":true,"metrics":{"status_code":200}}'
    body = struct.pack('>I', len(meta)) + meta + b'<html>' + b'x' * 100 + b'</html>'
    write = reply.handler.wfile
    write.write(OCTETS + b'Content-Length: %d\r\n\r\n' % len(body))
    for at in range(0, len(body), 8):
        write.write(body[at:at + 8])
        write.flush()
        time.sleep(0.09)


class Scripted(protocol.Service):
    def __init__(self, delay=0.0, fail=0.0, **how):
        super().__init__(**how)
        self.delay, self.fail, self.fault = delay, fail, None
        self.counts = {}
        self.released = self.stopping          # a test may put an event of its own here

    def render(self, request, reply):
        asked = parse_qs(urlsplit(request['url']).query)
        time.sleep(float(asked.get('delay', [self.delay])[0]))
        name = asked.get('fault', [self.fault])[0]
        if name is None and self.fail and random.random() < self.fail:
            name = random.choice(['network_error', 'chrome_crash', 'http_503', 'http_504', 'truncated', 'drop'])
        with self.lock:
            count = self.counts[request['url']] = self.counts.get(request['url'], 0) + 1
        if name:
            FAULTS[name](self, request, reply)
            return
        reply.page('<!DOCTYPE html><html><head><title>page</title></head><body><p>%s</p><p>copy %d, %dx%d, %s</p>'
                   '</body></html>' % (request['url'].replace('&', '&amp;').replace('<', '&lt;'), count,
                                request.get('viewport_width', 0), request.get('viewport_height', 0), self.id),
                   headers={'Content-Type': ['text/html; charset=utf-8']},
                   page_seo={'title': 'page', 'index_status': 1})


def main():
    parser = protocol.options(argparse.ArgumentParser(description='A render service that plays by script.'))
    parser.add_argument('--delay', type=float, default=0.0, help='seconds per page')
    parser.add_argument('--fail', type=float, default=0.0, help='share of pages that fail')
    args = parser.parse_args()
    protocol.run_forever(Scripted(delay=args.delay, fail=args.fail, **protocol.common(args)), args.register, args.auth)


if __name__ == '__main__':
    main()
