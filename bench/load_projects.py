#!/usr/bin/python3
"""Reports projects to a running larder: load_projects.py URL [--key KEY] [--projects N] [--artifacts N] ...

What a team's continuous integration would send: each project has artifacts whose names, sources and versions are like
those that people give. The same arguments always give the same reports; --round N gives later ones, in which some
artifacts are new, gone, or of another version. Prints how long it took and how long a report waited for its answer.
"""
import argparse
import hashlib
import http.client
import json
import random
import threading
import time
import urllib.parse

SUBJECTS = ("api audio auth backup billing browser build cache calendar canvas changelog chart ci cloud code color "
            "commit config contract coverage csv data debug deploy design diagram diff docs email excel feature figma "
            "font form git graph html image incident infra invoice issue json kernel latex lint log map markdown "
            "metrics migration mobile network openapi parser payment pdf perf pipeline postgres prompt proxy python "
            "query queue react redis refactor release report research rust schema search security shell slide spec sql "
            "terminal test theme ticket translation wiki xml").split()
DOINGS = ("analyzer architect assistant auditor builder checker cleaner coach converter editor expert explainer fixer "
          "formatter generator guide helper importer inspector linter manager migrator monitor optimizer planner "
          "profiler reader reviewer runner scanner summarizer tester tuner validator watcher writer").split()
TEAMS = "acorn basalt cedar delta ember fjord garnet harbor indigo juniper kelp lumen".split()
KINDS = "service web worker gateway mobile infra docs tools".split()
TYPES = ["skill"] * 60 + ["command"] * 18 + ["agent"] * 12 + ["hook"] * 5 + ["mcp_server"] * 4 + ["workflow"]


def version(draw):
    return f"{draw.randrange(4)}.{draw.randrange(12)}.{draw.randrange(20)}"


def artifact(draw, number, turn):
    """Number n of a project: common ones first, which most projects have; later ones are a team's own."""
    team = draw.choice(TEAMS)
    name = f"{draw.choice(SUBJECTS)}-{draw.choice(DOINGS)}"
    if number >= 20:
        name = f"{name}-{draw.choice(SUBJECTS)}" if draw.random() < 0.7 else f"{team}-{name}"
    digest = hashlib.sha256(f"{name}/{number}".encode()).hexdigest()
    chance = int(digest[:8], 16) % 1000
    deployed = version(draw)
    if chance < 30 * turn:
        deployed += str(turn)
    one = {
        "name": name,
        "type": draw.choice(TYPES),
        "source": f"github:{team}-tools/{draw.choice(SUBJECTS)}-kit/skills/{name}@latest",
        "deployed_version": deployed,
        "content_hash": hashlib.sha256(f"{digest}/{deployed}".encode()).hexdigest(),
        "description": f"Helps with {name.replace('-', ' ')}.",
    }
    if draw.random() < 0.5:  # half of the reporters know what upstream has; every third is behind it
        one["upstream_version"] = version(draw) if draw.random() < 0.33 else one["deployed_version"]
    return None if turn and chance % 50 == turn % 50 else one  # gone in this round


def report(project, artifacts, turn):
    draw = random.Random(project)
    team, kind = draw.choice(TEAMS), draw.choice(KINDS)
    seen = {}
    number = 0
    while len(seen) < artifacts:
        one = artifact(draw, number, turn)
        if one:
            seen.setdefault((one["name"], one["type"]), one)
        number += 1
    return {
        "name": f"{team}-{draw.choice(SUBJECTS)}-{kind}",
        "path": f"/srv/checkouts/{team}/{kind}-{project}",
        "artifacts": list(seen.values()),
    }


class Loader:
    def __init__(self, args):
        self.args = args
        self.url = urllib.parse.urlsplit(args.url)
        self.next = args.first
        self.lock = threading.Lock()
        self.waits = []
        self.errors = []

    def take(self):
        with self.lock:
            number = self.next
            self.next += 1
        return number if number < self.args.first + self.args.projects else None

    def put(self, link, number):
        body = json.dumps(report(number, self.args.artifacts, self.args.round))
        headers = {"Content-Type": "application/json"}
        if self.args.key:
            headers["Authorization"] = f"Bearer {self.args.key}"
        began = time.monotonic()
        link.request("PUT", f"/api/v1/cache/projects/bench-{number:06}", body, headers)
        reply = link.getresponse()
        text = reply.read()
        self.waits.append(time.monotonic() - began)
        if reply.status == 429:  # a key with limits of its own, or none, is better
            time.sleep(float(reply.headers.get("Retry-After", "1")))
            self.put(link, number)
        elif reply.status not in (200, 201):
            self.errors.append(f"{number}: {reply.status} {text[:200]!r}")

    def run(self):
        link = http.client.HTTPConnection(self.url.hostname, self.url.port)
        while not self.errors and (number := self.take()) is not None:
            self.put(link, number)
        link.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="http://127.0.0.1:8080")
    parser.add_argument("--key", help="an API key that may write")
    parser.add_argument("--projects", type=int, default=10000)
    parser.add_argument("--artifacts", type=int, default=100, help="of each project")
    parser.add_argument("--first", type=int, default=0, help="number of the first project")
    parser.add_argument("--round", type=int, default=0, help="0: the first reports; more: later ones")
    parser.add_argument("--connections", type=int, default=4)
    loader = Loader(parser.parse_args())
    threads = [threading.Thread(target=loader.run) for _ in range(loader.args.connections)]
    began = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    took = time.monotonic() - began
    waits = sorted(loader.waits) or [0.0]
    median, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"{len(loader.waits)} reports in {took:.1f} s, {len(loader.waits) / took:.0f}/s; answered after "
          f"{1000 * median:.1f} ms (median), {1000 * p99:.1f} ms (p99), {1000 * waits[-1]:.1f} ms (longest)")
    for text in loader.errors:
        print(text)
    return 1 if loader.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
