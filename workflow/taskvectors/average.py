"""``python -m taskvectors.average``: task vectors, the mean activations of a task.

A vector is the mean over the validation prompts of the residual stream at the last exemplar's
delimiter, per specification and seed and for every layer (paper, section 2.1). An
instruction's vector is its one activation. For Figure 8 there are also means over the first
1 to 6 prompts of a seeded permutation (named by their samples, ``text_icl_n5/1``), and
ensembles, the plain means of an exemplar vector and the instruction's (``ensemble_n5/1``).
"""

import logging
import random
from pathlib import Path

from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.tensors import check_finite, read_tensors, write_tensors
from taskvectors.study.vectors import (
    BEFORE_TEXT,
    BEFORE_TEXT_SITE,
    ENSEMBLE,
    EXEMPLAR_SITE,
    INSTRUCTION,
    activations_by_seed,
    parse_activation_name,
    samples_name,
    vector_name,
)

log = logging.getLogger("taskvectors")
PROMPTS = 6  # the largest subset of the prompts; 30 samples in the paper's Figure 8
SUBSETS_OF = "text_icl"


def task_vectors(activations: dict[str, Tensor]) -> dict[str, Tensor]:
    """Activations (prompts, layers, width) by name to float32 vectors (layers, width) by name."""
    vectors = {}
    for text, tensor in activations.items():
        name = parse_activation_name(text)
        if name is None:
            vectors[text] = tensor.float().mean(0)
        elif (name.split, name.site) == ("validation", EXEMPLAR_SITE):
            vectors[vector_name(name.specification, name.seed)] = tensor.float().mean(0)
        elif name.site == BEFORE_TEXT_SITE:
            before_text = vector_name(name.specification + BEFORE_TEXT, name.seed)
            vectors[before_text] = tensor.float().mean(0)
    return vectors


def subset_vectors(activations: dict[str, Tensor], exemplars: int) -> dict[str, Tensor]:
    """Means over the first 1..6 prompts of a permutation that the seed alone decides.

    ``activations`` are as in `task_vectors`; a prompt holds ``exemplars`` samples. Where
    there are fewer prompts, there are as many vectors as prompts.
    """
    vectors = {}
    by_seed = activations_by_seed(activations, SUBSETS_OF, "validation", EXEMPLAR_SITE)
    for seed, tensor in by_seed.items():
        order = random.Random(f"{seed}/subsets").sample(range(len(tensor)), k=len(tensor))
        for count in range(1, min(PROMPTS, len(tensor)) + 1):
            name = vector_name(samples_name(SUBSETS_OF, count * exemplars), seed)
            vectors[name] = tensor[order[:count]].float().mean(0)
    return vectors


def ensemble_vectors(vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The plain mean of the instruction's vector and each text ICL vector, full or subset.

    Empty where the activations hold no instruction.
    """
    if INSTRUCTION not in vectors:
        return {}
    return {
        ENSEMBLE + name.removeprefix(SUBSETS_OF): (vector + vectors[INSTRUCTION]) / 2
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
    check_finite(vectors, f"{args.activations}: the mean", "read the activations again in float32")
    write_tensors(args.out, vectors)
    log.info("%d vectors", len(vectors))


if __name__ == "__main__":
    run_command(main)
