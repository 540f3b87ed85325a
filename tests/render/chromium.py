"""A real render service: Debian's headless Chromium, driven over the DevTools protocol through a pipe.

One browser with `pool` tabs; each page has a browser context of its own, so that no cookie or cache outlives it.  The
main document's redirects are not followed: the page is then the redirect, without HTML, as the protocol says.

As a program: `chromium.py --pool 2 --cert CERTIFICATE KEY`.
"""
import argparse
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from queue import Empty, Queue
from urllib.parse import urljoin

import protocol

HTML_MAX = 20 << 20
MAX_TIMEOUT = 50.0
HARD_MARGIN = 5.0                      # for the page to be taken; who asked waits 10 s longer than the page may take
PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome')

FLAGS = ('--headless=new', '--remote-debugging-pipe', '--no-first-run', '--no-default-browser-check', '--disable-gpu',
         '--disable-dev-shm-usage', '--disable-extensions', '--disable-background-networking', '--disable-sync',
         '--disable-component-update', '--disable-default-apps', '--mute-audio', '--hide-scrollbars',
         '--no-sandbox')              # tests run as root and in containers, with pages of their own

# What is left of the document when scripts are stripped: data blocks stay, code goes.
STRIP = """document.querySelectorAll('script').forEach(s => {
  if (!/json/i.test(s.type)) s.remove();
});
document.querySelectorAll('link[rel=preload][as=script], link[rel=modulepreload]').forEach(l => l.remove());"""
HTML = """(html => html.length > %d ? html.length : html)(
(document.doctype ? '<!DOCTYPE ' + document.doctype.name + '>\\n' : '') +
(document.documentElement ? document.documentElement.outerHTML : ''))""" % HTML_MAX
SEO = """({title: document.title,
  description: (document.querySelector('meta[name=description]') || {}).content || '',
  canonical: (document.querySelector('link[rel=canonical]') || {}).href || '',
  robots: (document.querySelector('meta[name=robots]') || {}).content || '',
  body: !!document.body && document.body.childNodes.length})"""


class Gone(Exception):
    """The browser or the tab is not there any more."""


class Browser:
    """A Chromium process.  Commands may come from any thread; events go to the queue of their session."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise RuntimeError('no Chromium: one of %s is wanted' % ', '.join(PROGRAMS))
        self.profile = tempfile.mkdtemp(prefix='larder-chromium-')
        to_child, self.out = os.pipe()
        self.inp, from_child = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; the shell moves ours there, whatever their numbers are.
        move = 'exec 3<&%d 4>&%d; exec "$@"' % (to_child, from_child)
        self.process = subprocess.Popen(
            ['bash', '-c', move, 'chromium', program, *FLAGS, '--user-data-dir=' + self.profile, 'about:blank'],
            pass_fds=(to_child, from_child), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=self.profile))
        os.close(to_child)
        os.close(from_child)
        self.ids, self.lock = itertools.count(1), threading.Lock()
        self.waiting, self.sessions, self.alive = {}, {}, True
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        parts = []
        with os.fdopen(self.inp, 'rb', buffering=0) as pipe:
            while True:
                data = pipe.read(1 << 20)
                if not data:
                    break
                head, *others = data.split(b'\0')
                parts.append(head)
                for other in others:
                    self.take(json.loads(b''.join(parts)))
                    parts = [other]
        with self.lock:
            self.alive = False
            queues = list(self.waiting.values()) + list(self.sessions.values())
        for queue in queues:
            queue.put(None)

    def take(self, message):
        with self.lock:
            queue = self.waiting.pop(message['id'], None) if 'id' in message else \
                self.sessions.get(message.get('sessionId'))
        if queue:
            queue.put(message)

    def send(self, method, params=None, session=None, queue=None):
        """Without a queue nobody waits for the answer."""
        number = next(self.ids)
        message = {'id': number, 'method': method, 'params': params or {}}
        if session:
            message['sessionId'] = session
        with self.lock:
            if not self.alive:
                raise Gone('the browser is gone')
            if queue:
                self.waiting[number] = queue
            data = json.dumps(message).encode() + b'\0'
            while data:
                data = data[os.write(self.out, data):]
        return number

    def call(self, method, params=None, session=None, timeout=20.0):
        queue = Queue()
        self.send(method, params, session, queue)
        try:
            answer = queue.get(timeout=timeout)
        except Empty:
            raise TimeoutError(method) from None
        if answer is None:
            raise Gone('the browser is gone')
        if 'error' in answer:
            raise RuntimeError('%s: %s' % (method, answer['error'].get('message')))
        return answer['result']

    def open_session(self, target):
        session = self.call('Target.attachToTarget', {'targetId': target, 'flatten': True})['sessionId']
        with self.lock:
            self.sessions[session] = Queue()
        return session

    def close(self):
        try:
            self.send('Browser.close')
            self.process.wait(5)
        except (Gone, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        self.reader.join(5)
        shutil.rmtree(self.profile, ignore_errors=True)


class Tab:
    """One page: from an empty tab to its HTML."""

    def __init__(self, browser, request):
        self.browser, self.request = browser, request
        self.context = browser.call('Target.createBrowserContext', {'disposeOnDetach': True})['browserContextId']
        self.target = browser.call('Target.createTarget', {'url': 'about:blank', 'browserContextId': self.context})[
            'targetId']
        self.session = browser.open_session(self.target)
        self.events = browser.sessions[self.session]
        self.loader = self.error = None
        self.status, self.final_url, self.headers = 0, request['url'], {}
        self.lifecycle, self.blocked, self.requests = [], 0, 0
        self.is_redirect = False
        self.began = time.monotonic()

    def close(self):
        with self.browser.lock:
            self.browser.sessions.pop(self.session, None)
        try:
            self.browser.call('Target.disposeBrowserContext', {'browserContextId': self.context}, timeout=5)
        except (Gone, OSError, RuntimeError, TimeoutError):
            pass

    def call(self, method, params=None, timeout=20.0):
        return self.browser.call(method, params, self.session, timeout)

    def send(self, method, params):
        self.browser.send(method, params, self.session)

    def set_up(self):
        request = self.request
        self.call('Page.enable')
        self.call('Page.setLifecycleEventsEnabled', {'enabled': True})
        self.call('Network.enable')
        self.call('Network.setBypassServiceWorker', {'bypass': True})
        self.call('Emulation.setDeviceMetricsOverride', {
            'width': request.get('viewport_width') or 1920, 'height': request.get('viewport_height') or 1080,
            'deviceScaleFactor': 1, 'mobile': False})
        if request.get('user_agent'):
            self.call('Emulation.setUserAgentOverride', {'userAgent': request['user_agent']})
        if request.get('blocked_patterns'):
            self.call('Network.setBlockedURLs', {'urls': request['blocked_patterns']})
        patterns = [{'urlPattern': '*', 'resourceType': 'Document', 'requestStage': 'Response'}]
        patterns += [{'urlPattern': '*', 'resourceType': kind, 'requestStage': 'Request'}
                     for kind in request.get('blocked_resource_types') or ()]
        self.call('Fetch.enable', {'patterns': patterns})

    # ---- events ----
    def take(self, event):
        if event is None:
            raise Gone('the browser is gone')
        handler = getattr(self, 'on_' + event['method'].replace('.', '_'), None)
        if handler:
            handler(event['params'])

    def on_Inspector_targetCrashed(self, _):
        raise Gone('the tab crashed')

    def on_Page_javascriptDialogOpening(self, _):
        self.send('Page.handleJavaScriptDialog', {'accept': True})   # the page stands still until it is answered

    def on_Network_requestWillBeSent(self, _):
        self.requests += 1

    def on_Network_loadingFailed(self, event):
        if event.get('blockedReason') or event.get('errorText') == 'net::ERR_BLOCKED_BY_CLIENT':
            self.blocked += 1

    def on_Page_lifecycleEvent(self, event):
        if event['frameId'] == self.frame and event['loaderId'] == self.loader:
            self.lifecycle.append({'name': event['name'], 'time': time.monotonic() - self.began})

    def on_Fetch_requestPaused(self, event):
        request = {'requestId': event['requestId']}
        status = event.get('responseStatusCode')
        if status is None and 'responseErrorReason' not in event:
            self.send('Fetch.failRequest', dict(request, errorReason='BlockedByClient'))
            return
        headers = {h['name'].lower(): h['value'] for h in event.get('responseHeaders') or ()}
        if event['frameId'] == self.frame and status and not self.status:
            self.status = status
            for header in event.get('responseHeaders') or ():
                self.headers.setdefault(header['name'], []).append(header['value'])
            if 300 <= status < 400 and 'location' in headers:
                self.is_redirect = True
                self.final_url = urljoin(event['request']['url'], headers['location'])
                self.send('Fetch.failRequest', dict(request, errorReason='Aborted'))
                return
        self.send('Fetch.continueRequest', request)

    # ---- the page ----
    def navigate(self, deadline):
        """Until the document has begun to come, was redirected, or cannot be had."""
        self.frame = self.target               # a page's main frame has its target's id
        answers = Queue()
        self.browser.send('Page.navigate', {'url': self.request['url']}, self.session, answers)
        while time.monotonic() < deadline:
            try:
                self.take(self.events.get(timeout=0.02))
            except Empty:
                pass
            if self.is_redirect:
                return
            if not answers.empty():
                answer = answers.get()
                if answer is None:
                    raise Gone('the browser is gone')
                result = answer.get('result') or {'errorText': answer['error']['message']}
                self.error, self.loader = result.get('errorText'), result.get('loaderId')
                return

    def wait(self, name, deadline):
        """True when the event came in time.  Events of this loader may lie in the queue already."""
        while not any(event['name'] == name for event in self.lifecycle):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                self.take(self.events.get(timeout=left))
            except Empty:
                return False
        return True

    def rest(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.take(self.events.get(timeout=left))
            except Empty:
                break

    def evaluate(self, expression, deadline):
        result = self.call('Runtime.evaluate', {'expression': expression, 'returnByValue': True},
                           timeout=max(0.0, deadline - time.monotonic()))
        if 'exceptionDetails' in result:
            raise RuntimeError(result['exceptionDetails'].get('text', 'the page threw'))
        return result['result'].get('value')


class Chromium(protocol.Service):
    def __init__(self, **how):
        super().__init__(**how)
        self.browser, self.starting = None, threading.Lock()

    def __enter__(self):
        self.browser = Browser()
        return super().__enter__()

    def __exit__(self, *what):
        super().__exit__(*what)
        self.browser.close()

    def fresh_browser(self):
        """A browser that crashed is replaced."""
        with self.starting:
            if not self.browser.alive:
                self.browser.close()
                self.browser = Browser()
            return self.browser

    def render(self, request, reply):
        tab = None
        try:
            tab = Tab(self.fresh_browser(), request)
            self.render_in(tab, request, reply)
        except Gone as gone:
            reply.failure('chrome_crash', str(gone), status=200 if tab else 503)
        except TimeoutError as late:
            reply.failure('hard_timeout', 'Hard timeout exceeded (%s)' % late, status=504)
        except RuntimeError as error:
            reply.failure('html_extraction_failed', str(error))
        finally:
            if tab:
                tab.close()

    def render_in(self, tab, request, reply):
        tab.set_up()
        patience = min((request.get('timeout') or MAX_TIMEOUT * 1e9) / 1e9, MAX_TIMEOUT)
        deadline = time.monotonic() + patience
        tab.navigate(deadline)
        if tab.is_redirect:
            reply.page('', status=tab.status, metrics={'final_url': tab.final_url}, headers=tab.headers)
            return
        if tab.error:
            kind = 'invalid_url' if 'invalid' in tab.error.lower() else 'network_error'
            reply.failure(kind, tab.error)
            return
        if tab.loader is None:
            reply.failure('hard_timeout', 'Hard timeout exceeded (%gs)' % patience, status=504)
            return
        in_time = tab.wait(request.get('wait_for') or 'networkIdle', deadline)
        if in_time:
            tab.rest((request.get('extra_wait') or 0) / 1e9)
        hard = time.monotonic() + HARD_MARGIN
        seo = tab.evaluate(SEO, hard)
        if request.get('strip_scripts'):
            tab.evaluate(STRIP, hard)
        self.answer(tab, reply, tab.evaluate(HTML, hard), seo, in_time)

    def answer(self, tab, reply, html, seo, in_time):
        if isinstance(html, int):
            reply.failure('response_too_large', 'at least %d bytes of HTML' % html)
            return
        if not seo['body'] and not seo['title']:
            html = ''                          # what a browser makes of an empty answer is no page
        data = html.encode('utf-8', 'replace')
        if len(data) > HTML_MAX:
            reply.failure('response_too_large', '%d bytes of HTML' % len(data))
            return
        kind = None
        if not in_time:
            kind = 'soft_timeout'
        elif not data:
            kind = 'empty_response'
        elif tab.status >= 400:
            kind = 'origin_4xx' if tab.status < 500 else 'origin_5xx'
        index = 2 if tab.status != 200 else 3 if 'noindex' in seo['robots'].lower() else \
            4 if seo['canonical'] and seo['canonical'] != tab.final_url else 1
        reply.page(data, status=tab.status, error_type=kind, headers=tab.headers,
                   metrics={'final_url': tab.final_url, 'timed_out': not in_time, 'lifecycle_events': tab.lifecycle,
                            'total_requests': tab.requests, 'blocked_count': tab.blocked},
                   page_seo={'title': seo['title'], 'index_status': index, 'meta_description': seo['description'],
                             'canonical_url': seo['canonical']})


def main():
    parser = protocol.options(argparse.ArgumentParser(description='A render service with headless Chromium.'))
    args = parser.parse_args()
    protocol.run_forever(Chromium(**protocol.common(args)), args.register, args.auth)


if __name__ == '__main__':
    main()
