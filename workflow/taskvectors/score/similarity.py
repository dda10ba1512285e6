"""``python -m taskvectors.score.similarity``: how alike the vectors of a VLM and its reader are.

The reader is the language model that the VLM grew from. For Table 4: the mean cosine similarity
of text ICL vectors of the same task and exemplars, and as the baseline (the paper's "random")
that of different tasks of the VLM.
"""

import logging
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.frames import write_frame
from taskvectors.base.tensors import read_tensors
from taskvectors.study.tables import DIFFERENT_TASKS, SAME_TASK
from taskvectors.study.vectors import parse_vector_name

log = logging.getLogger("taskvectors")


def seed_vectors(path: Path, layer: int) -> dict[int, Tensor]:
    """The text ICL vectors (width,) of one layer by seed. Raises `UserError` without any."""
    named = {parse_vector_name(name): tensor for name, tensor in read_tensors(path).items()}
    found = {
        seed: tensor[layer].double()
        for (specification, seed), tensor in named.items()
        if specification == "text_icl" and seed is not None
    }
    if not found:
        raise UserError(f"{path} has no vector of text_icl; run `average` again.")
    return found


def mean_similarity(pairs: Sequence[tuple[Tensor, Tensor]]) -> float | None:
    """The mean cosine similarity of pairs of vectors; None of no pair."""
    if not pairs:
        return None
    return float(torch.stack([torch.cosine_similarity(a, b, dim=0) for a, b in pairs]).mean())


def similarities(
    own: dict[str, dict[int, Tensor]], reader: dict[str, dict[int, Tensor]]
) -> pd.DataFrame:
    """The similarity of pairs of the same task, and of different tasks.

    ``own`` and ``reader`` map a task to its vectors by seed, of the VLM and its language model;
    both were read for the same exemplars. The second is over all pairs of different tasks of
    the VLM, and missing where there is one task only.
    """
    matched = [(own[task][seed], reader[task][seed]) for task in own for seed in own[task]]
    mismatched = [
        (own[one][seed], own[other][seed])
        for one, other in permutations(own, 2)
        for seed in own[one]
    ]
    alike = [mean_similarity(matched), mean_similarity(mismatched)]
    return pd.DataFrame({"pairs": [SAME_TASK, DIFFERENT_TASKS], "cosine_similarity": alike})


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--own", required=True, type=Path, nargs="+", help="the VLM's vectors")
    parser.add_argument("--reader", required=True, type=Path, nargs="+", help="the other's")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--layer", required=True, type=Path, help="the VLM's layer.json")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    layer = read_json(args.layer)["layer"]
    own, reader = (
        {task: seed_vectors(path, layer) for task, path in zip(args.tasks, files, strict=True)}
        for files in (args.own, args.reader)
    )
    table = similarities(own, reader)
    write_frame(args.out, table)
    log.info("%s", table.to_dict("records"))


if __name__ == "__main__":
    run_command(main)
