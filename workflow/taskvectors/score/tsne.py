"""``python -m taskvectors.score.tsne``: t-SNE of task vectors of single exemplar sets by layer.

The silhouettes say in numbers what the image shows: by task, how far vectors lie with their
own task rather than another; by specification, how far with their own specification. They
are taken between the vectors themselves (cosine distance), not in the image. The ideal is
high by task and near or below zero by specification (paper, A.4).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.base.tensors import read_tensors
from taskvectors.study.layers import shown_layers
from taskvectors.study.vectors import (
    EXEMPLAR_SITE,
    INSTRUCTION,
    activations_by_seed,
    sets_in_turn,
)

log = logging.getLogger("taskvectors")
LAYERS = 6
SETS = 30  # per task and specification
SEED = 0
COLUMNS = ["layer", "task", "specification", "seed", "set", "x", "y"]
COLUMNS += ["silhouette_task", "silhouette_specification"]
COLUMNS += ["own_silhouette_task", "own_silhouette_specification"]


def set_vectors(
    files: Sequence[Path], tasks: Sequence[str], site: str = EXEMPLAR_SITE
) -> tuple[pd.DataFrame, np.ndarray]:
    """What was read at ``site`` of each exemplar set (sets, layers, width), and what each is.

    ``files`` are each task's activations. Validation sets, in turn from every seed, up to 30 a
    task and specification; and at the last exemplar's delimiter each task's one instruction vector.
    """
    about: list[dict[str, Any]] = []
    vectors = []
    for task, path in zip(tasks, files, strict=True):
        tensors = read_tensors(path)
        for specification in ("text_icl", "image_icl"):
            by_seed = activations_by_seed(tensors, specification, "validation", site)
            for seed, row in sets_in_turn(by_seed, SETS):
                named = {"task": task, "specification": specification, "seed": seed, "set": row}
                about.append(named)
                vectors.append(by_seed[seed][row].float().numpy())
        if site == EXEMPLAR_SITE and INSTRUCTION in tensors:
            about.append({"task": task, "specification": INSTRUCTION})
            vectors.append(tensors[INSTRUCTION][0].float().numpy())
    return pd.DataFrame(about), np.stack(vectors)


def silhouettes(vectors: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """(sets,): each set's silhouette by cosine distance; missing where there are fewer than two
    groups."""
    if not 1 < len(set(labels)) < len(labels):
        return np.full(len(labels), np.nan)
    return np.asarray(silhouette_samples(vectors, list(labels), metric="cosine"))


def embed(vectors: np.ndarray) -> np.ndarray:
    """t-SNE of vectors (sets, width) to (sets, 2), with a fixed seed and one thread."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    reduced = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1)
    return np.asarray(reduced.fit_transform(vectors))


def places(about: pd.DataFrame, vectors: np.ndarray) -> pd.DataFrame:
    """A row per set and shown layer: its place, the layer's two silhouettes, and its own two.

    A layer's are the means of its exemplar sets'; the single instruction vectors have none and
    are left out of them.
    """
    exemplars = (about["specification"] != "instruction").to_numpy()
    parts = []
    for layer in shown_layers(range(vectors.shape[1]), LAYERS):
        here = vectors[:, layer]
        place = embed(here)
        part = about.assign(layer=layer, x=place[:, 0], y=place[:, 1])
        for key in ("task", "specification"):
            own = silhouettes(here[exemplars], about.loc[exemplars, key].tolist())
            part[f"silhouette_{key}"] = own.mean()
            part.loc[exemplars, f"own_silhouette_{key}"] = own
        parts.append(part)
    return pd.concat(parts)[COLUMNS]


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--activations", required=True, type=Path, nargs="+", help="of each task")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = places(*set_vectors(args.activations, args.tasks))
    write_frame(args.out, table)
    log.info("%d places", len(table))


if __name__ == "__main__":
    run_command(main)
