"""``python -m taskvectors.score.similarity``: how alike the vectors of a VLM and its reader are.

The reader is the language model that the VLM grew from. For Table 4: the mean cosine similarity
of text ICL vectors of the same task and exemplars, and as the baseline (the paper's "random")
that of different tasks of the VLM.
"""

import logging
from collections.abc import Sequence
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
    """By task, the mean similarity of pairs of this task, and of pairs with every other task.

    ``own`` and ``reader`` map a task to its vectors by seed, of the VLM and its language model;
    both were read for the same exemplars. The second is between the VLM's own vectors, and
    missing where there is one task only.
    """
    rows = []
    for task, by_seed in own.items():
        matched = [(vector, reader[task][seed]) for seed, vector in by_seed.items()]
        mismatched = [
            (vector, own[other][seed])
            for other in own
            if other != task
            for seed, vector in by_seed.items()
        ]
        for pairs, compared in ((SAME_TASK, matched), (DIFFERENT_TASKS, mismatched)):
            alike = mean_similarity(compared)
            rows.append({"pairs": pairs, "task": task, "cosine_similarity": alike})
    return pd.DataFrame(rows)


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
