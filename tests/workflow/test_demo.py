"""Your own prompts, without Snakemake: the demo gives what the workflow gives."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest

from taskvectors.base.tensors import read_tensors
from taskvectors.study.datasets import read_exemplar_sets, read_items
from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow


def demo(tiny_run, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo on the tiny run's embedded model with the spaced template."""
    fixed = ["--model", "results/tiny/prepare/embedded", "--template", "spaced"]
    return subprocess.run(
        [sys.executable, "-m", "taskvectors.demo", *fixed, *arguments],
        cwd=tiny_run.folder,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def prompts(tiny_run, tmp_path_factory):
    """The validation prompts of one task and seed, asking a test item's image."""
    folder = tiny_run.results / "curate/country-capital"
    items = {item.entity: item for item in read_items(folder / "validation.jsonl")}
    asked = read_items(folder / "test.jsonl")
    drawn = [
        one
        for one in read_exemplar_sets(folder / "exemplars.jsonl")
        if (one.split, one.seed) == ("validation", 1)
    ]
    path = tmp_path_factory.mktemp("demo") / "prompts.jsonl"
    rows = [
        {
            "id": str(number),
            "vector": "capital",
            "specification": "text_icl",
            "exemplars": [{"input": n, "output": items[n].label} for n in one.exemplars],
            "query": {"image": str(tiny_run.folder / asked[number].image)},
            "label": asked[number].label,
        }
        for number, one in enumerate(drawn)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_demo_gives_the_workflows_vectors_and_answers(tiny_run, prompts, tmp_path):
    layer = json.loads((tiny_run.results / "score/embedded/spaced/layer.json").read_text())["layer"]
    done = demo(
        tiny_run,
        *("--prompts", str(prompts), "--out", str(tmp_path)),
        *("--layers", "0", str(layer), "29", "--tokens", "3"),
    )
    assert done.returncode == 0, done.stderr
    vectors = read_tensors(tmp_path / "vectors.safetensors")
    averaged = read_tensors(
        tiny_run.results / "average/embedded/spaced/country-capital/vectors.safetensors"
    )
    assert (vectors["capital"] - averaged["text_icl/1"]).abs().max() < 1e-3
    written = read_predictions(
        [tiny_run.results / "write/embedded/spaced/country-capital/test.parquet"]
    )
    written = written[(written["method"] == "text_icl_xpatch") & (written["seed"] == 1)]
    by_label = written.set_index("label")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    for row in rows:
        assert row["patch"].keys() == {"0", str(layer), "29"}
        here = row["patch"][str(layer)]
        assert here["token"] == by_label.loc[row["label"], "token"]
        assert here["logit_difference"] == pytest.approx(
            by_label.loc[row["label"], "logit_difference"], abs=1e-2
        )
        assert here["text"].startswith(here["token"]) or here["token"] == "<|im_end|>"
        assert here["neighbourhood"].endswith("A>:<")
        assert not here["forced_boundary"] and not row["base"]["forced_boundary"]
        assert row["base"]["position"] > row["no_context"]["position"]


def test_the_demo_makes_and_adds_function_vectors(tiny_run, prompts, tmp_path):
    done = demo(
        tiny_run,
        *("--prompts", str(prompts), "--out", str(tmp_path), "--layers", "12"),
        *("--heads", "10", "--strengths", "1", "4"),
    )
    assert done.returncode == 0, done.stderr
    (vector,) = read_tensors(tmp_path / "function_vectors.safetensors").values()
    assert vector.shape == (576,)
    heads = json.loads((tmp_path / "heads.json").read_text())
    assert len({(head["layer"], head["head"]) for head in heads}) == 10
    effects = [head["effect"] for head in heads]
    assert effects == sorted(effects, reverse=True) and effects[0] > 0
    for line in (tmp_path / "answers.jsonl").read_text().splitlines():
        assert json.loads(line)["function"]["12"].keys() == {"1", "4"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"exemplar": []}, "unknown key 'exemplar'; did you mean 'exemplars'?"),
        ({"specification": "instruction"}, "is not valid under any of the given schemas"),
    ],
)
def test_a_wrong_line_is_named(tiny_run, prompts, tmp_path, change, complaint):
    row = {**json.loads(prompts.read_text().splitlines()[0]), **change}
    path = tmp_path / "wrong.jsonl"
    path.write_text(json.dumps(row) + "\n")
    done = demo(tiny_run, "--prompts", str(path), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "wrong.jsonl, line 1" in last
    assert complaint in last
    assert not (tmp_path / "out").exists()


def test_a_layer_that_does_not_exist_is_refused_before_anything_is_read(
    tiny_run, prompts, tmp_path
):
    done = demo(
        tiny_run, "--prompts", str(prompts), "--out", str(tmp_path / "out"), "--layers", "30"
    )
    assert done.stderr.splitlines()[-1] == "error: --layers: embedded has layers 0 to 29, not 30."
    assert not (tmp_path / "out").exists()


def test_the_last_layer_decodes_to_the_models_own_answers(tiny_run):
    tops = pd.read_csv(tiny_run.results / "score/embedded/spaced/country-capital/tops.csv")
    last = tops[(tops["specification"] == "text_icl") & (tops["layer"] == tops["layer"].max())]
    decoded = last.astype({"seed": int}).groupby(["seed", "token_id"])["sets"].sum()
    place = tiny_run.results / "read/embedded/spaced/country-capital"
    baselines = read_predictions([place / "baselines.parquet"])
    answers = baselines[(baselines["method"] == "text_icl_base") & (baselines["split"] == "test")]
    assert decoded.to_dict() == answers.groupby(["seed", "token_id"]).size().to_dict()
