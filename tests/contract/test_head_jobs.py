"""Jobs on attention heads, on a tiny LLaVA: what they write is what one pass each finds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.base.frames import write_frame
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.forward import run as forward
from taskvectors.engine.heads import read_heads
from taskvectors.engine.naive import naive_effects, naive_sweep
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
from taskvectors.heads import inject, mediate, sweep
from taskvectors.heads import vectors as make_vectors
from taskvectors.read import __main__ as read
from taskvectors.study.heads import read_effects, read_injections
from taskvectors.study.predictions import read_predictions
from taskvectors.study.prompts import EXEMPLAR, Text, find_template

from .jobs import ROOT, Job
from .tiny import LAYERS, WIDTH

TASK, OTHER = "country-capital", "country-currency"
TEMPLATES = ROOT / "resources/templates.yaml"
HEADS = 4


def without(words: list[str], *options: str) -> list[str]:
    """A command line less some options and their values."""
    found = list(words)
    for option in options:
        at = found.index(option)
        del found[at : at + 2]
    return found


def mediating(job: Job, outputs: Path, exemplars: int = 2) -> list[str]:
    return [
        *(*job.common(), "--items", str(job.folder / "validation.jsonl")),
        *("--outputs", str(outputs), "--prompts", "3", "--exemplars", str(exemplars)),
        *("--seed", "0", "--out", str(job.folder / "effects.parquet")),
    ]


@pytest.fixture
def outputs() -> dict[str, torch.Tensor]:
    """Made-up mean outputs of all heads, by specification and seed."""
    generator = torch.Generator().manual_seed(5)
    shape = (LAYERS, HEADS, WIDTH // HEADS)
    names = [f"{spec}/{seed}" for spec in ("text_icl", "image_icl") for seed in (1, 2)]
    return {name: torch.randn(shape, generator=generator) for name in names}


def test_heads_are_read_in_the_passes_that_read_anyway(job, run, load):
    run(read, job.reading())
    plain = job.outputs()
    run(read, [*job.reading(), "--heads"])
    with_heads = job.outputs()
    assert set(with_heads) - set(plain) == {"heads.safetensors"}
    assert {name: with_heads[name] for name in plain} == plain
    found = read_tensors(job.folder / "read/heads.safetensors")
    assert set(found) == {"text_icl/1", "text_icl/2", "image_icl/1", "image_icl/2"}
    adapter, template = load(job.checkpoint, "tiny"), find_template(TEMPLATES, "generic")
    items = {item.entity: item for item in job.items}
    apart = []
    for drawn in job.sets:
        if (drawn.split, drawn.seed) != ("validation", 2):
            continue
        pairs = [(Text(name), items[name].label) for name in drawn.exemplars]
        prompt = adapter.encode(template.exemplars(pairs))
        with read_heads(adapter, [(0, prompt.marks[EXEMPLAR.name])]) as heads:
            forward(adapter, [whole(prompt)])
        apart.append(heads.on_host()[0])
    torch.testing.assert_close(found["text_icl/2"], torch.stack(apart).mean(0), atol=1e-5, rtol=0)


def test_mediation_replaces_each_head_by_its_mean_over_all_seeds(job, run, load, outputs):
    save_file(outputs, job.folder / "heads.safetensors")
    run(mediate, mediating(job, job.folder / "heads.safetensors"))
    effects = read_effects([job.folder / "effects.parquet"])
    assert len(effects) == 2 * 3 * LAYERS * HEADS
    adapter, template = load(job.checkpoint, "tiny"), find_template(TEMPLATES, "generic")
    validation = [item for item in job.items if item.split == "validation"]
    drawn = mediate.shuffled_sets(TASK, validation, 3, 2, 0)[1]
    encoded, label = mediate.encode_set(adapter, template, drawn, "image")
    mean = (outputs["image_icl/1"] + outputs["image_icl/2"]) / 2
    before, after = naive_effects(adapter, encoded, mean, label)
    own = effects[(effects["specification"] == "image_icl") & (effects["prompt"] == 1)]
    assert set(own["entity"]) == {drawn.query.entity}
    found = torch.tensor(own.sort_values(["layer", "head"])["after"].to_numpy())
    torch.testing.assert_close(found.reshape(after.shape), after, rtol=1e-3, atol=1e-7)
    assert own["before"].iloc[0] == pytest.approx(before, rel=1e-3)


def test_too_few_exemplars_to_shuffle_are_named(job, run, outputs):
    save_file(outputs, job.folder / "heads.safetensors")
    with pytest.raises(UserError, match=r"4 items with 4 different labels are too few for 5 "):
        run(mediate, mediating(job, job.folder / "heads.safetensors", exemplars=5))


def making(job: Job, top: int) -> list[str]:
    return [
        *without(job.common(), "--templates", "--template", "--task"),
        *("--tasks", TASK, "--outputs", str(job.folder / "heads.safetensors")),
        *("--heads", str(job.folder / "heads.csv"), "--top", str(top)),
        *("--out", str(job.folder / "function_vectors.safetensors")),
    ]


RANKED = [
    *(("text_icl", 2, 3, 1), ("text_icl", 0, 1, 2), ("text_icl", 2, 0, 3)),
    *(("image_icl", 1, 1, 1), ("image_icl", 1, 2, 2)),
]


def test_a_function_vector_is_what_the_top_heads_write(job, run, load, outputs):
    save_file(outputs, job.folder / "heads.safetensors")
    table = pd.DataFrame(RANKED, columns=["specification", "layer", "head", "rank"])
    write_frame(job.folder / "heads.csv", table)
    run(make_vectors, making(job, 2))
    made = read_tensors(job.folder / "function_vectors.safetensors")
    assert set(made) == {f"{TASK}/{name}" for name in outputs}
    adapter, width = load(job.checkpoint, "tiny"), WIDTH // HEADS
    expected = torch.zeros(WIDTH)
    for layer, head in ((2, 3), (0, 1)):
        weight = adapter.layers[layer].self_attn.o_proj.weight.cpu()
        expected += (
            weight[:, head * width : (head + 1) * width] @ outputs["text_icl/2"][layer, head]
        )
    torch.testing.assert_close(made[f"{TASK}/text_icl/2"], expected, atol=1e-5, rtol=0)
    with pytest.raises(UserError, match=r"has 2 for image_icl, but .* asks for 3"):
        run(make_vectors, making(job, 3))
    write_frame(job.folder / "heads.csv", table.assign(head=9))
    with pytest.raises(UserError, match=r"head 9 of layer \d does not exist"):
        run(make_vectors, making(job, 2))


def written(job: Job, split: str) -> list[str]:
    """Made-up vectors of two tasks on disk; what both commands that add them take."""
    generator = torch.Generator().manual_seed(6)
    names = [f"{spec}/{seed}" for spec in ("text_icl", "image_icl") for seed in (1, 2)]
    functions = {
        f"{task}/{name}": torch.randn(WIDTH, generator=generator)
        for task in (TASK, OTHER)
        for name in names
    }
    save_file(functions, job.folder / "function_vectors.safetensors")
    for task in (TASK, OTHER):
        own = {name: torch.randn(LAYERS, WIDTH, generator=generator) for name in names}
        own |= {"instruction": torch.zeros(LAYERS, WIDTH)}
        save_file(own, job.folder / f"{task}.safetensors")
    return [
        *(*job.common(), "--items", str(job.folder / f"{split}.jsonl")),
        *("--vectors", str(job.folder / f"{TASK}.safetensors")),
        *("--function-vectors", str(job.folder / "function_vectors.safetensors")),
        *("--out", str(job.folder / f"{split}.parquet")),
    ]


def test_on_validation_text_vectors_of_the_first_seed_are_added_everywhere(job, run, load):
    run(sweep, [*written(job, "validation"), "--strengths", "0.5", "3"])
    found = read_injections([job.folder / "validation.parquet"])
    # Five items in two modalities, two ways, all layers, two strengths.
    assert len(found) == 5 * 2 * 2 * LAYERS * 2
    assert set(found["seed"]) == {1}
    assert set(found["specification"]) == {"text_icl"}
    adapter, template = load(job.checkpoint, "tiny"), find_template(TEMPLATES, "generic")
    asked = adapter.encode(template.query(Text(job.items[0].entity)))
    functions = read_tensors(job.folder / "function_vectors.safetensors")
    vectors = {"own": functions[f"{TASK}/text_icl/1"].expand(LAYERS, -1)}
    ((_, _, expected),) = naive_sweep(adapter, [asked], vectors, [Site("own", 1, 3.0)])
    (one,) = found[
        (found["method"] == "text_icl_function") & (found["entity"] == job.items[0].entity)
        & (found["layer"] == 1) & (found["strength"] == 3)
    ].itertuples()  # fmt: skip
    assert one.token_id == expected.token_id
    assert one.logit_difference == pytest.approx(expected.logit_difference, abs=1e-3)


def test_a_strength_that_makes_activations_infinite_is_named(job, run):
    with pytest.raises(UserError, match=r"written 1e\+39 times after layer \d, makes .* infinite"):
        run(sweep, [*written(job, "validation"), "--strengths", "1", "1e39"])
    assert not (job.folder / "validation.parquet").exists()


def injecting(job: Job, *more: str) -> list[str]:
    common = written(job, "test")
    chosen = {"function": {"layer": 1, "strength": 2.0}, "inject": {"layer": 2, "strength": 0.5}}
    write_json(job.folder / "injection.json", chosen)
    write_json(job.folder / "layer.json", {"layer": 0})
    return [
        *(*common, "--injection", str(job.folder / "injection.json")),
        *("--layer", str(job.folder / "layer.json"), *more),
    ]


def test_on_test_all_seeds_are_added_where_validation_chose(job, run):
    run(inject, injecting(job))
    found = read_predictions([job.folder / "test.parquet"])
    assert set(found["seed"]) == {1, 2}
    by_way = found.groupby(found["method"].str.extract(r"(inject|function)$")[0])
    assert by_way["layer"].unique().map(list).to_dict() == {"function": [1], "inject": [2]}
    assert not found["method"].str.startswith("composed").any()


def test_composed_vectors_are_a_tasks_and_anothers_step_to_images(job, run, load):
    run(inject, injecting(job, "--other", OTHER, str(job.folder / f"{OTHER}.safetensors")))
    found = read_predictions([job.folder / "test.parquet"])
    composed = found[found["specification"] == "composed"]
    assert set(composed["method"]) == {
        *("composed_patch", "composed_xpatch", "composed_function", "composed_xfunction")
    }
    own, other = (read_tensors(job.folder / f"{task}.safetensors") for task in (TASK, OTHER))
    vector = own["text_icl/2"] + other["image_icl/2"] - other["text_icl/2"]
    adapter, template = load(job.checkpoint, "tiny"), find_template(TEMPLATES, "generic")
    item = job.items[-1]
    asked = adapter.encode(template.query(Text(item.entity)))
    ((_, _, expected),) = naive_sweep(adapter, [asked], {"own": vector}, [Site("own", 0)])
    (one,) = composed[
        (composed["method"] == "composed_xpatch") & (composed["entity"] == item.entity)
        & (composed["seed"] == 2)
    ].itertuples()  # fmt: skip
    assert one.token_id == expected.token_id
    assert one.logit_difference == pytest.approx(expected.logit_difference, abs=1e-3)
