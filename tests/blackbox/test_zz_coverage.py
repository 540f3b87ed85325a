"""Runs last: every endpoint of the OpenAPI document must have been called by some test of this run."""
import openapi
import pytest


def test_every_endpoint_was_called(request, server):
    if not request.config.whole_run:
        pytest.skip('only a run of all files can tell')
    rows = {(method, template) for method, template, _, _ in server.document.rows}
    assert rows <= openapi.called, 'never called: %s' % sorted(rows - openapi.called)
