"""The engine on a GPU, on random models of full size (`shapes`); takes about a minute on an H100.

One model after the other is made on the GPU in bfloat16. Nothing is downloaded. Prints one
``model name: value`` a line, as soon as it is known:

read_*, sweep_image_*, sweep_text_*   reading at two delimiters of image queries; the sweep of
                                      seven vectors at all layers, of image and of text queries:
  tokens_per_second                   tokens that went through the decoder; one that goes through
                                      half of its layers is half a token
  tflops                              two operations a weight and token (attention is not counted)
  decoder_share                       time in the decoder, of all
sweep_vs_forward    the sweep's time over a bare forward pass of the same image queries
naive_vs_sweep      time of an answer by one pass each, over that of an answer by the sweep
peak_gb             of the GPU's memory, with weights
naive_equal         share of the sweep's answers that are the naive loop's, in float32
halved              how often a batch was halved where the GPU's memory was nearly full
halved_equal        share of answers that were the same all the same
*_equal_float32     share of answers in a precision that are those of the same weights in float32

Ends with an error where an answer differs that rounding cannot have changed.
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from shapes import SHAPES, Architecture, image_query, random_model, text_query
from torch import Tensor, nn

from taskvectors.engine.forward import Answer, run
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.patching import TOKENS_PER_PASS, patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded

VECTORS, REPEATS, NAIVE_SITES = 7, 5, 8
# Of the memory that a batch needs, what is left to it: too little for all, enough for some.
ROOM = 0.7
# A lead of the likeliest token that another order of float32 sums may turn.
TIE = 1e-3

Lines = Iterator[tuple[str, float | str]]
Answers = dict[tuple[int, Site], Answer]


@dataclass(frozen=True)
class Asked:
    """Queries that fill one pass, and the vectors (layers, width) and sites to patch them."""

    adapter: Adapter
    prompts: list[Encoded]
    vectors: dict[str, Tensor]
    sites: list[Site]

    @property
    def tokens(self) -> float:
        """Of one sweep: prompts without their last tokens, and a branch a site, which counts for
        the layers that it goes through, if it begins where it is patched."""
        depth = len(self.adapter.layers)
        later = sum(depth - 1 - site.layer for site in self.sites) / depth
        branches = later if self.adapter.growing else len(self.sites)
        return sum(len(prompt.ids) - 1 + branches for prompt in self.prompts)

    def answers(self) -> Answers:
        batches = patched_answers(self.adapter, self.prompts, self.vectors, self.sites)
        return {(number, site): answer for batch in batches for number, site, answer in batch}

    def read(self) -> Tensor:
        """Residual streams at two delimiters of every query."""
        ends = [(row, len(prompt.ids) - 1) for row, prompt in enumerate(self.prompts)]
        at = [(row, end - before) for row, end in ends for before in (8, 0)]
        activations, _ = run(self.adapter, [whole(one) for one in self.prompts], at, answers=ends)
        return activations


def filled(adapter: Adapter, query: Callable[[int], Encoded]) -> Asked:
    """As many queries as fit into one pass with all their sites."""
    generator = torch.Generator().manual_seed(1)
    shape = (len(adapter.layers), adapter.width)
    vectors = {str(n): torch.randn(shape, generator=generator) for n in range(VECTORS)}
    sites = [Site(name, layer) for name in vectors for layer in range(len(adapter.layers))]
    count = TOKENS_PER_PASS // (len(query(0).ids) + len(sites))
    return Asked(adapter, [query(seed) for seed in range(max(1, count))], vectors, sites)


def settle(adapter: Adapter) -> None:
    """Wait until the GPU has done what it was given."""
    if adapter.device.type == "cuda":
        torch.cuda.synchronize()


def timed(adapter: Adapter, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, and the decoder's share of them: medians, after a call to warm up."""
    inside: list[float] = []

    def enter(*_: object) -> None:
        settle(adapter)
        inside.append(-time.perf_counter())

    def leave(*_: object) -> None:
        settle(adapter)
        inside[-1] += time.perf_counter()

    work()
    hooks = (
        adapter.decoder.register_forward_pre_hook(enter),
        adapter.decoder.register_forward_hook(leave),
    )
    seconds, shares = [], []
    for _ in range(REPEATS):
        inside.clear()
        settle(adapter)
        began = time.perf_counter()
        work()
        settle(adapter)
        seconds.append(time.perf_counter() - began)
        shares.append(sum(inside) / seconds[-1])
    for hook in hooks:
        hook.remove()
    return statistics.median(seconds), statistics.median(shares)


@torch.inference_mode()
def bare_forward(asked: Asked) -> None:
    """The decoder once over the same queries, and the logits of their last tokens."""
    adapter = asked.adapter
    ids = torch.tensor([one.ids for one in asked.prompts])
    embedded = adapter.embed(ids, [image for one in asked.prompts for image in one.images])
    hidden = adapter.decoder(inputs_embeds=embedded.hidden, use_cache=False).last_hidden_state
    adapter.unembedding(hidden[:, -1])


def weights_of(modules: nn.Module) -> int:
    return sum(parameter.numel() for parameter in modules.parameters())


def speed(
    name: str, asked: Asked, work: Callable[[], object], tokens: float, answers: int
) -> Lines:
    """How fast the work is; the unembedding is counted for its answers."""
    adapter = asked.adapter
    seconds, share = timed(adapter, work)
    weights = tokens * weights_of(adapter.layers) + answers * weights_of(adapter.unembedding)
    yield f"{name}_tokens_per_second", tokens / seconds
    yield f"{name}_tflops", 2 * weights / seconds / 1e12
    yield f"{name}_decoder_share", share


def speeds(images: Asked, texts: Asked) -> Lines:
    tokens = sum(len(prompt.ids) for prompt in images.prompts)
    yield from speed("read", images, images.read, tokens, len(images.prompts))
    for name, asked in (("sweep_image", images), ("sweep_text", texts)):
        answers = len(asked.prompts) * len(asked.sites)
        yield from speed(name, asked, asked.answers, asked.tokens, answers)


def ratios(asked: Asked) -> Lines:
    """The sweep against a bare pass, and against one pass a patch at some of its sites."""
    whole_sweep, _ = timed(asked.adapter, asked.answers)
    forward, _ = timed(asked.adapter, partial(bare_forward, asked))
    yield "sweep_vs_forward", whole_sweep / forward
    few = spread(asked.sites)
    naive = partial(naive_sweep, asked.adapter, asked.prompts[:1], asked.vectors, few)
    one_each, _ = timed(asked.adapter, naive)
    answers = len(asked.prompts) * len(asked.sites)
    yield "naive_vs_sweep", one_each / len(few) / (whole_sweep / answers)


def spread(sites: Sequence[Site]) -> list[Site]:
    """Some of the sites, of several vectors and layers."""
    return list(sites[:: max(1, len(sites) // NAIVE_SITES)])[:NAIVE_SITES]


def share_equal(found: Answers, expected: Answers) -> float:
    same = [found[place].token_id == answer.token_id for place, answer in expected.items()]
    return sum(same) / len(same)


def held(name: str, found: Answers, expected: Answers) -> Lines:
    """The share of equal answers. Raises where another is no tie that float32 sums may turn."""
    for (number, site), answer in expected.items():
        other = found[number, site]
        if other.token_id != answer.token_id and answer.logit_difference > TIE:
            raise AssertionError(
                f"{name}: query {number} at {site} is answered {other}, not {answer}"
            )
    yield name, share_equal(found, expected)


def in_float32(asked: Asked, expected: Answers) -> Lines:
    """The sweep against the naive loop and against itself in less memory, all in float32."""
    few = spread(asked.sites)
    naive = naive_sweep(asked.adapter, asked.prompts[:1], asked.vectors, few)
    alone = {(number, site): answer for number, site, answer in naive}
    yield from held("naive_equal", expected, alone)
    if asked.adapter.device.type != "cuda":
        yield "halved", "not run, there is no GPU"
        return
    with little_memory(asked), warnings_heard() as warnings:
        found = asked.answers()
    halvings = [message for message in warnings if "out of GPU memory with a batch" in message]
    if not halvings:
        raise AssertionError("halved: no batch was halved, so the GPU's memory was not full")
    yield "halved", len(halvings)
    yield from held("halved_equal", found, expected)


@contextmanager
def little_memory(asked: Asked) -> Iterator[None]:
    """The GPU's memory filled, but for a part of what a pass over all queries needs."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    asked.answers()
    needed = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(int(free - ROOM * needed), dtype=torch.uint8, device="cuda")
    yield
    del ballast
    torch.cuda.empty_cache()


class Hearing(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """What the engine logs meanwhile."""
    hearing, log = Hearing(), logging.getLogger("taskvectors")
    log.addHandler(hearing)
    yield hearing.messages
    log.removeHandler(hearing)


def in_dtype(adapter: Adapter, dtype: torch.dtype) -> None:
    """Weights alone: buffers, as those of rotary positions, are float32 whatever the weights."""
    for parameter in adapter.model.parameters():
        parameter.data = parameter.data.to(dtype)


def precisions(asked: Asked) -> Lines:
    """Answers of the same weights, made in bfloat16, in other precisions."""
    found = {"bfloat16": asked.answers()}
    in_dtype(asked.adapter, torch.float32)
    expected = asked.answers()
    yield from in_float32(asked, expected)
    in_dtype(asked.adapter, torch.float16)
    found["float16"] = asked.answers()
    if find_spec("bitsandbytes") is not None:
        quantise(asked.adapter)
        found["nf4"] = asked.answers()
    for name, answers in found.items():
        yield f"{name}_equal_float32", share_equal(answers, expected)
    if "nf4" not in found:
        yield "nf4", "not run, bitsandbytes is not installed"


def quantise(adapter: Adapter) -> None:
    """The layers' weights in 4-bit NormalFloat, with float16 computing."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    for parent in list(adapter.layers.modules()):
        for name, linear in list(parent.named_children()):
            if isinstance(linear, nn.Linear):
                small = Linear4bit(
                    linear.in_features, linear.out_features, linear.bias is not None,
                    compute_dtype=torch.float16, quant_type="nf4", device="meta",
                )  # fmt: skip
                small.weight = Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
                small.bias = linear.bias
                setattr(parent, name, small.to(adapter.device))


def measured(architecture: Architecture, device: str) -> Lines:
    """All there is to say of one model; its memory is free again afterwards."""
    adapter = random_model(architecture, device, torch.bfloat16)
    yield "parameters", weights_of(adapter.model) / 1e9
    images = filled(adapter, partial(image_query, adapter, architecture))
    texts = filled(adapter, partial(text_query, adapter))
    yield from speeds(images, texts)
    yield from ratios(images)
    if device == "cuda":
        yield "peak_gb", torch.cuda.max_memory_allocated() / 1e9
    yield from precisions(images)


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("error: benchmarks/gpu.py needs a GPU that torch can use, and there is none.")
    print(f"gpu: {torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    for architecture in SHAPES:
        began = time.perf_counter()
        torch.cuda.reset_peak_memory_stats()
        for name, value in measured(architecture, "cuda"):
            shown = value if isinstance(value, str) else f"{value:.4g}"
            print(f"{architecture.name} {name}: {shown}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
        print(f"{architecture.name} seconds: {time.perf_counter() - began:.0f}", flush=True)


if __name__ == "__main__":
    main()
