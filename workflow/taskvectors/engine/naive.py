"""The reference: one full forward pass per prompt, vector and layer, as the paper's code runs, or
per head.

Slow on purpose and simple enough to trust; tests and benchmarks hold `sweep` and `head_effects` to
it.
"""

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor

from taskvectors.engine.forward import Answer, Patch, run
from taskvectors.engine.heads import Head, head_hooks, plain_probability
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import continued, whole
from taskvectors.models.base import Adapter, Encoded


def naive_sweep(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
) -> list[tuple[int, Site, Answer]]:
    """Answer every prompt at every site, one pass each; vectors are (layers, width)."""
    results = []
    for number, prompt in enumerate(prompts):
        last = len(prompt.ids) - 1
        for site in sites:
            patch = Patch(0, last, site.layer, site.vector(vectors), site.added)
            _, answers = run(adapter, [whole(prompt)], patches=[patch], answers=[(0, last)])
            results.append((number, site, answers[0]))
    return results


def naive_effects(
    adapter: Adapter, prompt: Encoded, outputs: Tensor, answer: Sequence[int]
) -> tuple[float, Tensor]:
    """What `taskvectors.engine.heads.head_effects` finds, one pass per head."""
    every = product(range(len(adapter.layers)), range(adapter.heads.count))
    after = [naive_probability(adapter, prompt, outputs, answer, head) for head in every]
    before = plain_probability(adapter, prompt, answer)
    return before, torch.tensor(after).reshape(outputs.shape[:2])


def naive_probability(
    adapter: Adapter, prompt: Encoded, outputs: Tensor, answer: Sequence[int], head: Head
) -> float:
    """The probability of an ``answer`` with one head's output at the last token of ``prompt``
    replaced."""
    last, each = len(prompt.ids) - 1, []

    def replace(layer: int, seen: Tensor) -> Tensor | None:
        if layer != head[0]:
            return None
        changed = seen.clone()
        changed[0, last, head[1]] = outputs[head].to(seen)
        return changed

    for number, token in enumerate(answer):
        with head_hooks(adapter, replace):
            each.append(plain_probability(adapter, continued(prompt, answer[:number]), [token]))
    return prod(each)
