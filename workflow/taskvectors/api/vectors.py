"""Task vectors with what they are of; averaged, saved, and opened again."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import torch
from gguf import GGUFWriter
from torch import Tensor

from taskvectors.api.given import is_whole, listed
from taskvectors.api.model import Model
from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole
from taskvectors.base.strict_json import parse_json
from taskvectors.base.tensors import check_finite, read_metadata, read_tensors, write_tensors

log = logging.getLogger("taskvectors")
NAME = "vector"  # of the tensor in a file
FORMAT = "taskvectors/1"
LAST_TOKEN = "last token"  # the site of an instruction's vector


@dataclass(frozen=True)
class About:
    """What a vector is of: the ``model`` and the ``revision`` of its checkpoint; the ``site``, i.e.
    the token where it was read; ``template`` and ``specification`` (text_icl, image_icl,
    instruction, or several, joined by +); over how many ``prompts`` it is a mean; the dtype in
    which the model ran; a ``licence`` of the images, where one is known; the workflow's ``task``
    and the ``seed`` of its exemplars, where it is the workflow's."""

    model: str
    revision: str
    site: str
    template: str
    specification: str
    prompts: int
    dtype: str
    licence: str | None = None
    task: str | None = None
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class TaskVector:
    """A task in the residual stream: ``tensor`` (layers, width), float32; its first axis is the
    layer, 0-based, after which it was read. Raises `UserError` where it is not finite."""

    tensor: Tensor
    about: About

    def __post_init__(self) -> None:
        check_finite({f"of {self.about.model}": self.tensor}, "the vector", "read it in float32")

    @property
    def layers(self) -> int:
        return len(self.tensor)

    def __repr__(self) -> str:
        about = self.about
        read = f"{about.prompts} prompt{'s' if about.prompts > 1 else ''}"
        return f"<{about.specification} vector of {about.model}: {self.layers} layers, {read}>"

    def _repr_html_(self) -> str:
        rows = {**asdict(self.about), "shape": tuple(self.tensor.shape)}
        cells = "".join(
            f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>"
            for key, value in rows.items()
            if value is not None
        )
        return f"<table>{cells}</table>"

    def save(self, path: str | Path) -> None:
        """Write it as safetensors, with what it is of as the file's metadata.

        Raises `UserError` where it cannot be written.
        """
        said = {"format": FORMAT, "version": version("taskvectors"), "layer_axis": "0"}
        said["about"] = json.dumps(asdict(self.about), sort_keys=True)
        write_tensors(Path(path), {NAME: self.tensor}, said)

    def save_gguf(self, path: str | Path, layer: int) -> None:
        """Write one layer's vector as GGUF, in the layout of llama.cpp's control vectors.

        llama.cpp adds such a vector to all tokens after that layer, times a scale that it is given;
        a patch takes the place of one token's. It knows no vector after the first layer. Raises
        `UserError` for that one and for layers that there are not.
        """
        if not is_whole(layer) or not 0 < layer < self.layers:
            raise UserError(
                f"a control vector is of one of the layers 1 to {self.layers - 1}, not {layer!r}."
            )
        with written_whole(Path(path)) as temporary:
            writer = GGUFWriter(temporary, "controlvector")
            writer.add_string("controlvector.model_hint", self.about.model)
            writer.add_uint32("controlvector.layer_count", 1)
            writer.add_tensor(f"direction.{layer}", self.tensor[layer].float().numpy())
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()


def open_vector(path: str | Path, model: Model | None = None) -> TaskVector:
    """A vector that `TaskVector.save` wrote, for ``model`` if one is given.

    Raises `UserError` where the file has none, one of no known revision, or one that does not fit
    the model, being of another shape or of a different model of the same name; one of another name
    is logged as a warning, since vectors go from a language model into the VLM that grew from it.

    >>> vector = read(model, instruction="The capital city of the country:")
    >>> vector.save(folder / "capital.safetensors")
    >>> open_vector(folder / "capital.safetensors", model)
    <instruction vector of tiny: 3 layers, 1 prompt>
    """
    if not isinstance(path, str | Path):
        raise UserError(f"a vector's file is {path!r}; give its path.")
    metadata, tensors = read_metadata(Path(path)), read_tensors(Path(path))
    tensor = tensors.get(NAME)
    if metadata.get("format") != FORMAT or tensor is None or tensor.ndim != 2:
        raise UserError(f"{path} holds no vector that was saved with `save`; save it again.")
    vector = TaskVector(tensor, _about(path, metadata.get("about", "")))
    if model is not None:
        check_fits(vector, model, str(path))
    return vector


def _about(path: str | Path, said: str) -> About:
    """What the file of a vector says of it. Raises `UserError` where that is not all or damaged."""
    try:
        about = About(**parse_json(said))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not say what its vector is of ({error}); save it again."
        ) from error
    if not about.revision:
        raise UserError(f"{path} does not say which {about.model} it was read in; read it again.")
    for field, kind in get_type_hints(About).items():
        value = getattr(about, field)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise UserError(f"{path}: the vector's {field} is none; save it again.")
    if about.prompts < 1:
        raise UserError(f"{path}: the vector is of {about.prompts} prompts; save it again.")
    return about


def check_vector(vector: Any) -> None:
    """Raise `UserError` where it is no vector, but e.g. a vector's tensor."""
    if not isinstance(vector, TaskVector):
        raise UserError(
            f"a {type(vector).__name__} is no task vector; give one that `read`, `average` or "
            "`open_vector` made."
        )


def check_fits(vector: TaskVector, model: Model, what: str = "the vector") -> None:
    """Raise `UserError` where a vector's shape is not the model's, or where it is of a different
    model of the same name; warn where it is of another."""
    check_vector(vector)
    shape, expected = tuple(vector.tensor.shape), (model.layers, model.width)
    if shape != expected:
        raise UserError(
            f"{what} has shape {shape}, but {model.name} has (layers, width) = {expected}; "
            "take a vector of the same shape."
        )
    theirs, ours = (vector.about.model, vector.about.revision), (model.name, model.revision)
    if theirs == ours:
        return
    if vector.about.model == model.name:
        raise UserError(
            f"{what} was read in another {model.name} (revision {vector.about.revision[:12]}, not "
            f"{model.revision[:12]}); take one of the same model, or "
            "give its folder another name before reading."
        )
    log.warning("%s was read in %s at %s, not in %s at %s", what, *theirs, *ours)


def average(vectors: Sequence[TaskVector]) -> TaskVector:
    """The mean of vectors, each as often as it had prompts; of several specifications, their plain
    mean, i.e. an ensemble.

    Raises `UserError` where there is none, or where they are of different models or shapes.

    >>> sets = [[("France", "Paris")], [("Japan", "Tokyo")]]
    >>> average([read(model, one) for one in sets])
    <text_icl vector of tiny: 3 layers, 2 prompts>
    """
    vectors = listed(vectors, "vectors")
    if not vectors:
        raise UserError("there is no vector to average; give at least one.")
    for one in vectors:
        check_vector(one)
    first = vectors[0]
    kinds = {(one.about.model, one.about.revision, tuple(one.tensor.shape)) for one in vectors}
    if len(kinds) > 1:
        models = ", ".join(sorted(f"{m} {shape} at {of[:12]}" for m, of, shape in kinds))
        raise UserError(f"vectors of {models} cannot be averaged; take those of one model.")
    by_kind: dict[str, list[TaskVector]] = {}
    for one in vectors:
        by_kind.setdefault(one.about.specification, []).append(one)
    means = [_mean_over_prompts(group) for group in by_kind.values()]
    about = replace(
        first.about,
        specification="+".join(by_kind),
        prompts=sum(one.about.prompts for one in vectors),
        site=_common({one.about.site for one in vectors}),
        template=_common({one.about.template for one in vectors}),
        licence=_common({one.about.licence for one in vectors if one.about.licence}) or None,
    )
    return TaskVector(torch.stack(means).mean(0), about)


def _mean_over_prompts(vectors: Sequence[TaskVector]) -> Tensor:
    total = sum(one.about.prompts for one in vectors)
    parts = [one.tensor * one.about.prompts / total for one in vectors]
    return torch.stack(parts).sum(0)


def _common(values: set[str]) -> str:
    return "+".join(sorted(values))
