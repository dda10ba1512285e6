"""All attention heads of a prompt in one pass, over one pass each.

text   SmolLM2-135M, 270 heads, a prompt of 50 tokens: all 270 passes
image  a random model of LLaVA-v1.5-7B's 32 layers with as many heads in each, 1,024 in all, at a
       quarter of its width; 576 image tokens and 24 of text: the time of 8 passes, one in every
       fourth layer, taken 128 times, since every pass costs the same

Prints ``heads_vs_naive_<name>``, the time of the naive way over that of one pass.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from engine import LAYERS, TOKENS_PER_PASS, WIDTH, prompt, random_model, seconds

from taskvectors.engine.heads import head_effects
from taskvectors.engine.naive import naive_effects, naive_probability
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.text import TextAdapter

SMOLLM2 = Path(__file__).resolve().parent.parent / "results/embedded/prepare/smollm2"
TEXT_TOKENS, ANSWER, EVERY = 50, (7,), 4


def outputs_for(adapter: Adapter) -> torch.Tensor:
    """Random outputs (layers, heads, head width)."""
    torch.manual_seed(0)
    return torch.randn(len(adapter.layers), adapter.heads.count, adapter.heads.width)


def one_pass(adapter: Adapter, asked: Encoded, outputs: torch.Tensor) -> float:
    """Seconds for all heads."""
    return seconds(lambda: head_effects(adapter, asked, outputs, ANSWER, TOKENS_PER_PASS))


def text_ratio() -> float:
    adapter = TextAdapter.load(SMOLLM2, "smollm2", "float32")
    ids = [1 + number for number in range(TEXT_TOKENS)]
    positions = torch.arange(TEXT_TOKENS).unsqueeze(0)
    asked = Encoded(ids, positions, {"query": TEXT_TOKENS - 1})
    outputs = outputs_for(adapter)
    naive = seconds(lambda: naive_effects(adapter, asked, outputs, ANSWER), 1)
    return naive / one_pass(adapter, asked, outputs)


def image_ratio() -> float:
    adapter = random_model(WIDTH, WIDTH // LAYERS)
    asked, outputs = prompt(0), outputs_for(adapter)
    some = [(layer, 0) for layer in range(0, LAYERS, EVERY)]

    def naive() -> None:
        for head in some:
            naive_probability(adapter, asked, outputs, ANSWER, head)

    heads = LAYERS * adapter.heads.count
    return heads / len(some) * seconds(naive, 1) / one_pass(adapter, asked, outputs)


def main() -> None:
    torch.set_num_threads(1)
    if not (SMOLLM2 / "config.json").is_file():
        sys.exit(f"error: {SMOLLM2} is missing; run `snakemake --cores 2 {SMOLLM2}`.")
    print(f"heads_vs_naive_text: {text_ratio():.1f}")
    print(f"heads_vs_naive_image: {image_ratio():.1f}")


if __name__ == "__main__":
    main()
