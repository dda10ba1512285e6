"""Controls of the cut-down experiment: its vectors, and its table counted again."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from taskvectors.base.parquet import schema_of
from taskvectors.base.tensors import read_tensors
from taskvectors.study.metrics import matches
from taskvectors.study.predictions import Prediction, control_methods, read_predictions

pytestmark = pytest.mark.workflow
OTHER = {
    "country-capital": "food-color",
    "food-color": "country-capital",
    "food-flavor": "country-capital",
}
PLACE = "embedded/spaced"


def vectors(tiny_run, stage: str, task: str) -> dict[str, torch.Tensor]:
    return read_tensors(tiny_run.results / stage / PLACE / task / "vectors.safetensors")


@pytest.mark.parametrize("task", OTHER)
def test_controls_are_the_others_vectors_and_random_ones_as_long_as_the_real(tiny_run, task):
    real, found = (vectors(tiny_run, stage, task) for stage in ("average", "controls"))
    other = vectors(tiny_run, "average", OTHER[task])
    assert len(found) == 2 * (3 + 5)  # seeds; of text and of image ICL
    for name in ("text_icl", "image_icl"):
        for seed in (1, 2):
            vector = real[f"{name}/{seed}"]
            assert torch.equal(found[f"{name}_other_task/{seed}"], other[f"{name}/{seed}"])
            random = found[f"{name}_random/{seed}"]
            torch.testing.assert_close(random.norm(dim=-1), vector.norm(dim=-1))
            assert torch.cosine_similarity(random, vector).abs().max() < 0.25
    for control in ("shuffled_labels", "noise", "irrelevant"):
        assert not torch.equal(found[f"image_icl_{control}/1"], real["image_icl/1"])
    predicted = tiny_run.results / "controls" / PLACE / task / "test.parquet"
    assert pq.read_table(predicted).schema.equals(schema_of(Prediction))


def test_every_number_of_the_table_is_counted_again_and_differences_are_of_them(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/table_controls.csv")
    table = table[table["metric"] == "paper"]
    assert len(table) == 2 * (5 + 7)  # modalities of queries; real, no_context and controls
    files = {"read": "baselines.parquet", "write": "test.parquet", "controls": "test.parquet"}
    for task in OTHER:
        rows = read_predictions(
            [tiny_run.results / stage / PLACE / task / name for stage, name in files.items()]
        )
        rows = rows[rows["split"] == "test"]
        right = [matches(*pair) for pair in zip(rows["token"], rows["label"], strict=True)]
        counted = rows.assign(right=right).groupby(["method", "query_modality"])["right"].mean()
        for row in table.to_dict("records"):
            held = control_methods(row["query_modality"])[row["method"]]
            patched = held.get(row["vector"], row["method"])
            assert row[task] == pytest.approx(counted[patched, row["query_modality"]])
    real = table[table["vector"] == "real"].set_index(["method", "query_modality"])["average"]
    for row in table[table["vector"] != "real"].to_dict("records"):
        less = real[row["method"], row["query_modality"]] - row["average"]
        assert row["difference"] == pytest.approx(less)
        assert row["difference_low"] <= less + 1e-9 and less - 1e-9 <= row["difference_high"]
