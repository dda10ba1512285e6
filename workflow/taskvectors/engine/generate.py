"""Greedy generation of several tokens with a patch held on the delimiter.

The patch is made anew in every pass at the delimiter's own index, which is what a cached
patched delimiter amounts to; as in the paper's code, nothing is cached between steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from taskvectors.engine.forward import Patch, run
from taskvectors.engine.trees import Row, Span
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
    written: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    for _ in range(tokens):
        rows = [_continued(prompts[number], written[number]) for number in going]
        patches = []
        if vector is not None and layer is not None:
            patches = [
                Patch(row, len(prompts[number].ids) - 1, layer, vector)
                for row, number in enumerate(going)
            ]
        ends = [(row, len(one) - 1) for row, one in enumerate(rows)]
        _, answers = run(adapter, rows, patches=patches, answers=ends)
        still = []
        for number, answer in zip(going, answers, strict=True):
            if answer.token_id not in adapter.end_ids:
                written[number].append(answer.token_id)
                still.append(number)
        going = still
        if not going:
            break
    return written


def _continued(prompt: Encoded, written: list[int]) -> Row:
    """The prompt with the tokens written so far, at the positions that follow its own."""
    after = prompt.positions[:, -1:] + torch.arange(1, len(written) + 1)
    positions = torch.cat([prompt.positions, after], dim=1)
    return Row(Span([*prompt.ids, *written], positions, prompt.pictures))
