"""What Python does around a pass of the sweep: everything but the decoder's layers.

A GPU waits for it. Here the layers hand on what they are given, so that all the time is the
engine's own: rows laid out, masks, features put in their places, hooks, patches, answers. Two
passes, each with 224 sites (7 vectors at 32 layers):

image_queries  4 image queries of 640 tokens, 576 of them an image's
text_queries   17 text queries of 16 tokens

Prints milliseconds a pass. ``python benchmarks/around_pass.py ../other/workflow`` measures the
engine of another checkout as well, in turns with this one's, and prints how many times as long
it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from engine import IMAGE_ID, IMAGE_TOKENS, LAYERS, VOCABULARY, Shape, seconds
from torch import Tensor, nn

from taskvectors.engine.sweep import Site, sweep
from taskvectors.models.base import Encoded
from taskvectors.models.features import ImageFeatures

# Narrow, so that copying residual streams, which a GPU does in no time, takes none here either.
WIDTH = 16
VECTORS, REPEATS, ROUNDS, TOKENS_PER_PASS = 7, 9, 3, 4096
PASSES = {"image_queries": (4, 640, True), "text_queries": (17, 16, False)}


class StillDecoder(nn.Module):
    """A decoder whose layers change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Identity() for _ in range(LAYERS))
        self.norm = nn.Identity()
        self.config = SimpleNamespace()

    def forward(self, inputs_embeds: Tensor, **_: object) -> Tensor:
        for layer in self.layers:
            inputs_embeds = layer(inputs_embeds)
        return inputs_embeds


class StillModel(nn.Module):
    """Embeddings, a still decoder, an unembedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.decoder = StillDecoder()
        self.unembedding = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.config = SimpleNamespace(get_text_config=lambda: None)

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def get_decoder(self) -> nn.Module:
        return self.decoder

    def get_output_embeddings(self) -> nn.Module:
        return self.unembedding


def prompt(length: int, image: bool, number: int) -> Encoded:
    """A prompt of ``length`` tokens that begins with an image where asked."""
    pictured = IMAGE_TOKENS if image else 0
    ids = [IMAGE_ID] * pictured + [1 + number] * (length - pictured)
    images, ends = (("image",), (IMAGE_TOKENS,)) if image else ((), ())
    return Encoded(ids, torch.arange(length).unsqueeze(0), {"query": length - 1}, images, ends)


def measured() -> dict[str, float]:
    """Milliseconds around each pass, the median of some."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    adapter = Shape(StillModel(), None, "still")
    adapter.features["image"] = ImageFeatures(torch.randn(IMAGE_TOKENS, WIDTH))
    vectors = {str(number): torch.randn(LAYERS, WIDTH) for number in range(VECTORS)}
    sites = [Site(name, layer) for name in vectors for layer in range(LAYERS)]
    found = {}
    for name, (count, length, image) in PASSES.items():
        prompts = [prompt(length, image, number) for number in range(count)]

        def one_pass(prompts: list[Encoded] = prompts) -> None:
            passes = list(sweep(adapter, prompts, vectors, sites, TOKENS_PER_PASS))
            assert len(passes) == 1, "the benchmark is about one pass"

        found[name] = 1000 * seconds(one_pass, REPEATS)
    return found


def of_checkout(workflow: Path) -> dict[str, float]:
    """`measured` in a process of its own, with the package that is in ``workflow``."""
    environment = os.environ | {"PYTHONPATH": str(workflow.resolve())}
    command = [sys.executable, __file__, "--alone"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}


def main() -> None:
    match sys.argv[1:]:
        case ["--alone"]:
            for name, value in measured().items():
                print(f"{name} {value}")
        case [other]:
            here = Path(__file__).resolve().parents[1] / "workflow"
            rounds = [(of_checkout(here), of_checkout(Path(other))) for _ in range(ROUNDS)]
            for name in PASSES:
                ours, theirs = (min(pair[side][name] for pair in rounds) for side in (0, 1))
                print(f"around_pass_{name}: {ours:.1f} ms, other {theirs:.1f} ms")
                print(f"around_pass_{name}_ratio: {theirs / ours:.1f}")
        case _:
            for name, value in measured().items():
                print(f"around_pass_{name}: {value:.1f} ms")


if __name__ == "__main__":
    main()
