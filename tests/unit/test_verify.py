"""`audit verify` on a small experiment: each kind of finding, and nothing else."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from taskvectors.audit.__main__ import main
from taskvectors.audit.today import COLLECTING, read_plan, settings_of
from taskvectors.audit.verify import verify
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json
from taskvectors.base.schemas import read_yaml
from taskvectors.record.code import code_hash
from taskvectors.record.provenance import record_path

ACTIVATIONS = "results/made/read/m/spaced/animal-latin/activations.safetensors"
VECTORS = "results/made/average/m/spaced/animal-latin/vectors.safetensors"
DATASET = "results/made/curate/animal-latin/test.jsonl"
IMAGES = "results/made/collect/twemoji/images"
TASK = {"task": "animal-latin"}


def keep_record(made, output, rule, inputs=(), **about):
    """Record an output as it is now, made by today's code."""
    module = f"taskvectors.{rule}"
    own = {"command": f"python -m {module}", "code": code_hash(module), "wildcards": TASK}
    made.record(output, rule, inputs, **{**own, **about})


def change_yaml(path, **changes):
    """Write a table of YAML with other values."""
    Path(path).write_text(yaml.safe_dump({**read_yaml(Path(path)), **changes}))


@pytest.fixture
def results(made, root, monkeypatch) -> Path:
    """Four recorded outputs in a repository of their own."""
    shutil.copytree(root / "resources", made.root / "resources")
    shutil.copy(root / "config.yaml", made.root)
    monkeypatch.chdir(made.root)
    change_yaml("config.yaml", experiment="made")
    for path in (ACTIVATIONS, VECTORS, DATASET, f"{IMAGES}/a.png", f"{IMAGES}/b.png"):
        made.file(path, path)
    keep_record(made, IMAGES, "collect")
    about = {
        "exemplars": 5, "images_evaluation": "twemoji", "label": "latin", "seeds": [1, 2, 3],
        "split_seed": 0, "test": 32, "validation": 20,
    }  # fmt: skip
    keep_record(made, DATASET, "curate", ["resources/tasks.yaml"], params=about)
    about = {"dtype": "float32", "specifications": ["text_icl", "image_icl", "instruction"]}
    job = {**TASK, "model": "embedded"}
    keep_record(made, ACTIVATIONS, "read", [DATASET], params=about, wildcards=job)
    keep_record(made, VECTORS, "average", [ACTIVATIONS], params={"exemplars": 5})
    return made.folder


def findings(results) -> dict[str, str]:
    """What was found, by path."""
    return {finding.path: finding.what for finding in verify(results)[1]}


def test_an_untouched_experiment_has_no_findings(results):
    assert verify(results) == (4, [])


def test_results_outside_a_checkout_are_not_told_to_restore_a_file(results, tmp_path, monkeypatch):
    away = tmp_path / "away/results/made"
    shutil.copytree(results, away)
    complaint = (
        r"away is no checkout of this project, .*; move results/made to the same place in one"
    )
    with pytest.raises(UserError, match=complaint):
        verify(away)
    monkeypatch.chdir(tmp_path / "away")
    monkeypatch.setattr(sys, "argv", ["audit", "trace", "table_3"])
    with pytest.raises(
        UserError, match=r"no config\.yaml here .*; work in the checkout's folder, or"
    ):
        main()


def test_a_changed_file_is_named_and_so_is_what_was_made_from_it(results):
    Path(ACTIVATIONS).write_text("other")
    assert findings(results) == {
        ACTIVATIONS: "it was changed after it was made",
        VECTORS: f"its input {ACTIVATIONS} is not what it was made from",
    }


def test_missing_and_unrecorded_files_are_named(results):
    Path(VECTORS).unlink()
    Path(f"{IMAGES}/a.png").unlink()
    Path(f"{IMAGES}/c.png").touch()
    stray, partial = results / "stray.csv", results / "average/.v.safetensors.17.partial"
    stray.touch()
    partial.touch()
    (results / "report.html").touch()
    assert findings(results) == {
        VECTORS: "it is missing",
        f"{IMAGES}/a.png": "it is missing",
        f"{IMAGES}/c.png": "it has no record",
        "results/made/stray.csv": "it has no record",
        "results/made/average/.v.safetensors.17.partial": "an interrupted job left it behind",
    }


def test_changed_code_names_the_outputs_of_its_rule_alone(results):
    place = record_path(VECTORS)
    write_json(place, {**read_json(place), "code": "0123456789abcdef"})
    assert findings(results) == {VECTORS: "the code of the rule average has changed"}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("exemplars", 4, {DATASET, VECTORS}),
        ("seeds", [1], {DATASET}),
        ("specifications", ["text_icl"], {ACTIVATIONS}),
        ("images", {"evaluation": "openmoji", "training": ["noto"]}, {DATASET}),
        ("bootstrap", {"resamples": 100, "seed": 1}, set()),
        ("wikipedia", {"contact": "A <a@b.c>"}, set()),
    ],
)
def test_a_changed_setting_names_what_it_bears_on(results, key, value, named):
    change_yaml("config.yaml", **{key: value})
    found = findings(results)
    assert set(found) == named
    assert all(f"made with other settings: {key}" in what for what in found.values())


def test_a_split_bears_on_the_tasks_of_its_entity_set(results):
    splits = read_yaml(Path("config.yaml"))["splits"]
    change_yaml("config.yaml", splits={**splits, "foods": {"validation": 12, "test": 9}})
    assert findings(results) == {}
    change_yaml("config.yaml", splits={**splits, "mammals": {"validation": 20, "test": 9}})
    assert set(findings(results)) == {DATASET}


def test_in_the_tables_of_tasks_and_models_only_a_jobs_own_lines_count(results):
    tasks, models = Path("resources/tasks.yaml"), Path("resources/models.yaml")
    task, model = read_yaml(tasks), read_yaml(models)
    change_yaml(tasks, **{"food-color": {**task["food-color"], "label": "colour"}})
    change_yaml(models, smollm2={**model["smollm2"], "dtype": "bfloat16"})
    assert findings(results) == {}
    change_yaml(tasks, **{"animal-latin": {**task["animal-latin"], "label": "name"}})
    change_yaml(models, embedded={**model["embedded"], "dtype": "bfloat16", "image_icl": False})
    assert {
        finding.what.removeprefix("made with other settings: ") for finding in verify(results)[1]
    } == {
        "label was 'latin' and is 'name'",
        "dtype was 'float32' and is 'bfloat16'",
        "specifications was ['text_icl', 'image_icl', 'instruction'] and is "
        "['text_icl', 'instruction']",
    }


def test_the_configuration_itself_is_compared_whole(results, made):
    path = made.file("results/made/run_config.yaml", "")
    config = read_yaml(Path("config.yaml"))
    keep_record(made, path, "study.config", params={"merged": "all of it"}, config=config)
    change_yaml("config.yaml", refresh=True)
    assert findings(results) == {}
    change_yaml("config.yaml", templates=["chat"])
    assert set(findings(results)) == {path}


def test_an_experiment_of_the_command_line_is_held_to_its_newest_record(results, made):
    config = {**read_yaml(Path("config.yaml")), "exemplars": 4}
    change_yaml("config.yaml", experiment="another")
    older = {**config, "exemplars": 5}
    keep_record(made, DATASET, "curate", params={"exemplars": 4}, config=older, ended="2026-01-02")
    keep_record(made, IMAGES, "collect", config=config, ended="2026-01-03")
    for path in (ACTIVATIONS, VECTORS):
        record = read_json(record_path(path))
        write_json(record_path(path), {**record, "config": older, "ended": "2026-01-01"})
    assert findings(results) == {VECTORS: "made with other settings: exemplars was 5 and is 4"}


def test_code_that_is_gone_has_changed(results):
    place = record_path(VECTORS)
    write_json(place, {**read_json(place), "command": "python -m taskvectors.averaged"})
    assert findings(results) == {VECTORS: "the code of the rule average has changed"}


def test_a_damaged_record_is_named_and_its_output_has_none(results):
    place = record_path(DATASET)
    place.write_text(place.read_text()[:-40])
    found = findings(results)
    assert "the record is damaged" in found[place.as_posix()]
    assert found[DATASET] == "it has no record"


def test_records_that_cannot_be_trusted_end_in_one_sentence(results):
    place = record_path(DATASET)
    record = read_json(place)
    write_json(place, {**record, "schema": 2})
    with pytest.raises(UserError, match="schema 2, but this code knows only up to 1"):
        verify(results)
    outside = {**record["output"], "path": "../elsewhere"}
    write_json(place, {**record, "output": outside})
    assert "output.path" in findings(results)[place.as_posix()]
    write_json(place, {**record, "inputs": [{**record["inputs"][0], "path": "/etc/passwd"}]})
    assert "inputs.0.path" in findings(results)[place.as_posix()]


@pytest.mark.parametrize("place", ["results", "results/nothing", "resources", "/"])
def test_a_folder_that_is_no_result_is_refused(results, place):
    with pytest.raises(UserError, match=r"name .* results/"):
        verify(Path(place))


def test_every_setting_is_a_param_by_its_name(root):
    rules = [*(root / "workflow/rules").glob("*.smk"), root / "Snakefile"]
    params = set(re.findall(r"^ +(\w+)=", "\n".join(map(Path.read_text, rules)), re.MULTILINE))
    plan = read_plan(root, "results/embedded")
    known = set(settings_of({"task": "animal-latin", "model": "embedded"}, plan))
    apart = {*COLLECTING, "templates", "language_models", "splits"}  # options, or by the task
    # These say whether something is made, not how.
    apart |= {"controls", "heads", "instructions", "compute", "overriding"}
    apart |= {"own_images"}  # of one entity set: `rendering` and `own_rows`
    apart |= {"captioner"}  # the model of `describe`, whose file `curate` takes
    for key, value in plan.config.items():
        below = value if isinstance(value, dict) else {}
        names = {key, *(f"{key}_{name}" for name in below)}
        assert names & params & known or key in apart, key
    assert {"template", "validation", "test", "label", "labels", "revision"} <= params & known
