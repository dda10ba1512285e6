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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what looks at the cut-down experiment: `make test` has one process for that, and one for
    all else."""
    if "tiny_run" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.tiny)


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
