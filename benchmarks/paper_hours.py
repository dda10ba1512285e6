"""An estimate of the GPU hours that the paper's grid takes, from the operations that are counted.

Two operations for each weight of the decoder's layers and token that goes through them, for each
of the unembedding and answer, and for each of the vision tower and patch of an image. A branch of
the sweep begins at its layer, and goes through half of them on average. Not counted: attention
itself, a few percent at these lengths; the stages `decode` and `qualitative`, some hundred prompts
a model. Prints the operations by model and stage, and the hours at `SHARE` of an H100's peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers as hf
from default_run import ROOT
from gpu import weights_of
from shapes import IDEFICS2, LLAVA

from taskvectors.base.schemas import read_yaml
from taskvectors.study.config import resolve

PEAK = 989e12  # operations a second of an H100 SXM in bfloat16, by its data sheet
SHARE = 0.4  # of it, as `gpu` measured reading on an H100: 0.37 to 0.41
# Tokens in the template `generic`: means over all tasks with Llama 2's tokenizer.
EXEMPLAR, QUERY = 14, 9
AROUND_EXEMPLAR, AROUND_QUERY = 11, 6  # where there is an image for the entity
PARTIAL = 13  # vectors of a seed that Figure 8 alone has: six subsets, seven ensembles


@dataclass(frozen=True)
class Counted:
    """A model of the grid, without weights. An image has ``image`` tokens in a prompt, and
    ``patches`` in the vision tower, if there is one; ``image_icl`` is that of
    resources/models.yaml.
    """

    model: Any
    image: int
    tower: str | None = None
    patches: int = 0
    image_icl: bool = False
    read_in: bool = False  # whether its language model's vectors are patched into it, too

    @cached_property
    def layers(self) -> int:
        return weights_of(self.model.get_decoder().layers)

    def operations(self, tokens: float, answers: int, images: int) -> float:
        unembedding = weights_of(self.model.get_output_embeddings())
        tower = weights_of(getattr(self.model.base_model, self.tower)) if self.tower else 0
        return 2 * (tokens * self.layers + answers * unembedding + images * self.patches * tower)


@dataclass(frozen=True)
class Grid:
    """The sizes of an experiment; items of its countries."""

    tasks: int
    seeds: int
    exemplars: int
    validation: int
    test: int
    mediation: dict[str, int]
    strengths: int

    @property
    def items(self) -> int:
        return self.validation + self.test

    def read(self, one: Counted) -> float:
        """Every exemplar set before a text and an image query, and the queries alone."""
        queries = QUERY + one.image + AROUND_QUERY
        sets = self.items * self.seeds
        tokens = sets * (self.exemplars * EXEMPLAR + queries) + self.items * queries
        answers = 2 * (sets + self.items)
        if one.image_icl:
            tokens += sets * (self.exemplars * (one.image + AROUND_EXEMPLAR) + queries)
            answers += 2 * sets
        return one.operations(tokens, answers, self.items)

    def read_language_model(self, one: Counted) -> float:
        """The same of text alone, in a language model with the VLM's decoder."""
        sets = self.items * self.seeds
        tokens = sets * (self.exemplars * EXEMPLAR + QUERY) + self.items * QUERY
        return one.operations(tokens, sets + self.items, 0)

    def patched(self, one: Counted, items: int, sites: int, partial: int = 0) -> float:
        """Text and image queries at all sites, and image queries at some more."""
        image = one.image + AROUND_QUERY
        tokens = QUERY + image + (2 * sites + partial) / 2 + (image if partial else 0)
        return one.operations(items * tokens, items * (2 * sites + partial), items)

    def write(self, one: Counted, vectors: int, partial: int) -> float:
        """All layers in validation, one in test."""
        depth = len(one.model.get_decoder().layers)
        test = self.patched(one, self.test, vectors, partial)
        return self.patched(one, self.validation, vectors * depth) + test

    def heads(self, one: Counted) -> float:
        """With `heads`: mediation, where a branch begins at its head's layer, and vectors added in
        two ways with every strength."""
        depth = len(one.model.get_decoder().layers)
        heads = depth * one.model.get_decoder().config.num_attention_heads
        prompts, exemplars = self.mediation["prompts"], self.mediation["exemplars"]
        tokens = exemplars * EXEMPLAR + QUERY + heads / 2
        found = one.operations(prompts * tokens, prompts * heads, 0)
        specifications = 1
        if one.image_icl:
            specifications = 2
            shown = (exemplars + 1) * (one.image + AROUND_EXEMPLAR)
            found += one.operations(prompts * (shown + heads / 2), prompts * heads, self.validation)
        validation = self.patched(one, self.validation, 2 * depth * self.strengths)
        return found + validation + self.patched(one, self.test, 2 * specifications * self.seeds)

    def stages(self, one: Counted) -> Iterator[tuple[str, float]]:
        """Operations of all tasks by stage."""
        vectors = (2 if one.image_icl else 1) * self.seeds + 1
        yield "read", self.tasks * self.read(one)
        yield "write", self.tasks * self.write(one, vectors, PARTIAL * self.seeds)
        yield "heads", self.tasks * self.heads(one)
        if one.read_in:
            transfer = self.read_language_model(one) + self.write(one, self.seeds + 1, 0)
            yield "transfer", self.tasks * transfer


def paper() -> tuple[Grid, dict[str, Counted]]:
    """The experiment's sizes and models. Images are 224 pixels wide, and taken to be as high."""
    settings = read_yaml(ROOT / "config.yaml") | {"experiment": "paper"}
    contact = {"wikipedia": {"contact": "nobody", "rate": 1}}
    config = resolve(settings, contact, ROOT / "resources")
    sizes = config["splits"]["countries"]
    strengths = len(config["function_vectors"]["strengths"])
    grid = Grid(
        len(config["tasks"]), len(config["seeds"]), config["exemplars"], **sizes,
        mediation=config["mediation"], strengths=strengths,
    )  # fmt: skip
    with torch.device("meta"):
        llava, idefics2 = (one.model(one.configuration()) for one in (LLAVA, IDEFICS2))
        fuyu = hf.FuyuForCausalLM(hf.FuyuConfig())
    models = {
        "llava-v1.5": Counted(llava, 576, "vision_tower", 577, read_in=True),
        "mantis-fuyu": Counted(fuyu, 8 * 9 + 2, image_icl=True),
        # Enlarged to 378 pixels; 64 tokens between two frames are left of 729 patches.
        "idefics2": Counted(idefics2, 66, "vision_model", 729, image_icl=True, read_in=True),
    }
    assert set(models) == set(config["models"])
    return grid, models


def main() -> None:
    grid, models = paper()
    total = 0.0
    for name, one in models.items():
        for stage, operations in grid.stages(one):
            print(f"{name} {stage}: {operations / 1e15:.1f} PFLOP")
            total += operations
    print(f"all: {total / 1e15:.1f} PFLOP")
    print(f"all at {SHARE:.0%} of an H100's peak: {total / (SHARE * PEAK) / 3600:.2f} hours")


if __name__ == "__main__":
    main()
