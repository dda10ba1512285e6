"""The open vision side as it is committed, and what stands beside it in `table_gap`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow
SETTINGS = ("--configfile", "tests/workflow/gap.yaml")
OPEN, LOOKUP, TASK = "embedded-open", "embedded", "food-color"
FOLDER = "results/tinygap"
SHOWN = 24  # images of an entity set that are looked at here


def some_images(manifest: Path) -> None:
    """Leave the manifest only some images."""
    pd.read_csv(manifest).head(SHOWN).to_csv(manifest, index=False)


@pytest.fixture(scope="module")
def compared(tiny_run, second_checkout) -> Path:
    """The results of `table_gap`; images, the lookup and the language model are the tiny run's."""
    results = second_checkout.folder / FOLDER
    for stage in ("collect", "prepare"):
        shutil.copytree(tiny_run.results / stage, results / stage)
    lookup = second_checkout.snakemake(f"{FOLDER}/prepare/{LOOKUP}", "--touch", *SETTINGS)
    assert lookup.returncode == 0, lookup.stdout[-3000:]
    by_time = ("--rerun-triggers", "mtime")  # these have no records
    seen = second_checkout.snakemake(f"{FOLDER}/prepare/{OPEN}", *by_time, *SETTINGS)
    assert seen.returncode == 0, seen.stdout[-3000:]
    for manifest in results.glob("collect/twemoji/*/manifest.csv"):
        some_images(manifest)
    models = [f"{FOLDER}/prepare/{model}" for model in (LOOKUP, OPEN)]
    touched = second_checkout.snakemake(*models, "--touch", *SETTINGS)
    assert touched.returncode == 0, touched.stdout[-3000:]
    done = second_checkout.snakemake("table_gap", *by_time, *SETTINGS)
    assert done.returncode == 0, done.stdout[-6000:]
    return results


@pytest.fixture(scope="module")
def table(compared) -> pd.DataFrame:
    return pd.read_csv(compared / "tables/table_gap.csv").set_index(["model", "measure", "of"])


def test_the_committed_weights_bring_unseen_images_nearest_to_their_names(compared):
    found = json.loads((compared / f"prepare/{OPEN}/naming.json").read_text())
    assert found["vision_tower"] == "open projector"
    named = {entity_set: one["accuracy"] for entity_set, one in found["held_out"].items()}
    assert named["countries"] > 0.9 and named["foods"] > 0.75 and named["mammals"] > 0.55


def test_both_models_are_one_language_model(table):
    written = table["name"].dropna().unstack("model")
    assert len(written) == 10
    pd.testing.assert_series_equal(written[OPEN], written[LOOKUP], check_names=False)


def test_an_open_projectors_tokens_are_no_mixtures_of_embeddings(table):
    cosine = table["value"].xs(("tokens", "largest cosine"), level=("measure", "of"))
    assert cosine[OPEN] < cosine[LOOKUP]


def test_distinct_answers_are_counted_from_the_predictions(compared, table):
    for model in (LOOKUP, OPEN):
        rows = read_predictions([compared / f"read/{model}/spaced/{TASK}/baselines.parquet"])
        asked = rows[(rows["method"] == "image_icl_base") & (rows["split"] == "test")]
        shown = table.loc[(model, "distinct answers", "image_icl_base"), "value"]
        assert shown == pytest.approx(asked["token_id"].nunique() / len(asked))
