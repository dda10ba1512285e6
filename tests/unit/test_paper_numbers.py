"""The paper's numbers in resources/paper are those of its text (tests/golden/paper.txt)."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from taskvectors.score.claims import read_claims
from taskvectors.study.items import CLAIMS

MODELS = {"LLaVA-v1.5": "llava-v1.5", "Mantis-Fuyu": "mantis-fuyu", "Idefics2": "idefics2"}
METHODS = {
    "Random": "random",
    "No Context": "no_context",
    "Image ICL Base": "image_icl_base",
    "Image ICL Patch": "image_icl_patch",
    "Text ICL xBase": "text_icl_xbase",
    "Text ICL xPatch": "text_icl_xpatch",
    "VLM-VLM xPatch": "vlm_vlm_xpatch",
    "LLM-VLM xPatch": "llm_vlm_xpatch",
    "Image - Image Patch": ("image", "image"),
    "Text - Image xPatch": ("text", "image"),
    "Text - Text Patch": ("text", "text"),
    "Image - Text xPatch": ("image", "text"),
}


def golden(root, section: str) -> list[str]:
    """The lines of one section of the extract."""
    text = (root / "tests/golden/paper.txt").read_text(encoding="utf-8")
    return text.split(f"## {section}\n", 1)[1].split("\n\n## ")[0].splitlines()


def numbers(lines: list[str]) -> dict[tuple, list[float | None]]:
    """(model, method) to the numbers of a line; lines of dashes alone are left out."""
    found, model = {}, "-"
    for line in lines[1:]:
        if line in MODELS:
            model = MODELS[line]
            continue
        name, values = re.fullmatch(r"(.+?)((?: (?:\d\.\d\d|-))+)", line).groups()
        row = [None if value == "-" else float(value) for value in values.split()]
        if any(value is not None for value in row):
            found[model, METHODS[name]] = row
    return found


@pytest.mark.parametrize("number", [3, 4, 6, 7, 8])
def test_every_number_of_a_table_is_in_the_text_and_the_other_way_round(root, number):
    table = pd.read_csv(root / f"resources/paper/table_{number}.csv")
    keys = ["icl_modality", "query_modality"] if number == 8 else ["method"]
    ours = {}
    for row in table.to_dict("records"):
        method = tuple(row[key] for key in keys) if number == 8 else row["method"]
        values = [row[name] for name in table.columns if name not in ("model", *keys)]
        ours[row["model"], method] = [None if pd.isna(value) else value for value in values]
    paper = numbers(golden(root, f"Table {number}"))
    assert ours == paper


def test_table_2_has_the_papers_words_in_its_order(root):
    table = pd.read_csv(root / "resources/paper/table_2.csv")
    for line in golden(root, "Table 2")[1:]:
        task, words = line.split(" ", 1)
        part = table[table["task"] == task.lower()].sort_values(
            ["specification", "rank"], ascending=[False, True]
        )
        assert part["specification"].tolist() == ["text_icl"] * 5 + ["image_icl"] * 5
        tokens = ["\\Diamond" if token == "◇" else token for token in part["token"]]
        assert [", ".join(tokens[:5]), ", ".join(tokens[5:])] == [
            words[: len(", ".join(tokens[:5]))],
            words[len(", ".join(tokens[:5])) + 1 :],
        ]
        assert (part["word"] == (part["token"] != "◇")).all()


def test_table_5_has_the_papers_models(root):
    table = pd.read_csv(root / "resources/paper/table_5.csv").set_index("model")
    lines = golden(root, "Table 5")
    named = [line for line in lines if not line.startswith("(")]
    assert named[:3] == list(MODELS)
    assert table.index.tolist() == list(MODELS.values())
    joined = " ".join(named[3:])
    words = re.fullmatch(
        r"Text Model (.+) Vision Model (.+) Paradigm (.+) Image ICL (.+) Parameters (.+) "
        r"Num Layers (.+)",
        joined,
    ).groups()
    text, vision, paradigm, image_icl, parameters, layers = map(str.split, words)
    assert table["text_model"].tolist() == text
    assert table["vision_model"].tolist() == vision
    assert table["paradigm"].tolist() == [name.lower() for name in paradigm]
    assert [("No", "Yes")[taken] for taken in table["image_icl"]] == image_icl
    assert [f"{count}B" for count in table["parameters"]] == parameters
    assert [str(count) for count in table["layers"]] == layers


def test_the_gain_and_the_layers_are_those_of_the_text(root):
    text = "\n".join(golden(root, "Sentences"))
    gain = pd.read_csv(root / "resources/paper/figure_8.csv").iloc[0]
    assert (gain["model"], gain["samples"]) == ("idefics2", 5)
    assert f"improving over the five-sample exemplar-based vector by {gain['gain']:.0%}" in text
    layers = pd.read_csv(root / "resources/paper/layers.csv")
    names = {ours: paper for paper, ours in MODELS.items()}
    assert len(layers) == 3
    for row in layers.itertuples():
        assert f"Layer {row.layer} / {row.layers} for {names[row.model]}" in text


def test_every_claim_quotes_the_paper(root):
    text = "\n".join(golden(root, "Sentences"))
    for claim in read_claims(root / CLAIMS["claims"]):
        assert claim["where"].startswith("ours") or claim["quote"] in text


def test_every_file_of_published_numbers_is_checked_here_and_claims_ask_for_no_other(root):
    files = {path.stem for path in (root / "resources/paper").glob("*.csv")}
    assert files == {f"table_{number}" for number in range(2, 9)} | {"figure_8", "layers"}
    claims = read_claims(root / CLAIMS["claims"])
    assert {claim["published"] for claim in claims if "published" in claim} <= files
