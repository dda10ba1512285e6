"""One tiny checkpoint a family, saved once and loaded as a real one is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from taskvectors.curate.draws import exemplar_sets
from taskvectors.engine.load import load_adapter
from taskvectors.models.base import Adapter
from taskvectors.study.datasets import Item

from .families import FAMILIES
from .jobs import Job
from .vocabulary import WORDS


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """Where models are: cpu, or with ``--device cuda`` the GPU, which then rounds as little."""
    # Convolutions would be done in TF32, whose numbers have ten bits.
    torch.backends.cudnn.allow_tf32 = False
    return pytestconfig.getoption("--device")


@pytest.fixture(scope="session")
def load(device: str) -> Callable[[Path, str], Adapter]:
    """Load the checkpoint of a folder and a family in float32."""
    return partial(load_adapter, dtype="float32", device=device)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three images of noise, of different sizes."""
    folder = tmp_path_factory.mktemp("images")
    noise = np.random.default_rng(0)
    paths = []
    for number, (height, width) in enumerate([(28, 40), (44, 30), (36, 36)]):
        pixels = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture(scope="session", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in FAMILIES[family].needs:
        pytest.importorskip(package, reason=f"needs {package}; see tests/QUARANTINE.md")
    folder = tmp_path_factory.mktemp(family)
    FAMILIES[family].save(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(family: str, folder: Path, load: Callable[[Path, str], Adapter]) -> Adapter:
    return load(folder, family)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    FAMILIES["llava"].save(folder)
    return folder


@pytest.fixture
def job(tmp_path, checkpoint, images) -> Job:
    items = [
        Item("country-capital", split, word, images[number % len(images)], word[::-1])
        for split, words in (("validation", WORDS[:5]), ("test", WORDS[5:]))
        for number, word in enumerate(words)
    ]
    return Job(tmp_path, checkpoint, items, exemplar_sets("capitals", items, [1, 2], 2))


@pytest.fixture
def run(monkeypatch) -> Callable[[ModuleType, list[str]], None]:
    """Run a command's ``main`` here, where torch is loaded already."""

    def run_main(command: ModuleType, arguments: list[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        command.main()

    return run_main
