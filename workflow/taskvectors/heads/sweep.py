"""``python -m taskvectors.heads.sweep``: vectors added to the queries of the validation split,
after every layer with every strength.

A function vector is added to the residual stream at the query's delimiter (Todd et al., 2024), and
so is an ordinary task vector here (``inject``). The vectors are text ICL's of the first seed: they
are what layer and strength are chosen by.
"""

import logging
from dataclasses import asdict
from pathlib import Path

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.heads.trials import Trial, Vectors, read_task_vectors, try_out
from taskvectors.jobs.arguments import (
    Context,
    add_model,
    add_template,
    load_model,
    load_template,
)
from taskvectors.jobs.queries import seen_queries
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import read_items
from taskvectors.study.heads import FUNCTION, INJECT, Injection, write_injections
from taskvectors.study.vectors import parse_vector_name, vector_name

log = logging.getLogger("taskvectors")


def choosing(vectors: Vectors) -> Vectors:
    """Text ICL's vector of the least seed."""
    seeds = [seed for name in vectors if (seed := parse_vector_name(name)[1]) is not None]
    name = vector_name("text_icl", min(seeds))
    return {name: vectors[name]}


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/validation.jsonl")
    parser.add_argument("--vectors", required=True, type=Path, help="the task's own")
    parser.add_argument("--function-vectors", required=True, type=Path, help="of all tasks")
    parser.add_argument("--strengths", required=True, type=float, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    vectors = read_task_vectors(adapter, args.task, args.vectors, args.function_vectors)
    queries = seen_queries(adapter, context.template, read_items(args.items))
    layers = range(len(adapter.layers))
    trials = [
        Trial(way, choosing(made), layers, args.strengths)
        for way, made in ((FUNCTION, vectors.functions), (INJECT, vectors.averaged))
    ]
    injections = [
        Injection(**asdict(one), strength=strength)
        for one, strength in try_out(adapter, context, queries, trials, vectors.before_text)
        if strength is not None
    ]
    write_injections(args.out, injections)
    report_answers([one.forced_boundary for one in injections])
    log.info("%s %s: %d injections", args.name, args.task, len(injections))


if __name__ == "__main__":
    run_command(main)
