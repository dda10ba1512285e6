"""One real run of the cut-down experiment, shared by all tests that look at its results."""

from __future__ import annotations

import pytest
from browsing import opened
from checkouts import Checkout, copy_of_the_workflow


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A fresh copy without results, for dry runs and wrong input."""
    return copy_of_the_workflow(tmp_path)


@pytest.fixture(scope="module")
def second_checkout(tmp_path_factory) -> Checkout:
    """The same for a run that the tests of one file share."""
    return copy_of_the_workflow(tmp_path_factory.mktemp("second"))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Checkout:
    """The same for tests that change nothing in it."""
    return copy_of_the_workflow(tmp_path_factory.mktemp("pristine"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Checkout:
    """The finished cut-down experiment. Tests read it and leave it as it is."""
    checkout = copy_of_the_workflow(tmp_path_factory.mktemp("tiny"))
    done = checkout.tiny()
    assert done.returncode == 0, done.stdout[-6000:]
    return checkout


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A real browser, shared by all tests that look at pages."""
    yield from opened(tmp_path_factory.mktemp("chromium"))
