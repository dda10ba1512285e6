"""Read task vectors, ask queries in context, and ask them with a vector patched in."""

from collections.abc import Sequence

from taskvectors.api.given import count_of, layer_of, pairs_of, strength_of, text_of
from taskvectors.api.model import Model, Shown
from taskvectors.api.replies import ModelReply
from taskvectors.api.vectors import LAST_TOKEN, About, TaskVector, check_fits
from taskvectors.base.errors import UserError
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.generate import first_line, generate
from taskvectors.engine.trees import whole
from taskvectors.jobs.instructed import read_instruction
from taskvectors.models.base import Encoded
from taskvectors.study.prompts import EXEMPLAR, QUERY, ImageInput, Prompt, Text
from taskvectors.study.vectors import EXEMPLAR_SITE, INSTRUCTION

Exemplars = Sequence[tuple[Shown, str]]  # inputs and outputs


def read(
    model: Model,
    exemplars: Exemplars = (),
    *,
    instruction: str = "",
    licence: str | None = None,
) -> TaskVector:
    """The task vector of one prompt: the residual stream after every layer, at the delimiter of the
    last of some exemplars, (input, output) each, or at the last token of an instruction.

    `average` makes one of several. ``licence`` is kept with the vector, for images of others.
    Raises `UserError` where there is neither, both, or exemplars of two modalities.

    >>> read(model, [("France", "Paris"), ("Japan", "Tokyo")])
    <text_icl vector of tiny: 3 layers, 1 prompt>
    >>> read(model, [(picture, "red")]).tensor.shape
    torch.Size([3, 32])
    """
    given = pairs_of(exemplars, "exemplars")
    if licence is not None:
        text_of(licence, "a licence")
    if bool(given) == bool(text_of(instruction, "an instruction")):
        raise UserError("a vector is read from exemplars or from an instruction; give one of them.")
    adapter = model.adapter
    if instruction:
        (tensor,) = read_instruction(adapter, instruction).float()
        specification, site = INSTRUCTION, LAST_TOKEN
    else:
        pairs = [(model.place(shown), output) for shown, output in given]
        specification, site = _specification(pairs), EXEMPLAR_SITE
        # Some models lay exemplars out in other tokens before an image: one asks after them.
        encoded = adapter.encode((*model.template.exemplars(pairs), *_asked_after(model, pairs)))
        read_at = encoded.marks[EXEMPLAR.name]
        (tensor,) = run(adapter, [whole(encoded)], [(0, read_at)])[0].float()
    about = About(
        model=model.name,
        revision=model.revision,
        site=site,
        template=model.template.name,
        specification=specification,
        prompts=1,
        dtype=str(adapter.dtype).removeprefix("torch."),
        licence=licence,
    )
    return TaskVector(tensor, about)


def _specification(pairs: Sequence[tuple[Text | ImageInput, str]]) -> str:
    kinds = {isinstance(shown, ImageInput) for shown, _ in pairs}
    if len(kinds) > 1:
        raise UserError("exemplars are texts or images, not both; read two vectors instead.")
    return "image_icl" if kinds.pop() else "text_icl"


def _asked_after(model: Model, pairs: Sequence[tuple[Text | ImageInput, str]]) -> Prompt:
    shown = pairs[-1][0]
    return model.template.query(shown) if model.adapter.image_text is not None else ()


def ask(
    model: Model,
    query: Shown,
    exemplars: Exemplars = (),
    *,
    instruction: str = "",
    tokens: int = 8,
) -> ModelReply:
    """A query after exemplars, after an instruction, or alone: prompting.

    ``tokens`` is how many are written at most; the reply ends where a line does.

    >>> ask(model, "Italy", [("France", "Paris")]).how
    'after 1 exemplar'
    """
    asked = model.place(query)
    parts: list[Prompt] = [model.template.query(asked)]
    how = "alone"
    pairs = [(model.place(shown), output) for shown, output in pairs_of(exemplars, "exemplars")]
    if pairs:
        parts.insert(0, model.template.exemplars(pairs))
        how = f"after {len(pairs)} exemplar{'s' if len(pairs) > 1 else ''}"
    if text_of(instruction, "an instruction"):
        parts.insert(0, (Text(instruction + model.template.end),))
        how = "after an instruction" + (f", {how}" if pairs else "")
    encoded = model.adapter.encode(tuple(segment for part in parts for segment in part))
    return _reply(model, asked, encoded, how, tokens)


def patch(
    model: Model,
    query: Shown,
    vector: TaskVector,
    layer: int,
    *,
    strength: float | None = None,
    tokens: int = 8,
) -> ModelReply:
    """A query alone, whose delimiter's residual stream after ``layer`` is the vector's; with a
    ``strength`` the vector is added so many times instead.

    Raises `UserError` where the vector does not fit the model, or there is no such layer.

    >>> vector = read(model, [("France", "Paris"), ("Japan", "Tokyo")])
    >>> patch(model, "Italy", vector, layer=1).how
    'patched after layer 1'
    """
    check_fits(vector, model)
    layer = layer_of(layer, model.layers, f"{model.name} has")
    asked = model.place(query)
    encoded = model.adapter.encode(model.template.query(asked))
    strength = strength_of(strength)
    times = 1.0 if strength is None else strength
    added = strength is not None
    here = Patch(0, encoded.marks[QUERY.name], layer, times * vector.tensor[layer], added)
    how = f"added {times:g} times after layer {layer}" if added else f"patched after layer {layer}"
    return _reply(model, asked, encoded, how, tokens, here)


def _reply(
    model: Model,
    asked: Text | ImageInput,
    encoded: Encoded,
    how: str,
    tokens: int,
    here: Patch | None = None,
) -> ModelReply:
    """What is written after a prompt, with one patch at its delimiter or none."""
    tokens = count_of(tokens, "the number of tokens")
    adapter = model.adapter
    at = encoded.marks[QUERY.name]
    patches = [here] if here else []
    _, (first,) = run(adapter, [whole(encoded)], patches=patches, answers=[(0, at)])
    (ids,) = generate(
        adapter,
        [encoded],
        tokens,
        here.vector if here else None,
        here.layer if here else None,
        added=bool(here and here.added),
        one_line=True,
    )
    text = first_line(adapter.tokenizer.decode(ids))
    token = adapter.tokenizer.decode([first.token_id])
    return ModelReply(asked, how, text, token, first.logit_difference)
