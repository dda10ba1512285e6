"""`audit verify` on a small experiment: each kind of finding, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from taskvectors.audit.today import COLLECTING, read_plan, settings_of
from taskvectors.audit.verify import verify
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json
from taskvectors.base.schemas import check, read_yaml
from taskvectors.record.code import code_hash
from taskvectors.record.provenance import check_input, describe, record_path
from taskvectors.study.config import resolve

ACTIVATIONS = "results/embedded/read/m/spaced/animal-latin/activations.safetensors"
VECTORS = "results/embedded/average/m/spaced/animal-latin/vectors.safetensors"
DATASET = "results/embedded/curate/animal-latin/test.jsonl"
IMAGES = "results/embedded/collect/twemoji/images"


def keep_record(output, rule, inputs=(), **more):
    """Record an output of the experiment as it is now."""
    record = {
        "schema": 1,
        "output": {"path": output, **describe(Path(output))},
        "inputs": [check_input(path) for path in inputs],
        "rule": rule,
        "wildcards": {"task": "animal-latin"},
        "command": f"python -m taskvectors.{rule}",
        "code": code_hash(f"taskvectors.{rule}"),
        "params": {},
        "config": resolve(read_yaml(Path("config.yaml")), {}, Path("resources")),
        "git": None,
        "packages": {"lock": "0" * 64, "versions": {}},
        "model": None,
        "device": None,
        "seeds": [],
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T00:00:01+00:00",
        "machine": {"platform": "here", "python": "3.11"},
        **more,
    }
    check(record, "record", output)
    write_json(record_path(output), record)


@pytest.fixture
def results(tmp_path, root, monkeypatch) -> Path:
    """Four recorded outputs in a repository of their own."""
    shutil.copy(root / "config.yaml", tmp_path)
    shutil.copytree(root / "resources", tmp_path / "resources")
    monkeypatch.chdir(tmp_path)
    for path in (ACTIVATIONS, VECTORS, DATASET, f"{IMAGES}/a.png", f"{IMAGES}/b.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)
    keep_record(IMAGES, "collect")
    about = {
        "exemplars": 5, "images_evaluation": "twemoji", "label": "latin", "seeds": [1, 2, 3],
        "split_seed": 0, "test": 32, "validation": 20,
    }  # fmt: skip
    keep_record(DATASET, "curate", ["resources/tasks.yaml"], params=about)
    about = {"dtype": "float32", "specifications": ["text_icl", "image_icl", "instruction"]}
    task = {"task": "animal-latin", "model": "embedded"}
    keep_record(ACTIVATIONS, "read", [DATASET], params=about, wildcards=task)
    keep_record(VECTORS, "average", [ACTIVATIONS], params={"exemplars": 5})
    return tmp_path / "results/embedded"


def findings(results) -> dict[str, str]:
    """What was found, by path."""
    return {finding.path: finding.what for finding in verify(results)[1]}


def test_an_untouched_experiment_has_no_findings(results):
    assert verify(results) == (4, [])


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
        "results/embedded/stray.csv": "it has no record",
        "results/embedded/average/.v.safetensors.17.partial": "an interrupted job left it behind",
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
    config = read_yaml(Path("config.yaml"))
    Path("config.yaml").write_text(yaml.safe_dump({**config, key: value}))
    found = findings(results)
    assert set(found) == named
    assert all(f"made with other settings: {key}" in what for what in found.values())


def test_a_split_bears_on_the_tasks_of_its_entity_set(results):
    config = read_yaml(Path("config.yaml"))
    config["splits"]["foods"]["test"] = 9
    Path("config.yaml").write_text(yaml.safe_dump(config))
    assert findings(results) == {}
    config["splits"]["mammals"]["test"] = 9
    Path("config.yaml").write_text(yaml.safe_dump(config))
    assert set(findings(results)) == {DATASET}


def test_in_the_table_of_tasks_only_a_tasks_own_line_counts(results):
    tasks = Path("resources/tasks.yaml")
    written = read_yaml(tasks)
    written["food-color"]["label"] = "colour"
    tasks.write_text(yaml.safe_dump(written))
    assert findings(results) == {}
    written["animal-latin"]["label"] = "name"
    tasks.write_text(yaml.safe_dump(written))
    assert findings(results) == {
        DATASET: "made with other settings: label was 'latin' and is 'name'"
    }


def test_of_the_models_only_a_jobs_own_counts(results):
    models = Path("resources/models.yaml")
    written = read_yaml(models)
    written["smollm2"]["dtype"] = "bfloat16"
    models.write_text(yaml.safe_dump(written))
    assert findings(results) == {}
    written["embedded"] |= {"dtype": "bfloat16", "image_icl": False}
    models.write_text(yaml.safe_dump(written))
    changed = {finding.what.split(" was ")[0] for finding in verify(results)[1]}
    assert changed == {f"made with other settings: {one}" for one in ("dtype", "specifications")}


def test_the_configuration_itself_is_compared_whole(results):
    path = "results/embedded/run_config.yaml"
    Path(path).touch()
    keep_record(path, "study.config", params={"merged": json.dumps({"the": "configuration"})})
    config = read_yaml(Path("config.yaml"))
    Path("config.yaml").write_text(
        yaml.safe_dump({**config, "wikipedia": {"contact": "A <a@b.c>"}})
    )
    assert findings(results) == {}
    Path("config.yaml").write_text(yaml.safe_dump({**config, "templates": ["chat"]}))
    assert set(findings(results)) == {path}


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
    known = set(settings_of({"task": "animal-latin", "model": "embedded"}, plan, root))
    apart = {*COLLECTING, "templates", "language_models", "splits"}  # options, or by the task
    for key, value in plan.config.items():
        below = value if isinstance(value, dict) else {}
        names = {key, *(f"{key}_{name}" for name in below)}
        assert names & params & known or key in apart, key
    assert {"template", "validation", "test", "label", "labels", "revision"} <= params & known
