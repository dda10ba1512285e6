"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="where the contract's models are",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--device") == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError(
            "--device cuda needs a GPU that torch can use, and there is none; leave it out, or "
            "install the packages of envs/gpu.txt on a machine with one."
        )


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one of several processes does on its own: all that looks at the cut-down experiment,
    which is run once; the tests of the wiki, which is one server; a family's, whose model is loaded
    once; otherwise those of one file."""
    for item in items:
        shared = [name for name in ("tiny_run", "server") if name in item.fixturenames]
        family = getattr(item, "callspec", None) and item.callspec.params.get("family")
        item.add_marker(pytest.mark.xdist_group([*shared, family or item.path.stem][0]))


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> Iterator[None]:
    """Tiny matrices go slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT
