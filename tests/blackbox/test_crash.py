"""kill -9 at any moment: what was acknowledged is there, and the store is whole."""
import json
import random
import threading
import time

import repos
from program import SOURCES, until
from wire import Closed, request


class Writer(threading.Thread):
    """Sends writes over one connection until the server is gone; remembers which were acknowledged."""

    def __init__(self, larder, calls):
        super().__init__(daemon=True)
        self.larder, self.calls, self.acknowledged = larder, calls, []
        self.key = larder.key

    def run(self):
        try:
            with self.larder.wire() as wire:
                for note, method, path, body in self.calls:
                    headers = {'Authorization': 'Bearer ' + self.key, 'Content-Type': 'application/json'}
                    reply = wire.send(request(method, path, headers, json.dumps(body).encode())).reply()
                    if reply.status in (200, 201):
                        self.acknowledged.append(note)
        except (OSError, Closed):
            pass


def stored(larder):
    """Every source by its id."""
    out, params = {}, {'limit': 100}
    while True:
        page = larder.get(SOURCES, params=params).json()
        out.update((row['id'], row) for row in page['items'])
        if not page['page_info']['has_next_page']:
            return out
        params['cursor'] = page['page_info']['end_cursor']


def test_no_acknowledged_write_is_lost_in_twenty_kills(larder):
    rng = random.Random(1)
    one = larder({'github.api_url': 'https://localhost:1'})
    rows = ['src_acme_counter-%d' % i for i in range(3)]
    for row in rows:
        assert one.post(SOURCES, {'repo_url': 'https://github.com/acme/' + row.rpartition('_')[2]}).status == 201
    made, counters = set(rows), dict.fromkeys(rows, 0)
    for turn in range(20):
        creators = [Writer(one, [(name, 'POST', SOURCES, {'repo_url': 'https://github.com/acme/' + name})
                                 for name in ('new-%d-%d-%d' % (turn, w, i) for i in range(60))]) for w in range(3)]
        patchers = [Writer(one, [(n, 'PATCH', '%s/%s' % (SOURCES, row), {'notes': str(n), 'tags': ['t%d' % (n % 7)]})
                                 for n in range(counters[row] + 1, counters[row] + 2000)]) for row in rows]
        for writer in creators + patchers:
            writer.start()
        time.sleep(rng.uniform(0.02, 0.4))
        one.kill()
        for writer in creators + patchers:
            writer.join(60)
        made |= {'src_acme_' + name for writer in creators for name in writer.acknowledged}
        one.command('check')
        one.start()
        there = stored(one)
        assert made <= there.keys(), sorted(made - there.keys())
        for row, writer in zip(rows, patchers):
            low = writer.acknowledged[-1] if writer.acknowledged else counters[row]
            note = int(there[row]['notes'] or 0)
            assert low <= note <= low + 1, 'acknowledged %d, found %d' % (low, note)
            assert not note or there[row]['tags'] == ['t%d' % (note % 7)], 'half of a write'
            counters[row] = note
    assert sum(counters.values()) > 100 and len(made) > 60, 'there was hardly any load'


def test_kills_during_a_large_scan_leave_whole_catalogues(larder, github):
    rng = random.Random(2)
    one = larder()
    repo = github.add(repos.large_repo(6000, every=2))
    source_id = one.create(repo, settled=False)['id']
    for _ in range(6):
        time.sleep(rng.uniform(0.05, 0.8))
        one.kill()
        one.command('check')
        one.start()
    done = one.settled(source_id)
    assert done['scan_status'] == 'success' and done['artifact_count'] == 3000
    assert one.catalogue(source_id) == repo.head.expected
    assert one.search('skill-0')['total'] == sum('skill-0' in name for _, name, _ in repo.head.expected)
    repo.advance()
    one.rescan(source_id, settled=False)
    one.kill()
    one.command('check')
    one.start()
    assert one.settled(source_id)['scan_status'] == 'success'
    assert one.catalogue(source_id) == repo.head.expected


def test_two_servers_do_not_share_a_data_directory(larder):
    one = larder()
    other = larder({'data_dir': one.data}, start=False)
    other.start(wait=False)
    assert other.wait_exit() not in (0, None)
    assert one.data in other.errors or 'data_dir' in other.errors
    assert one.get('/healthz').status == 200


def test_what_a_kill_leaves_behind_is_ready_at_once(larder, github):
    one = larder()
    source = one.create(github.add(repos.skills_repo()))
    for _ in range(5):
        one.kill()
        one.start()
        assert one.source(source['id'])['artifact_count'] == 3
    until(lambda: one.get('/readyz').status == 200, 'readiness')
