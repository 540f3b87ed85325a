"""Fixtures of the black-box tests.

`server` is one running program for the whole run: tests that only read, or that work on sources of their
own making, share it.  `larder` makes further ones: `larder({'http.idle_timeout': '1s'})`.  `github` is the
stand-in that all of them ask; faults and held requests end with the test.  Every server that a test started
must end cleanly when the test is over.
"""
import os

import pytest
from github_standin import StandIn
from program import BINARY, Larder, asking

ALL_FILES = {name for name in os.listdir(os.path.dirname(__file__)) if name.startswith('test_')}


def pytest_collection_modifyitems(config, items):
    """test_zz_coverage.py judges the whole run, so it must be last and must know that the run is whole."""
    items.sort(key=lambda item: 'test_zz_' in item.nodeid)
    chosen = {os.path.basename(str(item.fspath)) for item in items}
    config.whole_run = chosen == ALL_FILES and not config.option.keyword


def pytest_sessionstart(session):
    if not os.access(BINARY, os.X_OK) and not session.config.option.collectonly:
        print('no program at %s: `make` builds it' % BINARY)


@pytest.fixture(scope='session')
def session_github(tmp_path_factory):
    with StandIn(str(tmp_path_factory.mktemp('github')), anonymous_limit=1 << 30) as standin:
        yield standin


@pytest.fixture
def github(session_github):
    yield session_github
    session_github.clear_faults()
    session_github.forget()


@pytest.fixture(scope='session')
def session_server(session_github, tmp_path_factory):
    running = Larder(tmp_path_factory.mktemp('server'), asking(session_github)).start()
    yield running
    running.stop()


@pytest.fixture
def server(session_server, github):
    assert session_server.process.poll() is None, 'it died: %s' % session_server.errors[-3000:]
    return session_server


@pytest.fixture
def larder(github, tmp_path):
    """Makes servers: larder(options, args, env, start=True, limits=...)."""
    made = []

    def make(options=None, args=(), env=None, start=True, limits=(), standin=None):
        one = Larder(tmp_path / ('larder%d' % len(made)), asking(standin or github, options), args, env)
        made.append(one)
        return one.start(limits) if start else one
    yield make
    github.clear_faults()
    troubles = []
    for one in made:
        try:
            if one.process:
                one.stop()
        except AssertionError as trouble:
            troubles.append(str(trouble))
    assert not troubles, '\n'.join(troubles)


@pytest.fixture
def own_github(tmp_path):
    """A stand-in of the test's own, for what would disturb others: limits, whole-server faults."""
    with StandIn(str(tmp_path / 'hub')) as standin:
        yield standin
