"""Function vectors of your own prompts: the heads that carry them, summed, and added to queries."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.progress import track
from taskvectors.demo.prompts import AskedLine, PromptLine, shown, specifying
from taskvectors.engine.forward import run
from taskvectors.engine.heads import function_vector, head_effects, read_heads
from taskvectors.engine.patching import TOKENS_PER_PASS, patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import packed, whole
from taskvectors.models.base import Adapter
from taskvectors.models.judged import encode_query
from taskvectors.study.heads import shuffled
from taskvectors.study.prompts import Template


@dataclass(frozen=True)
class FunctionVectors:
    """``vectors`` (width,) by name, and the ``heads`` that they sum, the strongest first: layer,
    head, and the mean rise of the right answer's probability."""

    vectors: dict[str, Tensor]
    heads: list[dict[str, Any]]

    def by_layer(self, layers: int) -> dict[str, Tensor]:
        """The vectors (layers, width), the same for each layer."""
        return {name: vector.expand(layers, -1) for name, vector in self.vectors.items()}


def mean_outputs(adapter: Adapter, lines: Sequence[PromptLine]) -> dict[str, Tensor]:
    """The heads' mean outputs (layers, heads, head width) where vectors are read, by name."""
    prompts, ends = specifying(adapter, lines)
    found: dict[str, list[Tensor]] = {}
    for group in packed(prompts, [len(prompt.ids) for prompt in prompts], TOKENS_PER_PASS):
        places = [(row, ends[number]) for row, number in enumerate(group)]
        with read_heads(adapter, places) as heads:
            # Residual streams are read, too, so that heads that leave no number are noticed.
            run(adapter, [whole(prompts[number]) for number in group], places)
        for number, outputs in zip(group, heads.on_host(), strict=True):
            found.setdefault(lines[number].vector, []).append(outputs.float())
    return {name: torch.stack(outputs).mean(0) for name, outputs in found.items()}


def find_functions(
    adapter: Adapter, template: Template, lines: Sequence[PromptLine], count: int
) -> FunctionVectors:
    """Function vectors of the ``count`` heads with the largest mean effect over all lines.

    Raises `UserError` where no line has exemplars whose outputs can be shuffled, or the model has
    fewer heads.
    """
    exemplified = [line for line in lines if line.exemplars]
    mixed = [line for line in exemplified if len({output for _, output in line.exemplars}) > 1]
    heads = len(adapter.layers) * adapter.heads.count
    if not mixed:
        raise UserError(
            "--heads: no line has exemplars with different outputs, which could be shuffled; "
            "give at least two such exemplars in a line."
        )
    if not 0 < count <= heads:
        raise UserError(
            f"--heads: {adapter.name} has {heads} heads, so that {count} cannot be had."
        )
    means = mean_outputs(adapter, exemplified)
    effects = []
    for line in track(mixed, len(mixed), f"mediate {adapter.name}"):
        labels = shuffled([output for _, output in line.exemplars], random.Random(line.id))
        pairs = [(asked, label) for (asked, _), label in zip(line.exemplars, labels, strict=True)]
        prompt = (*template.exemplars(pairs), *line.query)
        encoded, label = encode_query(adapter, prompt, template, line.label)
        before, after = head_effects(adapter, encoded, means[line.vector], label, TOKENS_PER_PASS)
        effects.append(after - before)
    mean = torch.stack(effects).mean(0)
    best = mean.flatten().topk(count)
    chosen = [divmod(int(number), adapter.heads.count) for number in best.indices]
    return FunctionVectors(
        {name: function_vector(adapter, outputs, chosen) for name, outputs in means.items()},
        [
            {"layer": layer, "head": head, "effect": effect}
            for (layer, head), effect in zip(chosen, best.values.tolist(), strict=True)
        ],
    )


def function_answers(
    adapter: Adapter,
    queries: Sequence[AskedLine],
    functions: FunctionVectors,
    layers: Sequence[int],
    strengths: Sequence[float],
) -> list[dict[str, Any]]:
    """For each line, by layer and strength, the answer with its own function vector added; a line
    with an instruction has none."""
    vectors = functions.by_layer(len(adapter.layers))
    found: list[dict[str, Any]] = [{} for _ in queries]
    for name in vectors:
        own = [number for number, asked in enumerate(queries) if asked.line.vector == name]
        prompts = [queries[number].encoded for number in own]
        sites = [Site(name, layer, strength) for layer in layers for strength in strengths]
        for batch in patched_answers(adapter, prompts, vectors, sites):
            for number, site, given in batch:
                by_strength = found[own[number]].setdefault(str(site.layer), {})
                strength = f"{site.strength:g}"
                by_strength[strength] = shown(adapter, queries[own[number]], given)
    return found
