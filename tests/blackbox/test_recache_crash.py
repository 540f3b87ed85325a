"""kill -9 at random moments while pages are queued, rendered and read: what was accepted ends rendered or as a dead
letter, and no page is stored half."""
import glob
import gzip
import http.client
import os
import random
import threading
import time

from recaching import DESKTOP, Recache, options
from wire import Closed

import scripted

KILLS = 20
TROUBLES = (OSError, Closed, http.client.HTTPException, ValueError)


class Load:
    """Three clients that queue pages and one that reads them, until they are told to stop; what a server
    has accepted is remembered."""

    def __init__(self, api, number):
        self.api, self.number = api, number
        self.accepted, self.stopping, self.wrong = set(), threading.Event(), []
        self.threads = [threading.Thread(target=self.queue, args=(i,)) for i in range(3)]
        self.threads.append(threading.Thread(target=self.read))
        for thread in self.threads:
            thread.start()

    def queue(self, client):
        n = 0
        while not self.stopping.is_set():
            n += 1
            urls = ['https://localhost/%d/%d/%d/%d' % (self.number, client, n, i) for i in range(7)]
            try:
                taken = self.api.queue(urls, [DESKTOP], ('high', 'normal')[n % 2])['entries_enqueued']
            except TROUBLES:
                return
            if taken != 7:
                self.wrong.append(taken)
            self.accepted.update(urls)
            time.sleep(0.005)

    def read(self):
        while not self.stopping.is_set():
            for url in list(self.accepted)[-5:]:
                try:
                    page = self.api.page(url)
                except TROUBLES:
                    return
                if page.status != 404 and not (page.status == 200 and is_whole(page.body, url)):
                    self.wrong.append(page)
            time.sleep(0.005)

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, self.wrong
        return self.accepted


def is_whole(body, url):
    return b'<p>%s</p>' % url.encode() in body and body.endswith(b'</body></html>')


def test_nothing_accepted_is_lost_and_nothing_is_stored_half(larder):
    chance = random.Random(4)
    with scripted.Scripted(pool=16, delay=0.01, fail=0.04) as service:
        one = larder(options([service.url], timeout_per_url='2s'))
        api, accepted = Recache(one), set()
        for number in range(KILLS):
            load = Load(api, number)
            time.sleep(chance.uniform(0.02, 0.5))
            one.kill()
            accepted |= load.end()
            if number % 5 == 0:
                one.command('check')
            one.start()
        api.settle()
        lost = [d['url'] for d in dead_letters(api)]
        assert len(accepted) > 100 * KILLS, 'too little happened: %d' % len(accepted)
        for url in sorted(accepted):
            page = api.page(url)
            assert (page.status == 200 and is_whole(page.body, url)) or url in lost, (url, page.status, page.body)
        assert len(lost) < len(accepted) / 10, 'dead letters: %d of %d' % (len(lost), len(accepted))
        for path in glob.glob(os.path.join(one.data, 'pages', '??', '*')):
            with gzip.open(path) as f:
                assert f.read().endswith(b'</body></html>'), path
        one.restart()
        assert os.listdir(os.path.join(one.data, 'pages', 'tmp')) == []
        one.command('check')


def dead_letters(api):
    found, cursor = [], '0'
    while True:
        part = api.dead(limit=100, cursor=cursor)
        found += part['items']
        cursor = part['cursor']
        if not part['has_more']:
            return found
