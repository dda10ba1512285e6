"""Greedy generation of several tokens with a patch held on the delimiter.

The prompt goes through the decoder once and leaves its keys and values, the patched
delimiter's among them, so that what is written after it sees the patch throughout; the
paper's code runs and patches the whole prompt anew for every token, to the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from taskvectors.engine.forward import (
    Patch,
    additive_mask,
    layer_hooks,
    patches_by_layer,
    read_answers,
    with_patches,
)
from taskvectors.engine.trees import batch_rows, whole
from taskvectors.models.base import Adapter, Encoded


def generate(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    tokens: int,
    vector: Tensor | None = None,
    layer: int | None = None,
) -> list[list[int]]:
    """Up to ``tokens`` greedy token ids for each prompt, ending before an end-of-text token.

    With ``vector`` (width,) and ``layer``, that layer's block output at each prompt's last
    token is replaced by the vector throughout.
    """
    if (vector is None) != (layer is None):
        raise ValueError("a patch needs both a vector and a layer")
    return [_written(adapter, prompt, tokens, vector, layer) for prompt in prompts]


@torch.inference_mode()
def _written(
    adapter: Adapter, prompt: Encoded, tokens: int, vector: Tensor | None, layer: int | None
) -> list[int]:
    batch = batch_rows([whole(prompt)], adapter.pad_id)
    cache = DynamicCache(config=adapter.decoder.config)
    patches = []
    if vector is not None and layer is not None:
        patches = [Patch(0, len(prompt.ids) - 1, layer, vector)]
    embeddings = adapter.embed(batch.ids, batch.pictures)
    mask = additive_mask(batch.mask, embeddings.dtype).to(adapter.device)
    written: list[int] = []
    token = _next(adapter, embeddings, batch.positions, mask, cache, patches)
    while token not in adapter.end_ids and len(written) < tokens:
        written.append(token)
        if len(written) < tokens:
            embeddings = adapter.embed(torch.tensor([[token]]), ())
            positions = prompt.positions[:, None, -1:] + len(written)
            token = _next(adapter, embeddings, positions, None, cache, [])
    return written


def _next(
    adapter: Adapter,
    embeddings: Tensor,
    positions: Tensor,
    mask: Tensor | None,
    cache: Cache,
    patches: Sequence[Patch],
) -> int:
    """The likeliest token after the last of ``embeddings``, which the cache takes in."""
    by_layer = patches_by_layer(patches, adapter)
    final: list[Tensor] = []

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        patched = with_patches(hidden, by_layer.get(layer))
        if layer == len(adapter.layers) - 1:
            final.append((hidden if patched is None else patched)[:, -1])
        return patched

    with layer_hooks(adapter, visit):
        adapter.decode(embeddings, positions.to(adapter.device), mask, cache)
    return read_answers(adapter.logits(final[0]))[0].token_id
