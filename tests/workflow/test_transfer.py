"""A language model's vectors in the tuned VLM, and two templates, run for real on one task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from test_tiny_run import share_right

from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow
VLM, READER, TASK, SEEDS = "embedded-tuned", "smollm2", "food-color", (1, 2)


@pytest.fixture(scope="module")
def transferred(tiny_run, second_checkout) -> Path:
    """The results of Tables 4, 6 and 7; images and models are copied from the tiny run."""
    checkout = second_checkout
    results = checkout.folder / "results/tinytransfer"
    for stage in ("collect", "prepare"):
        shutil.copytree(tiny_run.results / stage, results / stage)
    settings = ("--configfile", "tests/workflow/transfer.yaml")
    prepared = checkout.snakemake("results/tinytransfer/prepare/embedded", "--touch", *settings)
    assert prepared.returncode == 0, prepared.stdout[-3000:]
    done = checkout.snakemake(
        *("table_4", "table_6", "table_7", "--rerun-triggers", "mtime"), *settings
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "rule vision_tower:" not in done.stdout
    return results


def answers(results: Path, template: str, *folder: str) -> pd.DataFrame:
    """Test predictions of one way to patch."""
    place = results / "write" / VLM / template / TASK
    return read_predictions([place.joinpath(*folder, "test.parquet")])


def ours(results: Path, table: str, *keys: str) -> pd.DataFrame:
    data = pd.read_csv(results / f"tables/{table}.csv")
    chosen = (data["source"] == "ours") & (data["metric"] == "paper")
    return data[chosen].set_index(list(keys))


def test_the_tuned_model_differs_from_the_embedded_one_in_queries_and_values_only(transferred):
    before = load_file(transferred / "prepare/embedded/model.safetensors")
    after = load_file(transferred / f"prepare/{VLM}/model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {n for n in before if n.endswith(("q_proj.weight", "v_proj.weight"))}
    figures = json.loads((transferred / f"prepare/{VLM}/tuning.json").read_text())["perplexity"]
    assert figures["after"]["captions"] < figures["before"]["captions"]
    assert figures["after"]["plain_text"] < 1.1 * figures["before"]["plain_text"]


def test_table_7_is_recounted_from_both_models_vectors(transferred):
    table = ours(transferred, "table_7", "method", "query_modality")
    for name, folder in (("vlm_vlm", ()), ("llm_vlm", (f"from_{READER}",))):
        rows = answers(transferred, "spaced", *folder)
        for method, way, modality in (
            ("text_icl_xpatch", "xpatch", "image"),
            ("text_icl_patch", "patch", "text"),
        ):
            asked = rows[(rows["method"] == method) & (rows["query_modality"] == modality)]
            assert len(asked) == 4 * len(SEEDS)
            found = table.loc[(f"{name}_{way}", modality), TASK]
            assert found == pytest.approx(share_right(asked))
    layers = {
        answers(transferred, "spaced", *f)["layer"].unique()[0] for f in ((), ("from_smollm2",))
    }
    chosen = json.loads((transferred / f"score/{VLM}/spaced/layer.json").read_text())
    assert layers == {chosen["layer"]}


def test_table_4s_similarity_is_that_of_the_vectors_on_disk(transferred):
    layer = json.loads((transferred / f"score/{VLM}/spaced/layer.json").read_text())["layer"]
    own, reader = (
        load_file(transferred / f"average/{model}/spaced/{TASK}/vectors.safetensors")
        for model in (VLM, READER)
    )
    total = 0.0
    for seed in SEEDS:
        a, b = own[f"text_icl/{seed}"][layer], reader[f"text_icl/{seed}"][layer]
        total += float(a @ b) / float(a.norm() * b.norm())
    table = ours(transferred, "table_4", "method")
    found = table.loc["llm_vlm_xpatch", "cosine_similarity"]
    assert found == pytest.approx(total / len(SEEDS), abs=1e-5)
    assert 0.5 < found < 0.999999  # alike, and not the same model twice
    assert pd.isna(table.loc["random", "cosine_similarity"])  # one task has no other
    caption = (transferred / "tables/table_4.md").read_text()
    assert f"The VLM shown is {VLM}, its language model {READER}" in caption
    assert f"patched at layer {layer} of 30" in caption
    assert f"{VLM}: test items {TASK} 4; 2 seeds." in caption


def test_table_6_is_recounted_under_both_templates(transferred):
    table = ours(transferred, "table_6", "template", "method")
    for template in ("spaced", "chat"):
        rows = answers(transferred, template)
        asked = rows[(rows["method"] == "text_icl_xpatch") & (rows["query_modality"] == "image")]
        found = table.loc[(template, "text_icl_xpatch"), TASK]
        assert found == pytest.approx(share_right(asked))
        path = transferred / f"read/{VLM}/{template}/{TASK}/baselines.parquet"
        based = read_predictions([path])
        based = based[(based["method"] == "text_icl_xbase") & (based["split"] == "test")]
        assert table.loc[(template, "text_icl_xbase"), TASK] == pytest.approx(share_right(based))
    shown = answers(transferred, "chat")["neighbourhood"]
    assert shown.str.endswith("<|im_start|>assistant>\n<").all()
