"""Servers that tests share."""

from __future__ import annotations

import os

import pytest
from mediawiki.server import CannotInstallError, Wiki


@pytest.fixture(scope="session")
def server(pytestconfig) -> Wiki:
    """The wiki, built once for a checkout and started once for a test run."""
    running = Wiki(pytestconfig.cache.mkdir("mediawiki"))
    try:
        running.start()
    except CannotInstallError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no MediaWiki server: {error}")
    yield running
    running.stop()


@pytest.fixture
def wiki(server) -> Wiki:
    """The wiki with an empty log and no faults."""
    server.reset()
    yield server
    server.reset()
