"""The reference: one full forward pass per prompt, vector and layer, as the paper's code runs.

Slow on purpose and simple enough to trust; tests and benchmarks hold `sweep` to it.
"""

from collections.abc import Sequence

from torch import Tensor

from taskvectors.engine.forward import Answer, Patch, run
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
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
            patch = Patch(0, last, site.layer, vectors[site.name][site.layer])
            _, answers = run(adapter, [whole(prompt)], patches=[patch], answers=[(0, last)])
            results.append((number, site, answers[0]))
    return results
