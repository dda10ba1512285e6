"""``python -m taskvectors.curate.duplicates``: images of different entities that look alike.

They are reported, not dropped: some flags are alike in fact.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.base.images import open_rgb
from taskvectors.base.progress import track
from taskvectors.study.manifest import CollectedImage, read_manifest

GRID = 8  # cells a side of the small image that is compared
NEAR_BITS = 8  # of 192
NEAR_COLOUR = 12.0  # mean difference of the small images' values, 0 to 255
COLUMNS = ["entity_set", "entity", "other_set", "other", "bits", "colour", "identical"]


def small(image: Image.Image) -> np.ndarray:
    """The image as 8 x 8 mean colours: 192 values from 0 to 255."""
    cells = image.resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(cells, dtype=np.float32).reshape(-1)


def average_hash(cells: np.ndarray) -> np.ndarray:
    """A perceptual hash: for each cell and colour, whether it is above the image's mean."""
    return (cells > cells.mean()).astype(np.float32)


def near_duplicates(images: list[CollectedImage]) -> pd.DataFrame:
    """Pairs of near images, nearest first; ``identical`` where the files are the same."""
    cells = np.stack(
        [small(open_rgb(image.path)) for image in track(images, len(images), "compare")]
    )
    bits = np.stack([average_hash(one) for one in cells])
    distance = bits @ (1 - bits).T + (1 - bits) @ bits.T
    pairs = []
    for i, j in np.argwhere(np.triu(distance <= NEAR_BITS, k=1)):
        colour = float(np.abs(cells[i] - cells[j]).mean())
        if colour <= NEAR_COLOUR:
            one, other = images[i], images[j]
            names = [one.entity_set, one.entity, other.entity_set, other.entity]
            same = one.sha256 == other.sha256
            pairs.append([*names, int(distance[i, j]), round(colour, 1), same])
    return pd.DataFrame(pairs, columns=COLUMNS).sort_values(["bits", "colour"], kind="stable")


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    images = [image for path in args.manifests for image in read_manifest(path)]
    write_frame(args.out, near_duplicates(images))


if __name__ == "__main__":
    run_command(main)
