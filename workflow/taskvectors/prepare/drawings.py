"""The named images that the vision tower and the tuning are trained on and tested with."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from taskvectors.base.command import command_parser
from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgba
from taskvectors.models.embedded_vision import fit_to_square, normalised, on_background
from taskvectors.study.manifest import read_manifest

IMAGES_PER_PASS = 16  # larger buffers than this are given back to the system after each use


@dataclass(frozen=True)
class Drawings:
    """Images of one or more renderings.

    squares (images, 4, 160, 160) premultiplied, names (images,) as indices into the list
    of names, and the entity set of each.
    """

    squares: Tensor
    names: Tensor
    entity_sets: list[str]


def load_drawings(manifests: list[Path], names: list[str] | None) -> tuple[Drawings, list[str]]:
    """Read images by their manifests. ``names`` None collects the names from these images.

    Images whose name is unknown are left out: the vision tower cannot name them. Raises
    `UserError` where none is left.
    """
    images = [image for path in manifests for image in read_manifest(path)]
    known = sorted({image.entity for image in images}) if names is None else names
    images = [image for image in images if image.entity in known]
    if not images:
        raise UserError(
            f"{', '.join(map(str, manifests))}: no image that a vision tower learns or can name; "
            "see `images` and `learned_sets` in the configuration."
        )
    squares = torch.stack([fit_to_square(open_rgba(image.path)) for image in images])
    labels = torch.tensor([known.index(image.entity) for image in images])
    return Drawings(squares, labels, [image.entity_set for image in images]), known


@torch.inference_mode()
def in_passes(function: Callable[[Tensor], Tensor], squares: Tensor) -> Tensor:
    """Premultiplied squares (images, 4, 160, 160) on white through ``function``, a few at a time.

    ``function`` takes pixels (images, 3, 160, 160) and gives a row, or a block, for each image.
    """
    rgb = on_background(squares, 1.0)
    return torch.cat([function(normalised(part)) for part in rgb.split(IMAGES_PER_PASS)])


def training_parser(documentation: str | None) -> argparse.ArgumentParser:
    """A command's parser with what every training needs."""
    parser = command_parser(documentation)
    parser.add_argument("--training", required=True, type=Path, nargs="+", help="manifests")
    parser.add_argument("--held-out", required=True, type=Path, nargs="+", help="manifests")
    parser.add_argument("--steps", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    return parser
