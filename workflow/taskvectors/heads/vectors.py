"""``python -m taskvectors.heads.vectors``: function vectors, the summed outputs of the top heads.

A head's mean output goes through its layer's output projection, and those of the heads that carry
tasks best, found by causal mediation over all tasks, are added up (Todd et al., 2024, section 2.3).
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.frames import read_frame
from taskvectors.base.tensors import check_finite, read_tensors, write_tensors
from taskvectors.engine.heads import Head, function_vector
from taskvectors.jobs.arguments import add_model, load_model
from taskvectors.models.base import Adapter
from taskvectors.study.vectors import parse_vector_name, task_vector_name

log = logging.getLogger("taskvectors")


def top_heads(table: pd.DataFrame, specification: str, count: int) -> list[Head]:
    """The strongest heads of a specification in a table (specification, layer, head, rank).

    Raises `UserError` where it has fewer.
    """
    own = table[(table["specification"] == specification) & (table["rank"] <= count)]
    if len(own) < count:
        raise UserError(
            f"the table of heads has {len(own)} for {specification}, but `function_vectors.heads` "
            f"asks for {count}; lower it in the configuration."
        )
    return list(zip(own["layer"].astype(int), own["head"].astype(int), strict=True))


def function_vectors(
    adapter: Adapter, outputs: Mapping[str, Tensor], table: pd.DataFrame, count: int
) -> dict[str, Tensor]:
    """A function vector (width,) for each specification and seed that there are ``outputs`` of."""
    specifications = {name: parse_vector_name(name)[0] for name in outputs}
    return {
        name: function_vector(adapter, outputs[name], top_heads(table, specification, count))
        for name, specification in specifications.items()
    }


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--outputs", required=True, type=Path, nargs="+", help="a task each")
    parser.add_argument("--heads", required=True, type=Path, help="score/.../heads.csv")
    parser.add_argument("--top", required=True, type=int, help="how many heads a vector sums")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    table = read_frame(args.heads)
    vectors: dict[str, Tensor] = {}
    for task, path in zip(args.tasks, args.outputs, strict=True):
        made = function_vectors(adapter, read_tensors(path), table, args.top)
        vectors |= {task_vector_name(task, name): vector for name, vector in made.items()}
    check_finite(vectors, "the function vector", "read the heads again in float32")
    write_tensors(args.out, vectors)
    log.info("%s: %d function vectors of %d heads", args.name, len(vectors), args.top)


if __name__ == "__main__":
    run_command(main)
