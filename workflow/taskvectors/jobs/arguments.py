"""The arguments that jobs with a model share, and what they load: the model, the template."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.load import load_adapter
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted, prompt_notes
from taskvectors.models.checkpoint import revision_of, stored_tensors
from taskvectors.models.fit import left_unused
from taskvectors.models.weights import DTYPES
from taskvectors.record.loaded import LoadedModel, report_loaded, report_template
from taskvectors.study.prompts import Template, find_template


@dataclass(frozen=True)
class Context:
    """What all answers of a job have in common; ``model`` is its name in predictions."""

    model: str
    template: Template
    task: str


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, as `load_model` reads it."""
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--name", required=True, help="the model's name in predictions")
    parser.add_argument("--dtype", required=True, choices=sorted(DTYPES))


def add_template(parser: argparse.ArgumentParser) -> None:
    """Which template, as `load_template` reads it."""
    parser.add_argument("--templates", required=True, type=Path, help="resources/templates.yaml")
    parser.add_argument("--template", required=True)


def load_model(args: argparse.Namespace) -> Adapter:
    """The job's model, reported to the records of its outputs."""
    adapter = load_adapter(args.model, args.name, args.dtype)
    report_loaded(as_loaded(adapter, args.model, args.dtype), str(adapter.device))
    return adapter


def load_template(args: argparse.Namespace, adapter: Adapter) -> Template:
    """The job's template, with the model's own chat pieces where it has none itself."""
    return fit_template(args.templates, args.template, adapter)


def fit_template(path: Path, name: str, adapter: Adapter) -> Template:
    """The template called ``name``, fitted to the model and reported to the records."""
    template = fitted(find_template(path, name), adapter)
    report_template(asdict(template))
    return template


def as_loaded(adapter: Adapter, folder: Path, dtype: str) -> LoadedModel:
    """What the records say of a loaded model."""
    unused = left_unused(adapter.model, stored_tensors(folder))
    return LoadedModel(
        name=adapter.name,
        revision=revision_of(folder),
        dtype=str(adapter.dtype).removeprefix("torch."),
        quantisation="nf4" if dtype == "nf4" else None,
        image_backend=adapter.image_backend,
        notes=[
            *adapter.notes(folder),
            *prompt_notes(adapter),
            *([f"Tensors left unused: {', '.join(unused)}."] if unused else []),
            *([adapter.checked] if adapter.checked else []),
        ],
    )


def load_vectors(adapter: Adapter, path: Path) -> dict[str, Tensor]:
    """The vectors (layers, width) in a file, by name. Raises `UserError` as `check_vectors`."""
    vectors = read_tensors(path)
    check_vectors(adapter, vectors, path)
    return vectors


def check_vectors(adapter: Adapter, vectors: dict[str, Tensor], path: Path) -> None:
    """Raise `UserError` with both shapes where vectors do not fit the model."""
    expected = (len(adapter.layers), adapter.width)
    for name, vector in vectors.items():
        if tuple(vector.shape) != expected:
            raise UserError(
                f"{path}: the vector {name} has shape {tuple(vector.shape)}, but "
                f"{adapter.name} has (layers, width) = {expected}; patch vectors of the same shape."
            )
