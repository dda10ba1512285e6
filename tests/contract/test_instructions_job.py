"""Noisy instructions on a tiny LLaVA: vectors as they are read, answers as of one plain pass."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from taskvectors import instructions
from taskvectors.base.files import write_json, write_jsonl
from taskvectors.engine.forward import Patch
from taskvectors.engine.forward import run as forward
from taskvectors.engine.trees import whole
from taskvectors.study.datasets import Item
from taskvectors.study.instructions import wordings_of
from taskvectors.study.prompts import QUERY, ImageInput, Text, find_template
from taskvectors.study.tasks import find_task

from .tiny import LAYERS
from .vocabulary import WORDS

TEMPLATES = Path(__file__).resolve().parents[2] / "resources/templates.yaml"
TEMPLATE = find_template(TEMPLATES, "generic")
LAYER = LAYERS - 1
TASK = {
    "entity_set": "countries",
    "label": "capital",
    "instruction": f"{WORDS[0]}:",
    "wordings": {
        "paraphrase": [f"{WORDS[1]}:", f"{WORDS[2]} {WORDS[3]}:"],
        "contradictory": [f"{WORDS[4]}:"],
    },
}


@pytest.fixture
def items(images) -> list[Item]:
    return [Item("capitals", "test", w, images[n % 2], w[::-1]) for n, w in enumerate(WORDS[5:8])]


@pytest.fixture
def answers(tmp_path, checkpoint, items, monkeypatch) -> pd.DataFrame:
    """The predictions of the command, run here."""
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump({"capitals": TASK}))
    write_jsonl(tmp_path / "test.jsonl", [item.as_row() for item in items])
    write_json(tmp_path / "layer.json", {"layer": LAYER})
    arguments = [
        *("--model", str(checkpoint), "--name", "tiny", "--dtype", "float32"),
        *("--templates", str(TEMPLATES), "--template", "generic", "--task", "capitals"),
        *("--tasks", str(tmp_path / "tasks.yaml"), "--items", str(tmp_path / "test.jsonl")),
        *("--layer", str(tmp_path / "layer.json"), "--out", str(tmp_path / "test.parquet")),
    ]
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    instructions.main()
    return pd.read_parquet(tmp_path / "test.parquet")


def test_every_wording_is_asked_in_both_ways_and_modalities_once(answers):
    keys = ["method", "query_modality", "seed", "entity"]
    assert not answers.duplicated(keys).any()
    asked = answers.groupby("method").size().to_dict()
    prompted = {"instruction": 1, "instruction_paraphrase": 2, "instruction_contradictory": 1}
    # The plain instruction is patched where all vectors are, by `taskvectors.write`.
    patched = {"instruction_mean_of_wordings": 1, **prompted}
    del patched["instruction"]
    expected = {f"{name}_{x}base": 3 * n for name, n in prompted.items() for x in ("", "x")}
    expected |= {f"{name}_{x}patch": 3 * n for name, n in patched.items() for x in ("", "x")}
    assert asked == expected


def test_an_answer_is_that_of_one_plain_pass(answers, checkpoint, load, items, tmp_path):
    adapter = load(checkpoint, "tiny")
    wordings = wordings_of(find_task(tmp_path / "tasks.yaml", "capitals"))
    vectors = {}
    for name, text in wordings.items():
        bare = adapter.encode((Text(text), QUERY))
        read, _ = forward(adapter, [whole(bare)], [(0, len(bare.ids) - 1)])
        vectors[name] = read[0].float()
    noisy = [vector for name, vector in vectors.items() if name != "instruction"]
    vectors["instruction_mean_of_wordings"] = torch.stack(noisy).mean(0)
    by_name = {item.entity: item for item in items}
    for row in answers.to_dict("records"):
        seed = "" if pd.isna(row["seed"]) else f"/{int(row['seed'])}"
        name = row["specification"] + seed
        item = by_name[row["entity"]]
        shown = Text(item.entity) if row["query_modality"] == "text" else ImageInput(item.image)
        query = TEMPLATE.query(shown)
        if row["method"].endswith("base"):
            prompt, patches = (Text(wordings[name] + TEMPLATE.end), *query), []
            assert pd.isna(row["layer"])
        else:
            prompt, patches = query, [LAYER]
        encoded = adapter.encode(prompt)
        at = encoded.marks[QUERY.name]
        written = [Patch(0, at, layer, vectors[name][layer]) for layer in patches]
        _, (answer,) = forward(adapter, [whole(encoded)], patches=written, answers=[(0, at)])
        assert row["token_id"] == answer.token_id
        assert row["logit_difference"] == pytest.approx(answer.logit_difference, abs=1e-3)
