"""Jobs that read and write: whole or not there, the same again, and each seed for itself."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch

from taskvectors import write
from taskvectors.average import task_vectors
from taskvectors.base.errors import UserError
from taskvectors.base.tensors import read_tensors
from taskvectors.curate.draws import exemplar_sets
from taskvectors.engine.forward import run as forward
from taskvectors.engine.trees import whole
from taskvectors.read import __main__ as read
from taskvectors.study.prompts import EXEMPLAR, ImageInput, Text, find_template
from taskvectors.study.vectors import BEFORE_TEXT_SITE

from .families import FAMILIES
from .jobs import ROOT, Job
from .tiny import LAYERS, WIDTH

KEYS = ["method", "query_modality", "seed", "layer", "entity"]


def test_reading_again_gives_the_same_bytes_and_every_row_is_there(job, run):
    run(read, job.reading())
    first = job.outputs()
    assert set(first) == {"activations.safetensors", "activations.json", "baselines.parquet"}
    run(read, job.reading())
    assert job.outputs() == first
    baselines = pd.read_parquet(job.folder / "read/baselines.parquet")
    assert len(baselines) == 10 * 2 + 2 * 2 * 10 * 2
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in read_tensors(job.folder / "read/activations.safetensors").items()
    }
    sites = [
        ("validation", "exemplar"),
        ("validation", "context"),
        ("validation", "query"),
        ("test", "query"),
    ]
    wanted = {f"{s}/{p}/{n}/{site}": (5, LAYERS, WIDTH)
              for s in ("text_icl", "image_icl") for p, site in sites for n in (1, 2)}  # fmt: skip
    assert shapes == wanted | {"instruction": (1, LAYERS, WIDTH)}


def test_another_seed_leaves_the_others_activations_as_they_are(job, run):
    run(read, job.reading())
    before = read_tensors(job.folder / "read/activations.safetensors")
    job.sets = exemplar_sets("capitals", job.items, [1, 7, 2], 2)
    run(read, job.reading())
    now = read_tensors(job.folder / "read/activations.safetensors")
    assert len(now) == len(before) + 8
    assert all(torch.equal(now[name], tensor) for name, tensor in before.items())


def test_a_missing_image_is_named_and_leaves_nothing(job, run, tmp_path):
    job.items[5] = replace(job.items[5], image=str(tmp_path / "gone.png"))
    with pytest.raises(UserError, match=r"gone\.png is missing; collect it again"):
        run(read, job.reading())
    assert job.outputs() == {}


def test_activations_that_are_not_finite_are_refused_by_name_and_row(job, run, monkeypatch):
    monkeypatch.setattr(read, "read_batch", lambda *_: [])  # a job that forgets its rows
    with pytest.raises(UserError, match=r"activation text_icl/validation/1/exemplar, row 0, is"):
        run(read, job.reading())
    assert job.outputs() == {}


def vectors(*seeds: int) -> dict[str, torch.Tensor]:
    """Random vectors as `taskvectors.average` names them; a seed's are always the same."""
    found = {"instruction": torch.ones(LAYERS, WIDTH)}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for name in ("text_icl", "image_icl", "text_icl_n2", "ensemble"):
            found[f"{name}/{seed}"] = torch.randn(LAYERS, WIDTH, generator=generator)
    return found


@pytest.mark.parametrize("layer", [None, 1], ids=["all layers", "the chosen one"])
def test_writing_asks_what_the_stage_promises_and_each_seed_for_itself(job, run, layer):
    run(write, job.writing(vectors(1, 2), layer))
    first = pd.read_parquet(job.folder / "test.parquet")
    layers = LAYERS if layer is None else 1
    per_seed = 2 * 10 + (2 * 5 if layer is not None else 0)  # subsets are asked images, on test
    assert len(first) == layers * (10 + 2 * per_seed)
    run(write, job.writing(vectors(1, 2, 3), layer))
    now = pd.read_parquet(job.folder / "test.parquet")
    assert len(now) == len(first) + layers * per_seed
    old, same = (table.sort_values(KEYS).reset_index(drop=True) for table in
                 (now[now["seed"] != 3], first))  # fmt: skip
    # Other branches in a pass may change how sums are laid out: the last digits, no token.
    pd.testing.assert_frame_equal(old, same, rtol=1e-3, atol=1e-4)


@pytest.fixture
def mantis(job, tmp_path_factory) -> Job:
    """The same task of a tiny Mantis."""
    folder = tmp_path_factory.mktemp("fuyu")
    FAMILIES["fuyu"].save(folder)
    return replace(job, checkpoint=folder)


def test_mantis_reads_text_exemplars_in_the_tokens_before_each_query(mantis, run, load):
    run(read, mantis.reading())
    found = read_tensors(mantis.folder / "read/activations.safetensors")
    adapter = load(mantis.checkpoint, "tiny")
    template = find_template(ROOT / "resources/templates.yaml", "generic")
    items = {item.entity: item for item in mantis.items}
    drawn = mantis.sets[0]
    pairs = [(Text(name), items[name].label) for name in drawn.exemplars]
    queries = {
        "exemplar": ImageInput(items[drawn.query].image),
        BEFORE_TEXT_SITE: Text(drawn.query),
    }
    sites = {}
    for site, query in queries.items():
        prompt = adapter.encode((*template.exemplars(pairs), *template.query(query)))
        at = prompt.marks[EXEMPLAR.name]
        (alone,), _ = forward(adapter, [whole(prompt)], [(0, at)])
        sites[site] = found[f"text_icl/validation/{drawn.seed}/{site}"][0]
        torch.testing.assert_close(sites[site], alone, atol=1e-4, rtol=0)
    assert not torch.allclose(sites["exemplar"], sites[BEFORE_TEXT_SITE], atol=1e-2)
    assert not any(name.startswith("image_icl") and BEFORE_TEXT_SITE in name for name in found)
    averaged = task_vectors(found)
    names = {"text_icl/1": "exemplar", "text_icl_before_text/1": BEFORE_TEXT_SITE}
    for name, site in names.items():
        read_there = found[f"text_icl/validation/1/{site}"]
        torch.testing.assert_close(averaged[name], read_there.mean(0))


def test_mantis_patches_text_queries_with_what_was_read_before_text(mantis, run):
    own = vectors(1)
    run(write, mantis.writing(own, 1))
    plain = pd.read_parquet(mantis.folder / "test.parquet")
    run(write, mantis.writing({**own, "text_icl_before_text/1": -own["text_icl/1"]}, 1))
    apart = pd.read_parquet(mantis.folder / "test.parquet")
    assert len(apart) == len(plain)
    kept = ["method", "query_modality", "entity", "token_id"]
    changed = {
        method: not group[kept]
        .reset_index(drop=True)
        .equals(plain[plain["method"] == method][kept].reset_index(drop=True))
        for method, group in apart.groupby("method")
    }
    assert {method for method, differs in changed.items() if differs} == {"text_icl_patch"}
