"""``python -m taskvectors.average``: task vectors, the mean activations of a task.

A vector is the mean over the validation prompts of the residual streams at the last exemplar's
delimiter, per specification and seed and for every layer (paper, section 2.1). An
instruction's vector is its one activation. For Figure 8 there are also means over the first
1 to 6 prompts of a seeded permutation (named by their samples, ``text_icl_n5/1``), and
ensembles, the plain means of an exemplar vector and the instruction's (``ensemble_n5/1``).
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import torch
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.tensors import read_tensors, write_tensors
from taskvectors.study.predictions import ENSEMBLE

log = logging.getLogger("taskvectors")
PROMPTS = 6  # the largest subset of the prompts; 30 samples in the paper's Figure 8
SUBSETS_OF = "text_icl"


def vector_name(specification: str, seed: int | None) -> str:
    """Name of a vector in ``vectors.safetensors``."""
    return specification if seed is None else f"{specification}/{seed}"


def parse_vector_name(name: str) -> tuple[str, int | None]:
    """The specification and seed in a vector's name."""
    specification, _, seed = name.partition("/")
    return specification, int(seed) if seed else None


def task_vectors(activations: dict[str, Tensor]) -> dict[str, Tensor]:
    """Activations (prompts, layers, width) by name to float32 vectors (layers, width) by name."""
    vectors = {}
    for name, tensor in activations.items():
        specification, *where = name.split("/")
        if not where:
            vectors[vector_name(specification, None)] = tensor.float().mean(0)
        elif where[0] == "validation" and where[2] == "exemplar":
            vectors[vector_name(specification, int(where[1]))] = tensor.float().mean(0)
    return vectors


def subset_vectors(activations: dict[str, Tensor], exemplars: int) -> dict[str, Tensor]:
    """Means over the first 1..6 prompts of a permutation that the seed alone decides.

    ``activations`` are as in `task_vectors`; a prompt holds ``exemplars`` samples. Where
    there are fewer prompts, there are as many vectors as prompts.
    """
    vectors = {}
    for name, tensor in activations.items():
        specification, *where = name.split("/")
        if specification != SUBSETS_OF or where[0] != "validation" or where[2] != "exemplar":
            continue
        seed, prompts = int(where[1]), len(tensor)
        order = random.Random(f"{seed}/subsets").sample(range(prompts), k=prompts)
        for count in range(1, min(PROMPTS, prompts) + 1):
            subset = f"{specification}_n{count * exemplars}"
            vectors[vector_name(subset, seed)] = tensor[order[:count]].float().mean(0)
    return vectors


def ensemble_vectors(vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The plain mean of the instruction's vector and each text ICL vector, full or subset.

    Empty where the activations hold no instruction.
    """
    if "instruction" not in vectors:
        return {}
    return {
        ENSEMBLE + name.removeprefix(SUBSETS_OF): (vector + vectors["instruction"]) / 2
        for name, vector in vectors.items()
        if name.startswith(SUBSETS_OF)
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--activations", required=True, type=Path)
    parser.add_argument("--exemplars", required=True, type=int, help="samples in a prompt")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    activations = read_tensors(args.activations)
    vectors = task_vectors(activations)
    vectors |= subset_vectors(activations, args.exemplars)
    vectors |= ensemble_vectors(vectors)
    for name, vector in vectors.items():
        if not torch.isfinite(vector).all():
            raise UserError(
                f"{args.activations}: the mean of {name} is not finite; "
                "read the activations again in float32."
            )
    write_tensors(args.out, vectors)
    log.info("%d vectors", len(vectors))


if __name__ == "__main__":
    run_command(main)
