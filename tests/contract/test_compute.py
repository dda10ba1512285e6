"""What asking costs, measured on a tiny LLaVA: every way, with what was really asked."""

from __future__ import annotations

import sys
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from taskvectors import compute
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl
from taskvectors.study.datasets import Item
from taskvectors.study.prompts import ImageInput, Text, find_template

from .tiny import LAYERS, WIDTH
from .vocabulary import WORDS

TEMPLATES = Path(__file__).resolve().parents[2] / "resources/templates.yaml"
TEMPLATE = find_template(TEMPLATES, "generic")
SHOWN, DESCRIBED = WORDS[:4], {word: f"{word} {word[::-1]} " * 4 + "." for word in WORDS[:2]}


@pytest.fixture
def measure(tmp_path, checkpoint, images, monkeypatch):
    """A function that runs the command with some vectors and descriptions."""
    tested = [Item("a", "test", w, images[n % 3], w[::-1]) for n, w in enumerate(WORDS[4:9])]
    shown = [Item("a", "validation", word, images[0], word[::-1]) for word in SHOWN]
    write_jsonl(tmp_path / "test.jsonl", [item.as_row() for item in tested])
    write_jsonl(tmp_path / "validation.jsonl", [item.as_row() for item in shown])
    write_json(tmp_path / "layer.json", {"layer": 1})

    def run(vectors: dict[str, torch.Tensor], described: dict[str, str]) -> pd.DataFrame:
        save_file(vectors, tmp_path / "vectors.safetensors")
        (tmp_path / "descriptions.yaml").write_text(
            yaml.safe_dump({"foods" if described else "others": described or DESCRIBED})
        )
        arguments = [
            *("--model", str(checkpoint), "--name", "tiny", "--dtype", "float32"),
            *("--templates", str(TEMPLATES), "--template", "generic", "--entity-set", "foods"),
            *(
                "--items",
                str(tmp_path / "test.jsonl"),
                "--shown",
                str(tmp_path / "validation.jsonl"),
            ),
            *("--descriptions", str(tmp_path / "descriptions.yaml")),
            *("--vectors", str(tmp_path / "vectors.safetensors")),
            *("--layer", str(tmp_path / "layer.json"), "--out", str(tmp_path / "costs.csv")),
        ]
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        compute.main()
        return pd.read_csv(tmp_path / "costs.csv", keep_default_na=False)

    return run


def own() -> dict[str, torch.Tensor]:
    return {"text_icl/1": torch.ones(LAYERS, WIDTH), "instruction": torch.zeros(LAYERS, WIDTH)}


def test_every_way_is_measured_on_the_prompts_that_it_says(measure, checkpoint, load, images):
    costs = measure(own(), DESCRIBED)
    ways = list(
        zip(costs["way"], costs["inputs"], costs["exemplars"], costs["distinct"], strict=True)
    )
    assert ways == [
        ("patch", "", 0, 0),
        *(("prompt", "names", n, min(n, 4)) for n in (5, 10, 30)),
        *(("prompt", "descriptions", n, 2) for n in (5, 10, 30)),
    ]
    assert set(costs["queries"]) == {4} and set(costs["query_modality"]) == {"image"}
    assert (costs["fastest"] > 0).all()
    assert costs["seconds"].between(costs["fastest"], costs["slowest"]).all()
    weights = sum(p.stat().st_size for p in checkpoint.glob("*.safetensors"))
    assert (costs["memory_bytes"] > weights).all()
    adapter = load(checkpoint, "tiny")
    kinds = {"names": list(SHOWN), "descriptions": list(DESCRIBED.values())}
    for row in costs.to_dict("records"):
        inputs = islice(cycle(kinds.get(row["inputs"], [""])), row["exemplars"])
        labels = islice(cycle([w[::-1] for w in SHOWN[: row["distinct"]]]), row["exemplars"])
        pairs = [(Text(one), label) for one, label in zip(inputs, labels, strict=True)]
        context = TEMPLATE.exemplars(pairs) if pairs else ()
        lengths = [
            len(adapter.encode((*context, *TEMPLATE.query(ImageInput(images[n % 3])))).ids)
            for n in range(5)
        ]
        assert row["tokens"] == max(lengths)


def test_a_query_pays_for_seeing_its_image_every_time(measure, monkeypatch):
    seen = []
    real = compute.run

    def watched(adapter, rows, **given):
        seen.append(len(adapter.features))
        return real(adapter, rows, **given)

    monkeypatch.setattr(compute, "run", watched)
    measure(own(), {})
    assert len(seen) == 4 * 5
    # Three images among five queries: this query's is never among those that are kept.
    assert max(seen) <= 2


def test_an_entity_set_without_descriptions_has_no_long_exemplars(measure):
    assert set(measure(own(), {})["inputs"]) == {"", "names"}


def test_a_missing_vector_is_named(measure):
    with pytest.raises(UserError, match="has no text_icl vector; add text_icl"):
        measure({"instruction": torch.zeros(LAYERS, WIDTH)}, {})
