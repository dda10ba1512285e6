"""The cut-down experiment, run for real: what every stage put out is what it says."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from taskvectors.base.files import sha256
from taskvectors.base.parquet import schema_of
from taskvectors.study.datasets import read_exemplar_sets, read_items
from taskvectors.study.predictions import Prediction, read_predictions

pytestmark = pytest.mark.workflow
TASKS = ["country-capital", "food-color", "food-flavor"]
LAYERS, WIDTH, TEST_ITEMS, SEEDS = 30, 576, 6, [1, 2]


def share_right(predictions: pd.DataFrame) -> float:
    """Accuracy under the paper's metric, written again on purpose."""
    right = 0
    for token, label in zip(predictions["token"], predictions["label"], strict=True):
        shown = token.strip()
        right += shown != "" and (label[: len(shown)] == shown or shown[: len(label)] == label)
    return right / len(predictions)


def test_images_match_their_manifest_and_the_held_out_rendering_is_not_trained_on(tiny_run):
    collected = tiny_run.results / "collect/twemoji/countries"
    manifest = pd.read_csv(collected / "manifest.csv")
    assert manifest["entity_set"].value_counts().to_dict() == {"countries": 197}
    for row in manifest.sample(20, random_state=0).itertuples():
        assert sha256(collected / row.file) == row.sha256
    config = (tiny_run.results / "run_config.yaml").read_text()
    assert "evaluation: twemoji" in config


def test_datasets_are_disjoint_and_valid(tiny_run):
    for task in TASKS:
        folder = tiny_run.results / "curate" / task
        validation, test = (
            read_items(folder / "validation.jsonl"),
            read_items(folder / "test.jsonl"),
        )
        assert (len(validation), len(test)) == (4, TEST_ITEMS)
        assert not {i.entity for i in validation} & {i.entity for i in test}
        sets = read_exemplar_sets(folder / "exemplars.jsonl")
        assert len(sets) == len(SEEDS) * (4 + TEST_ITEMS)


def test_vectors_are_the_means_of_the_activations(tiny_run):
    place = "embedded/spaced/country-capital"
    with (
        safe_open(tiny_run.results / "read" / place / "activations.safetensors", "pt") as raw,
        safe_open(tiny_run.results / "average" / place / "vectors.safetensors", "pt") as averaged,
    ):
        own = {"text_icl", "image_icl", "ensemble"}
        some = {f"{s}_n{2 * r}" for s in ("text_icl", "ensemble") for r in (1, 2, 3, 4)}
        names = {f"{name}/{seed}" for name in own | some for seed in SEEDS} | {"instruction"}
        assert set(averaged.keys()) == names
        activations = raw.get_tensor("text_icl/validation/2/exemplar")
        assert activations.shape == (4, LAYERS, WIDTH)
        vector = averaged.get_tensor("text_icl/2")
        total = sum(activations[row] for row in range(4))
        assert (vector - total / 4).abs().max() < 1e-5


@pytest.mark.parametrize("task", TASKS)
def test_predictions_have_every_query_once_and_show_the_colon_they_patched(tiny_run, task):
    folder = tiny_run.results / "write/embedded/spaced" / task
    for path in (folder / "test.parquet", folder / "validation.parquet"):
        assert pq.read_table(path).schema.equals(schema_of(Prediction))
    test = read_predictions([folder / "test.parquet"])
    keys = ["method", "query_modality", "seed", "entity"]
    assert not test.duplicated(keys).any()
    own, partial = 2 * len(SEEDS) + 1, (4 + 4 + 1) * len(SEEDS)  # subsets, ensembles
    assert len(test) == TEST_ITEMS * (2 * own + partial)
    assert test["layer"].nunique() == 1
    assert test["neighbourhood"].str.endswith("A>:<").all()
    assert (test["logit_difference"] >= 0).all()
    validation = read_predictions([folder / "validation.parquet"])
    assert sorted(validation["layer"].unique()) == list(range(LAYERS))
    assert len(validation) == 4 * 2 * (2 * len(SEEDS) + 1) * LAYERS


def test_baselines_are_the_four_ways_to_prompt(tiny_run):
    path = tiny_run.results / "read/embedded/spaced/food-color/baselines.parquet"
    baselines = read_predictions([path])
    counts = baselines.groupby(["method", "query_modality"]).size()
    assert counts.to_dict() == {
        ("no_context", "text"): 10,
        ("no_context", "image"): 10,
        ("text_icl_base", "text"): 20,
        ("text_icl_xbase", "image"): 20,
        ("image_icl_xbase", "text"): 20,
        ("image_icl_base", "image"): 20,
    }


def test_the_layer_is_the_best_on_validation(tiny_run):
    folder = tiny_run.results / "write/embedded/spaced"
    right: dict[int, list[float]] = {}
    for task in TASKS:
        table = read_predictions([folder / task / "validation.parquet"])
        table = table[table["method"] == "text_icl_xpatch"]
        for layer, part in table.groupby("layer"):
            right.setdefault(layer, []).append(share_right(part))
    average = {layer: sum(shares) / len(shares) for layer, shares in right.items()}
    chosen = json.loads((tiny_run.results / "score/embedded/spaced/layer.json").read_text())
    assert chosen["layer"] == min(la for la, a in average.items() if a == max(average.values()))


def test_every_number_in_table_3_is_recounted_from_the_predictions(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    ours = table[(table["source"] == "ours") & (table["metric"] == "paper")].set_index("method")
    files = {"read": "baselines.parquet", "write": "test.parquet"}
    counted = 0
    for task in TASKS:
        paths = [
            tiny_run.results / stage / "embedded/spaced" / task / name
            for stage, name in files.items()
        ]
        rows = read_predictions(paths)
        rows = rows[(rows["split"] == "test") & (rows["query_modality"] == "image")]
        for method, part in rows.groupby("method"):
            if method in ours.index:
                assert ours.loc[method, task] == pytest.approx(share_right(part))
                counted += 1
    assert counted == len(TASKS) * 6
    assert ours["average"].to_list() == pytest.approx(ours[TASKS].mean(axis=1).to_list())


def test_captions_say_how_well_the_eyes_see_and_over_how_many_items(tiny_run):
    naming = json.loads((tiny_run.results / "prepare/embedded/naming.json").read_text())
    text = (tiny_run.results / "tables/table_3.md").read_text()
    share = naming["held_out"]["countries"]["accuracy"]
    assert "closed-set lookup of names" in text
    assert f"it names rightly: countries {share:.2f} of 197" in text
    assert "country-capital 6, food-color 6, food-flavor 6; 2 seeds" in text


def test_a_second_run_does_nothing(tiny_run):
    again = tiny_run.tiny()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_rebuilding_the_figure_needs_no_model(tiny_run):
    planned = tiny_run.tiny("figure_11", "--forcerun", "render_figure_11", "--dry-run")
    assert planned.returncode == 0, planned.stdout
    jobs = planned.stdout.split("Job stats:")[-1]
    assert "render_figure_11" in jobs
    for stage in ("read", "write_test", "vision_tower", "collect"):
        assert f"\n{stage} " not in jobs


def test_the_report_is_one_offline_page(tiny_run, tmp_path):
    page = tmp_path / "report.html"
    made = tiny_run.tiny("--report", str(page))
    assert made.returncode == 0, made.stdout[-3000:]
    html = page.read_text(encoding="utf-8")
    assert "figure_11" in html
    assert "Cross-modal transfer to image queries" in html
