"""The sweep for decoders that take no branches: one pass per prompt, then one token per patch.

All but the last token of a prompt go through the decoder once and leave their keys and
values; copies of the last token follow, one row per (vector, layer) pair, each patched at its
layer. No 4-D mask is needed for them, since a single last token sees all that is before it.
"""

import copy
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from taskvectors.engine.forward import (
    Answer,
    Patch,
    decode_rows,
    layer_hooks,
    patches_by_layer,
    read_answers,
    with_patches,
)
from taskvectors.engine.memory import within_memory
from taskvectors.engine.sweep import Site, patches_named
from taskvectors.engine.trees import Row, cut
from taskvectors.models.base import Adapter, Encoded


def cached_sweep(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    tokens_per_pass: int,
) -> Iterator[list[tuple[int, Site, Answer]]]:
    """Answer every prompt at every site; arguments and results are `sweep`'s."""
    for number, prompt in enumerate(prompts):
        cache = prefilled(adapter, prompt)
        per_pass = max(1, tokens_per_pass // len(prompt.ids))
        for first in range(0, len(sites), per_pass):
            chunk = sites[first : first + per_pass]
            answers = within_memory(chunk, partial(last_token, adapter, prompt, cache, vectors))
            yield [(number, site, answer) for site, answer in zip(chunk, answers, strict=True)]


@torch.inference_mode()
def prefilled(adapter: Adapter, prompt: Encoded) -> Cache:
    """Keys and values of all tokens of ``prompt`` but the last."""
    cache = DynamicCache(config=adapter.decoder.config)
    if len(prompt.ids) > 1:
        trunk, _ = cut(prompt, len(prompt.ids) - 1)
        decode_rows(adapter, [Row(trunk)], cache)
    return cache


def last_token(
    adapter: Adapter,
    prompt: Encoded,
    cache: Cache,
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
) -> list[Answer]:
    """The answers of the last token after ``cache``, a row per site, patched there."""
    ends = cached_ends(adapter, prompt, cache, vectors, sites)
    return read_answers(adapter, ends, patches_named(adapter, [prompt], vectors, sites))


def cached_ends(
    adapter: Adapter,
    prompt: Encoded,
    cache: Cache,
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
) -> Tensor:
    """The last residual streams (sites, width) of the last token after ``cache``."""
    patches = [
        Patch(row, 0, site.layer, site.vector(vectors), site.added)
        for row, site in enumerate(sites)
    ]
    return last_of_rows(adapter, prompt, copies(cache, len(sites)), len(sites), patches)


def last_of_rows(
    adapter: Adapter, prompt: Encoded, cache: Cache, rows: int, patches: Sequence[Patch] = ()
) -> Tensor:
    """The last residual streams (rows, width) of as many copies of a prompt's last token, which
    come after the ``cache`` of those rows, which takes them in."""
    ids = torch.tensor([prompt.ids[-1:]]).repeat(rows, 1)
    positions = prompt.positions[:, None, -1:].repeat(1, rows, 1)
    return one_token(adapter, ids, positions, cache, patches)


def copies(cache: Cache, rows: int) -> Cache:
    """What a prompt's one row left, for so many rows: a cache grows as it is used."""
    repeated = copy.deepcopy(cache)
    # All kinds of cache layers can do this, those of recurrent layers, too.
    repeated.reorder_cache(torch.LongTensor([0] * rows))
    return repeated


@torch.inference_mode()
def one_token(
    adapter: Adapter, ids: Tensor, positions: Tensor, cache: Cache, patches: Sequence[Patch]
) -> Tensor:
    """The last residual streams (rows, width) of one more token a row, which the cache takes in.

    ids (rows, 1), positions (axes, rows, 1); no token is an image's.
    """
    by_layer = patches_by_layer(patches, adapter)
    final: list[Tensor] = []

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        patched = with_patches(hidden, by_layer.get(layer))
        if layer == len(adapter.layers) - 1:
            final.append((hidden if patched is None else patched)[:, 0])
        return patched

    embedded = adapter.embed(ids, ())
    with layer_hooks(adapter, visit):
        adapter.decode(embedded, positions, None, cache)
    return final[0]
