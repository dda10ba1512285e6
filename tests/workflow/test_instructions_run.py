"""Noisy instructions of the cut-down experiment: the table counted again from the answers."""

from __future__ import annotations

import pandas as pd
import pytest

from taskvectors.study.instructions import KINDS, worded
from taskvectors.study.metrics import matches
from taskvectors.study.predictions import method_name, read_predictions

pytestmark = pytest.mark.workflow
TASKS = ("country-capital", "food-color", "food-flavor")
FILES = {"read": "baselines.parquet", "write": "test.parquet", "instructions": "test.parquet"}
SPECIFICATIONS = {"plain": "instruction", **{kind: worded(kind) for kind in KINDS}}
SPECIFICATIONS["mean_of_wordings"] = "instruction_mean_of_wordings"


def test_every_number_of_the_table_is_counted_again(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/table_instructions.csv")
    table = table[table["metric"] == "paper"]
    assert len(table) == 2 * (1 + 2 + 2 * len(KINDS) + 1)  # modalities; none, plain, kinds, mean
    for task in TASKS:
        folders = [(tiny_run.results / stage, name) for stage, name in FILES.items()]
        rows = read_predictions([f / "embedded/spaced" / task / name for f, name in folders])
        rows = rows[rows["split"] == "test"]
        right = [matches(*pair) for pair in zip(rows["token"], rows["label"], strict=True)]
        counted = rows.assign(right=right).groupby(["method", "query_modality"])["right"].mean()
        for row in table.to_dict("records"):
            query = row["query_modality"]
            way = {"prompt": "base"}.get(row["way"], row["way"])
            name = SPECIFICATIONS.get(row["instruction"])
            method = way if name is None else method_name(name, query, way)
            assert row[task] == pytest.approx(counted[method, query]), row
