"""How each peer is called, as its documentation has it: whoever knows better, say so.

All are given one language model and embedded or tokenised prompts of one length, and ask for
the logits of the last token only. None of the pages below keeps the keys and values of a query's
earlier tokens from one layer's patch to the next, though all peers would let a user do so by
hand; that is what the engine does for its user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from engine import TOKENS_PER_PASS
from torch import Tensor, nn
from transformers import AutoTokenizer, LlamaForCausalLM

from taskvectors.engine.forward import read_answers, run
from taskvectors.engine.heads import ends_with_heads
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded

SMOLLM2 = Path(__file__).resolve().parent.parent / "results/embedded/prepare/smollm2"
NNSIGHT_TOKENS = 1024  # to a trace: the fastest, over both settings, of 1, 1024 and 4096
LAST_LOGITS: dict[str, Any] = {"logits_to_keep": 1, "use_cache": False}


@dataclass(frozen=True)
class Work:
    """A model and what is asked of it: ``vectors`` (layers, width) to patch at the last token of
    ``queries``; ``prompts`` to read; ``values`` (layers, heads, head width) for the heads' outputs
    in the first query."""

    adapter: Adapter
    language_model: LlamaForCausalLM
    queries: Sequence[Encoded]
    prompts: Sequence[Encoded]
    vectors: Tensor
    values: Tensor

    def asked(self) -> tuple[dict[str, Any], ...]:
        """What the language model's forward pass takes: queries, prompts, the first query."""
        return tuple(map(self._inputs, (self.queries, self.prompts, self.queries[:1])))

    def _inputs(self, prompts: Sequence[Encoded]) -> dict[str, Any]:
        ids = torch.tensor([one.ids for one in prompts])
        images = [image for one in prompts for image in one.images]
        if images:
            return {"inputs_embeds": self.adapter.embed(ids, images).hidden} | LAST_LOGITS
        return {"input_ids": ids} | LAST_LOGITS


@dataclass(frozen=True)
class Calls:
    """One peer's way: answers (layers, queries), residual streams (prompts, layers, width),
    answers (layers, heads)."""

    patch: Callable[[], Tensor]
    read: Callable[[], Tensor]
    heads: Callable[[], Tensor]


def ours(work: Work) -> Calls:
    """taskvectors.engine: the sweep, a pass that reads, and all heads in one pass."""
    last = len(work.prompts[0].ids) - 1
    sites = [Site("vector", layer) for layer in range(len(work.vectors))]
    vectors = {"vector": work.vectors}

    def patch() -> Tensor:
        answers = torch.empty((len(sites), len(work.queries)), dtype=torch.long)
        for batch in sweep(work.adapter, work.queries, vectors, sites, TOKENS_PER_PASS):
            for number, site, answer in batch:
                answers[site.layer, number] = answer.token_id
        return answers

    def read() -> Tensor:
        rows = [whole(one) for one in work.prompts]
        return run(work.adapter, rows, [(row, last) for row in range(len(rows))])[0]

    def heads() -> Tensor:
        every = list(product(range(len(work.values)), range(work.values.shape[1])))
        ends = ends_with_heads(work.adapter, work.queries[0], work.values, every)
        answers = [answer.token_id for answer in read_answers(work.adapter, ends[1:], str)]
        return torch.tensor(answers).reshape(work.values.shape[:2])

    return Calls(patch, read, heads)


def plain_hooks(work: Work) -> Calls:
    """A forward pass a layer, all queries in it, with a hook that replaces what the layer puts
    out: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html"""
    model, layers = work.language_model, work.language_model.model.layers
    queries, prompts, one = work.asked()
    width = work.values.shape[-1]

    @contextmanager
    def hooked(handle: Any) -> Iterator[None]:
        try:
            yield
        finally:
            handle.remove()

    def patched(layer: int) -> Tensor:
        def replace(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            output[:, -1] = work.vectors[layer]

        with hooked(layers[layer].register_forward_hook(replace)):
            return answers_of(model(**queries).logits)

    def with_head(layer: int, head: int) -> Tensor:
        def replace(_module: nn.Module, inputs: tuple[Tensor]) -> None:
            inputs[0][:, -1, head * width : (head + 1) * width] = work.values[layer, head]

        with hooked(layers[layer].self_attn.o_proj.register_forward_pre_hook(replace)):
            return answers_of(model(**one).logits)

    def read() -> Tensor:
        read: list[Tensor] = []
        keep = [
            layer.register_forward_hook(
                lambda _module, _inputs, out: read.append(out[:, -1].clone())
            )
            for layer in layers
        ]
        model(**prompts)
        for handle in keep:
            handle.remove()
        return torch.stack(read, dim=1)

    return Calls(lambda: by_layer(work, patched), read, lambda: by_head(work, with_head))


def nnsight(work: Work) -> Calls:
    """An invoke a layer or head, as many to a trace as is fastest:
    https://github.com/ndif-team/nnsight/blob/main/docs/patterns/activation-patching.md
    https://github.com/ndif-team/nnsight/blob/main/docs/concepts/batching-and-invokers.md"""
    import nnsight
    from nnsight import TransformersModel

    tokenizer = AutoTokenizer.from_pretrained(SMOLLM2)
    model = TransformersModel(work.language_model, tokenizer=tokenizer, task="text-generation")
    layers, width = model.model.layers, work.values.shape[-1]
    queries, prompts, one = work.asked()

    def patch() -> Tensor:
        tokens = len(work.queries) * len(work.queries[0].ids)
        found = []
        for together in torch.arange(len(layers)).split(max(1, NNSIGHT_TOKENS // tokens)):
            with model.trace() as tracer:
                answers = nnsight.save([])
                for layer in together.tolist():
                    with tracer.invoke(queries):
                        layers[layer].output[:, -1] = work.vectors[layer]
                        answers.append(model.output.logits[:, -1].argmax(-1))
            found += answers
        return torch.stack(found)

    def read() -> Tensor:
        with model.trace(prompts):
            residuals = nnsight.save([layer.output[:, -1].clone() for layer in layers])
        return torch.stack(residuals, dim=1)

    def heads() -> Tensor:
        sites = torch.cartesian_prod(*(torch.arange(count) for count in work.values.shape[:2]))
        found = []
        for together in sites.split(max(1, NNSIGHT_TOKENS // len(work.queries[0].ids))):
            with model.trace() as tracer:
                answers = nnsight.save([])
                for layer, head in together.tolist():
                    with tracer.invoke(one):
                        output = layers[layer].self_attn.o_proj.input
                        output[:, -1, head * width : (head + 1) * width] = work.values[layer, head]
                        answers.append(model.output.logits[:, -1].argmax(-1))
            found += answers
        return torch.cat(found).reshape(work.values.shape[:2])

    return Calls(patch, read, heads)


def transformer_lens(work: Work) -> Calls:
    """TransformerBridge, a run with a hook a layer; it has eager attention always:
    https://github.com/TransformerLensOrg/TransformerLens/blob/main/docs/source/content/hook_system.md"""
    from transformer_lens.model_bridge import TransformerBridge

    model = TransformerBridge.boot_transformers(
        "llama", hf_model=work.language_model, device="cpu",
        tokenizer=AutoTokenizer.from_pretrained(SMOLLM2),
    )  # fmt: skip
    residuals = [f"blocks.{layer}.hook_out" for layer in range(len(work.vectors))]
    # The bridge takes token ids and embeddings alike as its input.
    queries, prompts, one = (next(iter(some.values())) for some in work.asked())

    def patched(layer: int) -> Tensor:
        def replace(residual: Tensor, hook: Any) -> Tensor:
            residual[:, -1] = work.vectors[layer]
            return residual

        hooks = [(residuals[layer], replace)]
        return answers_of(model.run_with_hooks(queries, fwd_hooks=hooks, **LAST_LOGITS))

    def with_head(layer: int, head: int) -> Tensor:
        def replace(heads: Tensor, hook: Any) -> Tensor:
            heads[:, -1, head] = work.values[layer, head]
            return heads

        hooks = [(f"blocks.{layer}.attn.hook_z", replace)]
        return answers_of(model.run_with_hooks(one, fwd_hooks=hooks, **LAST_LOGITS))

    def read() -> Tensor:
        _, cache = model.run_with_cache(
            prompts, names_filter=residuals, pos_slice=-1, **LAST_LOGITS
        )
        return torch.cat([cache[name] for name in residuals], dim=1)

    return Calls(lambda: by_layer(work, patched), read, lambda: by_head(work, with_head))


def pyvene(work: Work) -> Calls:
    """An intervenable model a layer, with a constant source; made beforehand, but for heads:
    https://stanfordnlp.github.io/pyvene/tutorials/pyvene_101.html"""
    from pyvene import CollectIntervention, IntervenableModel

    def intervenable(component: str, layer: int, **how: Any) -> IntervenableModel:
        place = {"layer": layer, "component": component}
        return IntervenableModel(place | how, model=work.language_model)

    count, last = len(work.vectors), len(work.queries[0].ids) - 1
    queries, prompts, one = work.asked()
    patching = [
        intervenable("block_output", layer, source_representation=work.vectors[layer])
        for layer in range(count)
    ]
    collect = {"component": "block_output", "intervention_type": CollectIntervention}
    reading = IntervenableModel(
        [collect | {"layer": layer} for layer in range(count)], model=work.language_model
    )

    def patched(layer: int) -> Tensor:
        return answers_of(patching[layer](queries, unit_locations={"base": last})[1].logits)

    def with_head(layer: int, head: int) -> Tensor:
        value = {"source_representation": work.values[layer, head], "unit": "h.pos"}
        model = intervenable("head_attention_value_output", layer, **value)
        return answers_of(model(one, unit_locations={"base": [[[[head]], [[last]]]]})[1].logits)

    def read() -> Tensor:
        where = {"base": len(work.prompts[0].ids) - 1}
        (_, collected), _ = reading(prompts, unit_locations=where)
        return torch.cat(collected, dim=1)

    return Calls(lambda: by_layer(work, patched), read, lambda: by_head(work, with_head))


def answers_of(logits: Tensor) -> Tensor:
    """The likeliest next tokens."""
    return logits[:, -1].argmax(-1)


def by_layer(work: Work, patched: Callable[[int], Tensor]) -> Tensor:
    return torch.stack([patched(layer) for layer in range(len(work.vectors))])


def by_head(work: Work, patched: Callable[[int, int], Tensor]) -> Tensor:
    layers, heads = work.values.shape[:2]
    answers = [patched(layer, head) for layer in range(layers) for head in range(heads)]
    return torch.cat(answers).reshape(layers, heads)
