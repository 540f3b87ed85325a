"""Scenarios of projects: reads at a million of their artifacts, and a refresh of projects that lie on this disk."""
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from peers import Peers
from report import LAG
from rig import HERE, TOP, histogram, on_client_cpu, seeded, until

CACHE = '/api/v1/cache'
ARTIFACTS_EACH = 100
FOLDERS = 1000                 # a fifth of them in a short run
NOT_IN_THE_RUN = {'projects.ttl': '8760h'}     # a store that was filled some days ago counts as fresh


def exact_names(server):
    """Searches for names that teams gave, from all over the store, in no order."""
    names = set()
    for number in range(0, 1000, 10):
        rows = json.loads(server.get('%s/artifacts?limit=100&project_id=bench-%06d' % (CACHE, number))[2])['items']
        names |= {row['name'] for row in rows if re.search(r'-\d{4}$', row['name'])}
    found = ['%s/search?query=%s' % (CACHE, quote(name)) for name in sorted(names)]
    random.Random(1).shuffle(found)
    return found


def reads(stage):
    """Each endpoint of the cache, at as many artifacts as there are entries in the store of sources."""
    count = stage.records // ARTIFACTS_EACH
    data = seeded('projects-%d' % count, 'seed_projects', count, ARTIFACTS_EACH)
    server = stage.rig.larder(data, 'projects', **NOT_IN_THE_RUN)
    peers = Peers(stage.rig, stage.report, server, 'projects')
    status = [CACHE + '/status']
    lists = {what: ['%s/%s?limit=100&skip=%d' % (CACHE, what, skip) for skip in range(0, 1000, 100)]
             for what in ('artifacts', 'stale-artifacts')}
    names = exact_names(server)
    search = [target for target in names if json.loads(server.get(target)[2])['total'] == 1][:1000]
    peers.answer_too(status + lists['artifacts'] + lists['stale-artifacts'] + search)
    nginx = stage.rig.nginx('nginx-projects', [peers.nginx_return(status[0]), peers.nginx_return(search[0])])
    before = histogram(server, LAG)
    peers.compare_reads('status of the cache', status, nginx[0], [('nginx', 1.0), ('(c)', 1.3)])
    for what, targets in lists.items():
        peers.compare_reads('100 of the ' + what.replace('-', ' '), targets, None, [('(c)', 2.0)])
    peers.compare_reads('search among projects', search, nginx[1], [('nginx', 1.0), ('(c)', 1.3)], names)
    stage.report.loop_held('the reads of projects', server, before)
    stage.report.memory('larder with {:,} artifacts of projects'.format(count * ARTIFACTS_EACH), server)
    for one in (server, peers.yard, nginx[0]):
        one.stop()


def folders_of_projects(rig, count):
    """Their sources say no version: each repository is then asked about once."""
    folders = rig.path('folders')
    subprocess.run([sys.executable, os.path.join(HERE, 'make_projects.py'), folders, str(count)],
                   stdout=subprocess.DEVNULL, check=True)
    for file in Path(folders).glob('*/*/.*/.skillmeat-deployed.toml'):
        file.write_text(re.sub(r'@v[\d.]+"', '"', file.read_text()))
    return folders


def upstream(github, folders):
    """The repositories that make_projects.py names, each with all that is deployed from it. How many."""
    import make_projects       # pylint: disable=import-outside-toplevel
    import repos               # pylint: disable=import-outside-toplevel
    files = {(owner, subject + '-tools'): {'README.md': 'Tools'} for owner in make_projects.OWNERS
             for subject in make_projects.SUBJECTS}
    for file in Path(folders).glob('*/*/.*/.skillmeat-deployed.toml'):
        for owner, name, path in re.findall(r'source = "github:([^/]+)/([^/]+)/([^"]+)"', file.read_text()):
            path += {'skills': '/SKILL.md', 'mcp': '/server.json'}.get(path.split('/')[0], '')
            files[owner, name][path] = '---\nversion: 1.4.0\n---\n'
    for (owner, name), held in files.items():
        repo = github.add(repos.Repo(owner, name, held))
        repo.refs['HEAD'] = repo.head
    return len(files)


def refresh(stage):
    """Of projects on this disk that are known already, by one request, which is answered when all were read."""
    sys.path.insert(0, os.path.join(TOP, 'tests', 'blackbox'))
    from github_standin import StandIn  # pylint: disable=import-outside-toplevel
    count = FOLDERS if stage.is_full else FOLDERS // 5
    folders = folders_of_projects(stage.rig, count)
    with on_client_cpu(), StandIn(stage.rig.path('upstream')) as github:
        repositories = upstream(github, folders)
        github.limit(1000000, 86400, 'standin-token')
        server = stage.rig.larder(stage.rig.path('refreshed'), 'refreshed', **{
            'projects.roots': '[%s]' % folders, 'github.api_url': github.url, 'github.ca_file': github.ca_file,
            'github.token': 'standin-token'})

        def status():
            return json.loads(server.get(CACHE + '/status')[2])

        def ask(force):
            """The reply, once all projects are fresh or (`force`) read again."""
            told = json.loads(server.ask('POST', CACHE + '/refresh', {'force': force})[2])
            assert told['success'], str(told)[:1000]
            return told
        until(lambda: status()['total_projects'] == count, 120, 0.1)
        ask(False)
        stage.report.fact('first refresh of {:,} projects from {} repositories: requests to GitHub'.format(
            count, repositories), str(len(github.seen())))
        github.forget()
        spent, began = server.cpu(), time.monotonic()
        assert ask(True)['projects_refreshed'] == count
        spent, took = server.cpu() - spent, time.monotonic() - began
        name = 'refresh of {:,} projects on disk, {:,} artifacts'.format(count, status()['total_artifacts'])
        stage.report.fact(name + ': processor time a project', '%.2f ms' % (spent * 1e3 / count))
        stage.report.fact(name + ': time a project', '%.2f ms' % (took * 1e3 / count))
        stage.report.aim(name + ': requests to GitHub', len(github.seen()), repositories)
        server.apart()
        before = histogram(server, LAG)
        ask(True)
        stage.report.loop_held('the refresh', server, before)
        server.stop()


SCENARIOS = [reads, refresh]
