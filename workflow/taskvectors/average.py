"""``python -m taskvectors.average``: task vectors, the mean activations of a task.

A vector is the mean over the validation prompts of the block outputs at the last exemplar's
delimiter, per specification and seed and for every layer (paper, section 2.1). An
instruction's vector is its one activation.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvectors.engine.streams import read_tensors
from taskvectors.errors import UserError, run_command
from taskvectors.files import written_whole
from taskvectors.progress import start_logging

log = logging.getLogger("taskvectors")


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskvectors.average", description=__doc__)
    parser.add_argument("--activations", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    start_logging(args.log)
    vectors = task_vectors(read_tensors(args.activations))
    for name, vector in vectors.items():
        if not torch.isfinite(vector).all():
            raise UserError(
                f"{args.activations}: the mean of {name} is not finite; "
                "read the activations again in float32."
            )
    with written_whole(args.out) as temporary:
        save_file({name: vector.contiguous() for name, vector in vectors.items()}, temporary)
    log.info("%d vectors: %s", len(vectors), ", ".join(vectors))


if __name__ == "__main__":
    run_command(main)
