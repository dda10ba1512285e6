"""A command's input files by name, so that it reads only what its rule declares."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from taskvectors.base.errors import UserError


@dataclass(frozen=True)
class NamedInputs:
    """Files by name. Where a name has several, they are in the order in which a rule expands
    them: model by model, and for each model task by task."""

    models: list[str]
    tasks: list[str]
    inputs: dict[str, list[Path]]

    def one(self, name: str) -> Path:
        """The one file of a name."""
        return self.by(name, [""])[("",)]

    def by_model(self, name: str) -> dict[str, Path]:
        """A file per model."""
        return {model: path for (model,), path in self.by(name, self.models).items()}

    def by_model_and_task(self, name: str) -> dict[tuple[str, ...], Path]:
        """A file per (model, task)."""
        return self.by(name, self.models, self.tasks)

    def of_model(self, name: str, model: str) -> list[Path]:
        """One model's files, a task each, in the order of the tasks."""
        found = self.by_model_and_task(name)
        return [found[model, task] for task in self.tasks]

    def by(self, name: str, *axes: Sequence[str]) -> dict[tuple[str, ...], Path]:
        """A file per combination of the axes. Raises `UserError` where there are not as many."""
        keys, paths = list(product(*axes)), self.inputs.get(name, [])
        if len(keys) != len(paths):
            raise UserError(
                f"the input {name} has {len(paths)} files where {len(keys)} are needed; "
                f"give them all after `--input {name}`."
            )
        return dict(zip(keys, paths, strict=True))


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """The options that `NamedInputs` are made from."""
    parser.add_argument("--models", required=True, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        nargs="+",
        metavar=("NAME", "PATH"),
        help="an input's name and its files; once for every name",
    )


def input_options(inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """The words of a command line that give inputs by their names."""
    return [word for name, paths in inputs.items() for word in ("--input", name, *paths)]


def inputs_by_name(args: argparse.Namespace) -> dict[str, list[Path]]:
    """What ``--input`` gave."""
    return {name: [Path(path) for path in paths] for name, *paths in args.input}
