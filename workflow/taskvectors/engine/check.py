"""A model that no contract test holds is held to its own forward pass, and to the naive loop, as it
loads.

The generic adapters take any architecture of the usual shape. One that is not of it, with positions
or logits of its own, attention by a token's index (ALiBi, local windows) or layers with a memory,
would otherwise give wrong numbers without a word: its plain pass may be right and its sweep wrong.
"""

import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.engine.cached import cached_ends, prefilled
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.sweep import Site, swept_ends, writes_by_layer
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.features import FAILURES
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.registry import turning_length
from taskvectors.study.prompts import QUERY, ImageInput, Text

log = logging.getLogger("taskvectors")
QUESTION, ANSWER = "Q:", "\nA:"
SIDES = (224, 160)
# Half precision rounds differently in two passes; a missing scale or position does far more.
TOLERANCE = 0.05
# In full precision a batch differs by rounding only.
EXACT = 0.005
# A query of that many words; and, where length makes a difference, of so many tokens that it does.
WORD, WORDS = "France ", 20
# No prompt of a study is longer, so that what changes behind it need not be tried.
LONGEST = 8192
# Branches of a checked sweep, at least: as many as put the last far behind its prompt.
BRANCHES = 256
ADAPTER = "needs an adapter of its own in workflow/taskvectors/models"


def check_model(adapter: Adapter, about: str) -> str:
    """What was checked of a model of which no contract test holds what ``about`` says, and how it
    is swept.

    Where its decoder cannot hold branches, it is swept with cached keys and values. Raises
    `UserError` where it cannot be run, the adapter's logits are not the model's own, a batch
    answers otherwise than its prompts alone, or no sweep answers as one pass per patch does.
    """
    with example_image() as image:
        try:
            queries = _checked_queries(adapter, about, image)
        except FAILURES as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{adapter.name} cannot be run here ({reason}); {about} {ADAPTER}."
            ) from error
        sweep = _checked_sweep(adapter, about, queries)
        adapter.features.pop(str(image))
    return (
        f"No contract test holds {about} with these versions; checked on loading: its own forward "
        f"pass, a batch, and the {sweep} sweep against one pass per patch."
    )


def _checked_queries(adapter: Adapter, about: str, image: Path) -> list[Encoded]:
    """Queries of different lengths, and of an image where the model takes any, which are in one
    batch what they are alone, and what they are in the model's own forward pass."""
    _refuse(adapter, about, *_of_text(adapter), "those of its own forward pass")
    queries = [_encoded(adapter, Text("Japan")), *_longer(adapter)]
    if type(adapter) is GenericAdapter:  # others' processors are known to the contract tests only
        _refuse(adapter, about, *_of_image(adapter, image), "those of its own forward pass")
    if adapter.image_text is not None:
        queries.append(_encoded(adapter, ImageInput(str(image))))
    ends = [(row, len(query.ids) - 1) for row, query in enumerate(queries)]
    together, _ = run(adapter, [whole(query) for query in queries], ends)
    alone = torch.stack([_plain(adapter, query) for query in queries])
    ours = _logits(adapter, together[:, -1])
    exact = EXACT if adapter.dtype == torch.float32 else TOLERANCE
    _refuse(adapter, about, ours, alone, "those of the same prompt outside a batch", exact)
    return queries


@contextmanager
def example_image() -> Iterator[Path]:
    """A ramp of greys on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ramp.png"
        Image.linear_gradient("L").resize(SIDES).convert("RGB").save(path)
        yield path


def _longer(adapter: Adapter) -> list[Encoded]:
    """A query of some words, and, where length makes a difference, one not quite so long and one
    that is much longer."""
    some = _encoded(adapter, Text(WORD * WORDS))
    turning = turning_length(adapter.model.config, LONGEST)
    if not turning:
        return [some]
    a_word = (len(some.ids) - len(_encoded(adapter, Text(WORD)).ids)) / (WORDS - 1)
    counts = [int(share * turning / a_word) for share in (0.8, 2)]
    return [some, *(_encoded(adapter, Text(WORD * max(count, 1))) for count in counts)]


def _refuse(
    adapter: Adapter,
    about: str,
    ours: Tensor,
    right: Tensor,
    what: str,
    tolerance: float = TOLERANCE,
) -> None:
    error = _error(ours, right)
    if not error < tolerance:
        raise UserError(
            f"the logits computed for {adapter.name} are {error:.1%} off {what}; {about} {ADAPTER}."
        )


def _error(ours: Tensor, right: Tensor) -> float:
    """The largest relative error of logits (..., vocabulary)."""
    return float(((ours - right).norm(dim=-1) / right.norm(dim=-1)).max())


def _checked_sweep(adapter: Adapter, about: str, queries: list[Encoded]) -> str:
    """The sweep that answers as one pass per patch does: one-pass, or else cached; the adapter is
    told."""
    layers = len(adapter.layers)
    generator = torch.Generator().manual_seed(0)
    scale = _residuals(adapter, queries[0]).float().norm(dim=-1, keepdim=True)
    direction = torch.randn(layers, adapter.width, generator=generator)
    vectors = {"0": scale * direction / direction.norm(dim=-1, keepdim=True)}
    right = [_naive(adapter, query, vectors) for query in queries]

    def wrong(ends_of: Callable[[Encoded], Tensor]) -> float:
        try:
            found = [_logits(adapter, ends_of(query)) for query in queries]
        except FAILURES as error:
            log.debug("%s cannot be swept so: %s", adapter.name, error)
            return math.inf
        return max(_error(ours, own) for ours, own in zip(found, right, strict=True))

    def one_pass(query: Encoded) -> Tensor:
        copies = -(-BRANCHES // layers)
        sites = [Site("0", layer) for layer in range(layers) for _ in range(copies)]
        writes = writes_by_layer(adapter, vectors, sites)
        return swept_ends(adapter, [query], writes, sites)[0, copies - 1 :: copies]

    def cached(query: Encoded) -> Tensor:
        sites = [Site("0", layer) for layer in range(layers)]
        return cached_ends(adapter, query, prefilled(adapter, query), vectors, sites)

    ways = (True, False) if adapter.growing else (False,)
    for growing in ways if adapter.branching else ():
        adapter.growing = growing
        if wrong(one_pass) < TOLERANCE:
            return "one-pass"
    adapter.branching = False
    if not wrong(cached) < TOLERANCE:
        raise UserError(
            f"no sweep of {adapter.name} answers as one pass per patch does; {about} {ADAPTER}."
        )
    log.warning(
        "%s cannot hold branches in one pass; it is swept with cached keys and values, which takes "
        "longer", adapter.name,
    )  # fmt: skip
    return "cached"


def _naive(adapter: Adapter, query: Encoded, vectors: dict[str, Tensor]) -> Tensor:
    """Logits (layers, vocabulary) with the vector patched after each layer, one pass each."""
    at = len(query.ids) - 1
    ends = []
    for layer, vector in enumerate(vectors["0"]):
        read, _ = run(adapter, [whole(query)], [(0, at)], [Patch(0, at, layer, vector)])
        ends.append(read[0, -1])
    return _logits(adapter, torch.stack(ends))


def _encoded(adapter: Adapter, asked: Text | ImageInput) -> Encoded:
    return adapter.encode((Text(QUESTION), asked, Text(ANSWER), QUERY))


def _residuals(adapter: Adapter, encoded: Encoded) -> Tensor:
    """Residual streams (layers, width) at the last token."""
    return run(adapter, [whole(encoded)], [(0, len(encoded.ids) - 1)])[0][0]


def _plain(adapter: Adapter, encoded: Encoded) -> Tensor:
    return _logits(adapter, _residuals(adapter, encoded)[-1])


@torch.inference_mode()
def _logits(adapter: Adapter, residuals: Tensor) -> Tensor:
    return adapter.logits(residuals.to(adapter.device)).float()


@torch.inference_mode()
def _of_text(adapter: Adapter) -> tuple[Tensor, Tensor]:
    text = f"{QUESTION}Japan{ANSWER}"
    inputs = adapter.tokenizer(text, return_tensors="pt").to(adapter.device)
    own = adapter.model(input_ids=inputs["input_ids"]).logits[0, -1].float()
    return _plain(adapter, adapter.encode((Text(text), QUERY))), own


@torch.inference_mode()
def _of_image(adapter: GenericAdapter, path: Path) -> tuple[Tensor, Tensor]:
    inputs = adapter.processor(
        text=[f"{QUESTION}{adapter.framed(str(adapter.image_text))}{ANSWER}"],
        images=[Image.open(path)],
        return_tensors="pt",
    ).to(adapter.device, adapter.dtype)
    own = adapter.model(**inputs).logits[0, -1].float()
    return _plain(adapter, _encoded(adapter, ImageInput(str(path)))), own
