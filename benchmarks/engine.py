"""The engine's cost as ratios within one run, on a 32-layer LLaVA-shaped random model.

One image of 576 tokens and 24 tokens of text a prompt, float32, on the CPU. The model has all
of LLaVA-v1.5-7B's layers at a quarter of its width, in its proportions: heads of 128, a
feed-forward of 43/16 of the width. A narrower one would measure attention, which is a small
share of the real model's arithmetic. Prints one ``name: value`` a line; no ratio depends on how
fast the machine is, only on what is compared:

sweep_vs_naive      the naive loop's time over the one-pass sweep's, all layers of one vector
sweep_vs_forward    the sweep's time over one plain forward pass of the same prompt
ten_sources_vs_one  the sweep of ten vectors at all layers over the sweep of one
read_vs_forward     throughput of reading over that of a bare batched forward pass
memory_300_vs_30    peak resident memory after 300 prompts read over that after 30, each with an
                    image of its own, where there is room for the features of 30
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from taskvectors.base.tensors import unwritten, write_tensors
from taskvectors.engine.forward import run
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.features import ImageFeatures, Recent, feature_bytes

LAYERS, VOCABULARY, HEAD = 32, 1000, 128
WIDTH, NARROW = 1024, 128  # memory is looked at on the narrow model, which 330 prompts can pass
IMAGE_TOKENS, TEXT_TOKENS = 576, 24
IMAGE_ID, REPEATS, TOKENS_PER_PASS = 999, 3, 4096


class Shape(Adapter):
    """The LLaVA shape without a tokenizer: prompts are made of token ids."""

    @property
    def placeholder_id(self) -> int:
        return IMAGE_ID

    @property
    def pad_id(self) -> int:
        return 0

    def image_features(self, images: Sequence[str]) -> Iterator[ImageFeatures]:
        """Random numbers, an image's always the same."""
        for image in images:
            rng = torch.Generator().manual_seed(int(image))
            yield ImageFeatures(torch.randn((IMAGE_TOKENS, self.width), generator=rng))


def random_model(width: int, head: int = HEAD) -> Shape:
    """A LLaVA with random weights, with heads of ``head``."""
    torch.manual_seed(0)
    text = LlamaConfig(
        hidden_size=width, intermediate_size=width * 43 // 16, num_hidden_layers=LAYERS,
        num_attention_heads=width // head, num_key_value_heads=width // head,
        vocab_size=VOCABULARY,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        image_size=336, patch_size=14,
    )  # fmt: skip
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=IMAGE_ID)
    return Shape(LlavaForConditionalGeneration(config), None, "llava-shaped")


def prompt(seed: int) -> Encoded:
    """An image of its own and then text, whose last token is the query's delimiter."""
    rng = torch.Generator().manual_seed(seed)
    text = torch.randint(1, 900, (TEXT_TOKENS,), generator=rng).tolist()
    ids = [*text[:4], *[IMAGE_ID] * IMAGE_TOKENS, *text[4:]]
    positions = torch.arange(len(ids)).unsqueeze(0)
    return Encoded(ids, positions, {"query": len(ids) - 1}, (str(seed),), (4 + IMAGE_TOKENS,))


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median time of a call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@torch.inference_mode()
def plain_forward(adapter: Shape, prompts: list[Encoded]) -> None:
    """A bare batched pass of the same prompts, with the logits of the last token only."""
    ids = torch.tensor([one.ids for one in prompts])
    images = [path for one in prompts for path in one.images]
    embedded = adapter.embed(ids, images)
    adapter.model(inputs_embeds=embedded.hidden, logits_to_keep=1, use_cache=False)


def read(adapter: Shape, prompts: list[Encoded]) -> torch.Tensor:
    """Residual streams of all layers at two delimiters of each prompt, and the answers."""
    last = len(prompts[0].ids) - 1
    sites = [(row, at) for row in range(len(prompts)) for at in (last - 8, last)]
    ends = [(row, last) for row in range(len(prompts))]
    activations, _ = run(adapter, [whole(one) for one in prompts], sites, answers=ends)
    return activations


def ratios() -> dict[str, float]:
    adapter = random_model(WIDTH)
    one = prompt(0)
    vectors = {str(number): torch.randn(LAYERS, WIDTH) for number in range(10)}
    sites = [Site("0", layer) for layer in range(LAYERS)]
    many = [Site(name, layer) for layer in range(LAYERS) for name in vectors]

    def swept(wanted: list[Site]) -> list:
        return list(sweep(adapter, [one], vectors, wanted, TOKENS_PER_PASS))

    forward = seconds(lambda: plain_forward(adapter, [one]))
    single = seconds(lambda: swept(sites))
    batch = [prompt(number) for number in range(4)]
    return {
        "sweep_vs_naive": seconds(lambda: naive_sweep(adapter, [one], vectors, sites), 1) / single,
        "sweep_vs_forward": single / forward,
        "ten_sources_vs_one": seconds(lambda: swept(many)) / single,
        "read_vs_forward": seconds(lambda: plain_forward(adapter, batch))
        / seconds(lambda: read(adapter, batch)),
    }


def read_to_disk(count: int) -> None:
    """Read ``count`` prompts in batches of four and print the peak resident kilobytes."""
    adapter = random_model(NARROW)
    adapter.features = Recent(30 * IMAGE_TOKENS * NARROW * 4, feature_bytes)
    with tempfile.TemporaryDirectory() as folder:
        activations = unwritten((count, LAYERS, NARROW), torch.float32)
        for first in range(0, count, 4):
            batch = [prompt(seed) for seed in range(first, min(first + 4, count))]
            activations[first : first + len(batch)] = read(adapter, batch)[1::2]
        write_tensors(Path(folder) / "activations.safetensors", {"query": activations})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_kilobytes(count: int) -> int:
    """`read_to_disk` in a process of its own."""
    command = [sys.executable, __file__, str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    if len(sys.argv) == 2:
        read_to_disk(int(sys.argv[1]))
        return
    measured = ratios()
    measured["memory_300_vs_30"] = peak_kilobytes(300) / peak_kilobytes(30)
    for name, value in measured.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
