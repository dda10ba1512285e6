"""Controls read, draw and patch what they say, on tiny models."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from taskvectors.average import task_vectors
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl
from taskvectors.base.tensors import read_tensors
from taskvectors.controls import __main__ as controls
from taskvectors.controls.draws import with_noise, with_shuffled_labels
from taskvectors.controls.reading import ShownSet, mean_vectors
from taskvectors.curate.draws import exemplar_sets
from taskvectors.engine.forward import Patch
from taskvectors.engine.forward import run as forward
from taskvectors.engine.trees import whole
from taskvectors.jobs.arguments import Context
from taskvectors.jobs.queries import encode_queries
from taskvectors.models.base import Adapter
from taskvectors.read.__main__ import read_group
from taskvectors.read.plan import seed_sets
from taskvectors.study.datasets import Item
from taskvectors.study.predictions import MODALITIES
from taskvectors.study.prompts import EXEMPLAR, QUERY, ImageInput, Text, find_template

from .families import FAMILIES
from .tiny import LAYERS, WIDTH
from .vocabulary import WORDS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "resources/templates.yaml"
TEMPLATE = find_template(TEMPLATES, "generic")
TEXT = ("shuffled_labels", "other_task", "random")
IMAGE = ("shuffled_labels", "noise", "irrelevant", "other_task", "random")
SEEDS, LAYER = (1, 2), 1


def task_items(images: list[str]) -> list[Item]:
    """Five validation and five test items of a task, each with a label of its own."""
    return [
        Item("capitals", split, word, images[number % 2], word[::-1])
        for split, words in (("validation", WORDS[:5]), ("test", WORDS[5:10]))
        for number, word in enumerate(words)
    ]


@dataclass
class ControlJob:
    """One task of a tiny LLaVA, in a folder of its own."""

    folder: Path
    checkpoint: Path
    items: list[Item]
    irrelevant: list[Item]
    own: dict[str, torch.Tensor]
    others: dict[str, torch.Tensor]

    def __post_init__(self) -> None:
        self.sets = exemplar_sets("capitals", self.items, SEEDS, 3)

    def run(self, monkeypatch) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
        """The predictions and the vectors of the command, run here."""
        for split in ("validation", "test"):
            rows = [item.as_row() for item in self.items if item.split == split]
            write_jsonl(self.folder / f"{split}.jsonl", rows)
        write_jsonl(self.folder / "exemplars.jsonl", [asdict(drawn) for drawn in self.sets])
        write_jsonl(self.folder / "irrelevant.jsonl", [one.as_row() for one in self.irrelevant])
        save_file(self.own, self.folder / "own.safetensors")
        save_file(self.others, self.folder / "others.safetensors")
        write_json(self.folder / "layer.json", {"layer": LAYER})
        beside = {"others": "others.safetensors", "irrelevant": "irrelevant.jsonl"}
        arguments = [
            *("--model", str(self.checkpoint), "--name", "tiny", "--dtype", "float32"),
            *("--templates", str(TEMPLATES), "--template", "generic", "--task", "capitals"),
            *("--dataset", str(self.folder), "--vectors", str(self.folder / "own.safetensors")),
            *("--layer", str(self.folder / "layer.json"), "--out", str(self.folder / "out")),
        ]
        for option, name in beside.items():
            shown = self.others if option == "others" else self.irrelevant
            arguments += [f"--{option}", *([str(self.folder / name)] if shown else [])]
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        controls.main()
        out = self.folder / "out"
        return pd.read_parquet(out / "test.parquet"), read_tensors(out / "vectors.safetensors")


def random_vectors(first: int, *specifications: str) -> dict[str, torch.Tensor]:
    """A vector for each specification and seed, and others that have no controls."""
    generator = torch.Generator().manual_seed(first)
    names = [f"{name}/{seed}" for name in specifications for seed in SEEDS]
    names += ["instruction", "text_icl_n2/1", "ensemble/1"]
    return {name: torch.randn(LAYERS, WIDTH, generator=generator) for name in names}


@pytest.fixture
def llava(checkpoint, load) -> Adapter:
    return load(checkpoint, "tiny")


@pytest.fixture
def job(tmp_path, checkpoint, images) -> ControlJob:
    irrelevant = [Item("foods", "validation", word, images[2], "x") for word in WORDS[:4]]
    own, others = (random_vectors(n, "text_icl", "image_icl") for n in (1, 2))
    return ControlJob(tmp_path, checkpoint, task_items(images), irrelevant, own, others)


def one_by_one(adapter: Adapter, prompts: list[ShownSet], asked) -> torch.Tensor:
    """The mean of one plain pass a prompt, which ends at the query's name or image."""
    total = torch.zeros(LAYERS, WIDTH)
    for shown in prompts:
        pairs = [(asked(item), item.label) for item in shown.exemplars]
        query = TEMPLATE.query(ImageInput(shown.query.image))
        prompt = adapter.encode((*TEMPLATE.exemplars(pairs), *query))
        read, _ = forward(adapter, [whole(prompt)], [(0, prompt.marks[EXEMPLAR.name])])
        total += read[0]
    return total / len(prompts)


def test_the_command_patches_every_control_into_every_query_and_keeps_its_vectors(job, monkeypatch):
    predictions, vectors = job.run(monkeypatch)
    specified = [f"text_icl_{one}" for one in TEXT] + [f"image_icl_{one}" for one in IMAGE]
    assert set(vectors) == {f"{name}/{seed}" for name in specified for seed in SEEDS}
    keys = ["specification", "query_modality", "seed", "entity"]
    assert len(predictions) == len(specified) * 2 * len(SEEDS) * 5
    assert not predictions.duplicated(keys).any()
    assert set(predictions["layer"]) == {LAYER} and set(predictions["split"]) == {"test"}
    crossed = {f"text_icl_{one}_xpatch" for one in TEXT} | {
        f"image_icl_{one}_patch" for one in IMAGE
    }
    image_queries = predictions[predictions["query_modality"] == "image"]
    assert set(image_queries["method"]) == crossed


def test_an_answer_is_that_of_one_pass_with_the_controls_vector_at_the_chosen_layer(
    job, llava, monkeypatch
):
    predictions, vectors = job.run(monkeypatch)
    items = {item.entity: item for item in job.items}
    chosen = predictions[predictions["query_modality"] == "image"]
    for row in chosen.groupby("specification").head(2).itertuples():
        prompt = llava.encode(TEMPLATE.query(ImageInput(items[row.entity].image)))
        at = prompt.marks[QUERY.name]
        vector = vectors[f"{row.specification}/{row.seed}"][LAYER]
        _, answers = forward(
            llava, [whole(prompt)], patches=[Patch(0, at, LAYER, vector)], answers=[(0, at)]
        )
        assert row.token_id == answers[0].token_id
        assert row.logit_difference == pytest.approx(answers[0].logit_difference, abs=1e-3)


@pytest.mark.parametrize("asked", ["text", "image"])
def test_the_shuffled_vector_is_the_mean_over_the_prompts_with_their_labels_moved(
    job, llava, monkeypatch, asked
):
    _, vectors = job.run(monkeypatch)
    items = {item.entity: item for item in job.items}
    prompts = []
    for drawn in job.sets:
        if (drawn.split, drawn.seed) != ("validation", 2):
            continue
        shown = [items[name] for name in drawn.exemplars]
        moved = with_shuffled_labels(drawn, shown)
        assert sorted(one.label for one in moved) == sorted(one.label for one in shown)
        assert all(new.label != old.label for new, old in zip(moved, shown, strict=True))
        assert [replace(one, label="") for one in moved] == [replace(i, label="") for i in shown]
        prompts.append(ShownSet(tuple(moved), items[drawn.query]))
    assert len(prompts) == 5
    show = {"text": lambda i: Text(i.entity), "image": lambda i: ImageInput(i.image)}[asked]
    alone = one_by_one(llava, prompts, show)
    torch.testing.assert_close(vectors[f"{asked}_icl_shuffled_labels/2"], alone, atol=1e-4, rtol=0)


def test_irrelevant_images_are_of_the_other_items_under_the_same_labels(job, llava, monkeypatch):
    _, vectors = job.run(monkeypatch)
    items = {item.entity: item for item in job.items}
    prompts = [
        ShownSet(
            tuple(replace(items[n], image=job.irrelevant[0].image) for n in drawn.exemplars),
            items[drawn.query],
        )
        for drawn in job.sets
        if (drawn.split, drawn.seed) == ("validation", 1)
    ]  # all irrelevant items show one image here
    alone = one_by_one(llava, prompts, lambda item: ImageInput(item.image))
    torch.testing.assert_close(vectors["image_icl_irrelevant/1"], alone, atol=1e-4, rtol=0)


def test_noise_differs_from_the_real_prompts_in_the_images_alone_and_is_gone_afterwards(
    job, llava, monkeypatch, tmp_path
):
    drawn = job.sets[0]
    items = {item.entity: item for item in job.items}
    shown = [items[name] for name in drawn.exemplars]
    noisy = with_noise(drawn, shown, tmp_path / "noise")
    assert [replace(one, image="") for one in noisy] == [replace(one, image="") for one in shown]
    again = with_noise(replace(drawn, seed=2), shown, tmp_path / "noise")
    pixels = []
    for one, real in zip(noisy + again, shown + shown, strict=True):
        with Image.open(one.image) as image, Image.open(real.image) as own:
            assert image.size == own.size
            pixels.append(image.tobytes())
    assert len(set(pixels)) == len(pixels)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    _, vectors = job.run(monkeypatch)
    assert list((tmp_path / "temporary").iterdir()) == []
    prompts = [
        ShownSet(
            tuple(with_noise(one, [items[n] for n in one.exemplars], tmp_path / "noise")),
            items[one.query],
        )
        for one in job.sets
        if (one.split, one.seed) == ("validation", 1)
    ]
    alone = one_by_one(llava, prompts, lambda item: ImageInput(item.image))
    torch.testing.assert_close(vectors["image_icl_noise/1"], alone, atol=1e-4, rtol=0)


def test_random_and_other_vectors_stand_beside_the_real_ones_and_come_again(job, monkeypatch):
    _, vectors = job.run(monkeypatch)
    for name in ("text_icl", "image_icl"):
        for seed in SEEDS:
            real, random = job.own[f"{name}/{seed}"], vectors[f"{name}_random/{seed}"]
            torch.testing.assert_close(random.norm(dim=-1), real.norm(dim=-1))
            assert torch.cosine_similarity(random, real).abs().max() < 0.6
            other = vectors[f"{name}_other_task/{seed}"]
            assert torch.equal(other, job.others[f"{name}/{seed}"])
    drawn = [
        vectors[f"{name}_random/{seed}"] for name in ("text_icl", "image_icl") for seed in SEEDS
    ]
    assert len({tuple(one.flatten().tolist()) for one in drawn}) == 4
    _, again = job.run(monkeypatch)
    assert all(torch.equal(again[name], vector) for name, vector in vectors.items())


def test_what_an_experiment_lacks_is_missing_and_nothing_else_changes(job, monkeypatch):
    _, whole_set = job.run(monkeypatch)
    job.irrelevant, job.others = [], {}
    _, vectors = job.run(monkeypatch)
    gone = {name for name in whole_set if "irrelevant" in name or "other_task" in name}
    assert set(vectors) == set(whole_set) - gone
    job.own = random_vectors(1, "text_icl")
    predictions, vectors = job.run(monkeypatch)
    assert {name.split("/")[0] for name in vectors} == {
        "text_icl_shuffled_labels",
        "text_icl_random",
    }
    assert set(predictions["query_modality"]) == set(MODALITIES)


def test_a_task_whose_labels_are_all_alike_cannot_be_shuffled(job, monkeypatch):
    job.items = [replace(item, label="red") for item in job.items]
    with pytest.raises(UserError, match="exemplars of capitals have too few different labels"):
        job.run(monkeypatch)
    assert not (job.folder / "out").exists()


@pytest.mark.parametrize("name", ["llava", "fuyu", "mllama"])
def test_unchanged_prompts_give_the_real_vectors(name, images, load, tmp_path):
    """fuyu has vectors of its own before text queries; mllama's exemplars see the query's image."""
    FAMILIES[name].save(tmp_path)
    adapter = load(tmp_path, name)
    items = task_items(images)
    sets = [drawn for drawn in exemplar_sets("c", items, [1], 2) if drawn.split == "validation"]
    by_name = {item.entity: item for item in items}
    queries = {
        (query.item.entity, query.modality): query
        for query in encode_queries(adapter, TEMPLATE, items, MODALITIES)
    }
    context = Context(name, TEMPLATE, "country-capital")
    shown = [
        ShownSet(tuple(by_name[one] for one in drawn.exemplars), by_name[drawn.query])
        for drawn in sets
    ]
    for group in seed_sets(sets, ["text_icl", "image_icl"]):
        activations, _ = read_group(adapter, context, queries, group, None)
        real = task_vectors(activations)
        found = mean_vectors(adapter, TEMPLATE, shown, group.specification)
        assert {f"{one}/1" for one in found} == set(real)
        assert len(found) == 1 + (name == "fuyu" and group.specification == "text_icl")
        for one, vector in found.items():
            torch.testing.assert_close(vector, real[f"{one}/1"], atol=1e-4, rtol=0)
