"""What takes the place of a prompt's labels and images, and of a vector; drawn by name only."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from taskvectors.base.images import open_rgba, save_png
from taskvectors.study.controls import IRRELEVANT, NOISE, SHUFFLED_LABELS
from taskvectors.study.datasets import ExemplarSet, Item
from taskvectors.study.entities import slugify

# The exemplars of a set, with some of what they show exchanged.
Exchange = Callable[[ExemplarSet, Sequence[Item]], list[Item]]


def exchanges(irrelevant: Sequence[Item], folder: Path) -> dict[str, Exchange]:
    """The controls that are read from other prompts than the real vector.

    ``irrelevant`` are items of another entity set, and where there are none that control is
    missing; images of noise are written into ``folder``.
    """
    found: dict[str, Exchange] = {
        SHUFFLED_LABELS: with_shuffled_labels,
        NOISE: partial(with_noise, folder=folder),
    }
    if irrelevant:
        found[IRRELEVANT] = partial(with_irrelevant, irrelevant=irrelevant)
    return found


def with_shuffled_labels(drawn: ExemplarSet, exemplars: Sequence[Item]) -> list[Item]:
    """The exemplars, with their labels in another order."""
    labels = shuffled([item.label for item in exemplars], _generator(drawn, exemplars, "shuffled"))
    return [replace(item, label=label) for item, label in zip(exemplars, labels, strict=True)]


def shuffled(labels: Sequence[str], rng: random.Random) -> list[str]:
    """The labels in an order in which as few as can be stand where they stood.

    That is none where no label makes up more than half of them, and all where they are all alike.
    """
    count = len(labels)
    alike: dict[str, list[int]] = {}
    for place in rng.sample(range(count), k=count):
        alike.setdefault(labels[place], []).append(place)
    # Like labels stand together in a circle; turned by the most of one kind, each meets others.
    circle = [place for places in alike.values() for place in places]
    turn = max(map(len, alike.values()))
    moved = {place: labels[circle[(at + turn) % count]] for at, place in enumerate(circle)}
    return [moved[place] for place in range(count)]


def with_noise(drawn: ExemplarSet, exemplars: Sequence[Item], folder: Path) -> list[Item]:
    """The exemplars, with images of noise as large as their own; under one seed an entity has the
    same one in all prompts."""
    shown = []
    for item in exemplars:
        path = folder / str(drawn.seed) / f"{slugify(item.entity)}.png"
        if not path.exists():
            name = f"{drawn.seed}/{item.task}/{item.entity}/noise"
            save_png(noise(open_rgba(Path(item.image)).size, name), path)
        shown.append(replace(item, image=str(path)))
    return shown


def noise(size: tuple[int, int], name: str) -> Image.Image:
    """An image, (width, height) pixels, of which each channel of each pixel is drawn by itself."""
    width, height = size
    return Image.frombytes("RGB", size, random.Random(name).randbytes(3 * width * height))


def with_irrelevant(
    drawn: ExemplarSet, exemplars: Sequence[Item], irrelevant: Sequence[Item]
) -> list[Item]:
    """The exemplars, with the images of different irrelevant items, as many as they are."""
    others = _generator(drawn, exemplars, "irrelevant").sample(irrelevant, k=len(exemplars))
    return [replace(item, image=other.image) for item, other in zip(exemplars, others, strict=True)]


def random_like(vector: Tensor, name: str) -> Tensor:
    """A vector (layers, width) of a random direction in each layer, as long there as ``vector``."""
    generator = torch.Generator().manual_seed(random.Random(name).getrandbits(63))
    direction = torch.randn(vector.shape, generator=generator)
    return direction * (vector.norm(dim=-1) / direction.norm(dim=-1)).unsqueeze(-1)


def _generator(drawn: ExemplarSet, exemplars: Sequence[Item], what: str) -> random.Random:
    return random.Random(f"{drawn.seed}/{exemplars[0].task}/{drawn.split}/{drawn.query}/{what}")
