"""What an experiment has and asks for, from the repository's own configuration."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from taskvectors.base.errors import UserError
from taskvectors.study.config import read_models, resolve
from taskvectors.study.inputs import NamedInputs, input_options
from taskvectors.study.items import HEADS, ITEMS, SWITCHED
from taskvectors.study.plan import Plan
from taskvectors.study.tasks import read_tasks


@pytest.fixture
def planned(root, monkeypatch):
    """A function that plans an experiment; ``changes`` go over config.yaml."""
    monkeypatch.chdir(root)
    resources = root / "resources"

    def plan(**changes: Any) -> Plan:
        config = yaml.safe_load((root / "config.yaml").read_text())
        config = resolve({**config, **changes}, {}, resources) | changes
        tasks, models = read_tasks(resources / "tasks.yaml"), read_models(resources / "models.yaml")
        return Plan(config, tasks, models)

    return plan


def test_what_has_nothing_to_show_is_left_out_with_what_to_run_instead(planned):
    plan = planned()
    without = {"table_4", "table_6", "table_7", "table_gap", "table_wild"}
    without |= {item for items, _ in SWITCHED.values() for item in items}
    assert set(plan.left_out) == without
    for key, (items, reason) in SWITCHED.items():
        told = f"{reason}; run it with `--config {key}=true`"
        assert {plan.left_out[item] for item in items} == {told}
        assert set(planned(**{key: True}).left_out) == without - {*items}
    assert "--config experiment=transfer" in plan.left_out["table_4"]
    assert sorted([*plan.items, *plan.left_out]) == sorted(ITEMS)
    alone = planned(tasks=["food-color"], models=["llava-v1.5"])
    assert {"naming", "table_conflict", "figure_9", "figure_conflict"} <= set(alone.left_out)
    assert planned(experiment="transfer").left_out.keys() & {"table_4", "table_7"} == set()
    gap = planned(experiment="gap")
    assert ("table_gap" in gap.items, gap.seeing) == (True, ["embedded", "embedded-open"])
    assert gap.model_folders() == [
        f"results/gap/prepare/{model}" for model in ("embedded", "embedded-open", "smollm2")
    ]
    templates = planned(experiment="templates")
    assert templates.item_options("table_6") == ["--templates", "spaced", "generic", "chat"]
    assert (plan.item_options("table_3"), "table_6" in templates.items) == ([], True)


def test_heads_are_shown_where_they_are_read_and_composition_where_tasks_share_entities(planned):
    absent = planned().left_out
    reason = "needs attention heads to be read; run it with `--config heads=true`"
    assert {absent[item] for item in HEADS} == {reason}
    read = planned(heads=True)
    assert set(HEADS) <= set(read.items)
    assert set(HEADS) & set(read.left_out) == set()
    score = "results/embedded/score/embedded/spaced"
    assert read.item_inputs("table_heads")["overlap"] == [f"{score}/overlap.csv"]
    assert read.item_inputs("figure_strength")["injection"] == [f"{score}/injection.json"]
    apart = planned(heads=True, tasks=["country-capital", "food-color"])
    assert "two tasks that ask about one entity set" in apart.left_out["table_composition"]
    assert set(apart.left_out) & set(HEADS) == {"table_composition"}


def test_each_entity_set_has_a_manifest_of_its_own_and_wikipedia_one_for_all(planned):
    plan = planned(tasks=["food-color", "animal-latin"])
    collect = "results/embedded/collect"
    assert plan.images.manifests(plan.entity_sets) == [
        f"{collect}/twemoji/{name}/manifest.csv" for name in ("foods", "mammals")
    ]
    # Towers learn the same names whatever the tasks.
    assert len(plan.manifests) == len({*plan.manifests}) == 4 * 3
    paper = planned(experiment="paper")
    assert paper.manifests == ["results/paper/collect/wikipedia/manifest.csv"]
    assert paper.images.folders(paper.entity_sets) == ["results/paper/collect/wikipedia/images"]
    assert paper.images.of_wikipedia(learned=False) == ["countries", "foods", "mammals"]
    assert planned(tasks=["food-color"]).images.of_wikipedia(learned=False) == ["foods"]


def test_inputs_come_model_by_model_and_task_by_task(planned):
    plan = planned(models=["embedded", "llava-v1.5"], tasks=["food-color", "food-flavor"])
    files = plan.item_inputs("table_2")["decodings"]
    score = "results/embedded/score"
    assert files == [
        f"{score}/{model}/spaced/{task}/decodings.csv"
        for model in ("embedded", "llava-v1.5")
        for task in ("food-color", "food-flavor")
    ]
    assert plan.item_inputs("table_3")["published"] == ["resources/paper/table_3.csv"]
    assert plan.item_inputs("figure_8")["seeing"] == ["results/embedded/prepare/embedded"]
    named = NamedInputs(plan.config["models"], plan.config["tasks"], {"decodings": files})
    assert named.by_model_and_task("decodings")["llava-v1.5", "food-color"] == files[2]
    with pytest.raises(UserError, match="the input decodings has 4 files where 2 are needed"):
        named.by_model("decodings")
    assert input_options({"layer": ["a", "b"]}) == ["--input", "layer", "a", "b"]


def test_transfer_shows_the_vlms_and_reads_what_their_language_models_vectors_did(planned):
    plan = planned(experiment="transfer")
    assert plan.item_models("table_4") == ["embedded-tuned"]
    assert plan.item_options("table_4") == ["--language-models", "smollm2"]
    transferred = plan.item_inputs("table_4")["transferred"]
    assert transferred == ["results/transfer/score/embedded-tuned/spaced/from_smollm2/accuracy.csv"]
    made_from = {"embedded-tuned", "embedded", "smollm2"}
    assert {folder.rpartition("/")[2] for folder in plan.model_folders()} == made_from


def test_another_tasks_vectors_are_of_another_entity_set_where_there_is_one(planned):
    plan = planned()
    assert {task: plan.other_task(task) for task in plan.config["tasks"]} == {
        "country-capital": "animal-latin",
        "country-currency": "animal-latin",
        "animal-latin": "food-color",
        "animal-young": "food-color",
        "food-color": "country-capital",
        "food-flavor": "country-capital",
    }
    assert plan.unrelated("food-color", "country-capital")
    alike = planned(tasks=["food-color", "food-flavor"])
    assert [alike.other_task(task) for task in alike.config["tasks"]] == [
        "food-flavor",
        "food-color",
    ]
    assert not alike.unrelated("food-color", "food-flavor")
    assert planned(tasks=["food-color"]).other_task("food-color") is None


def test_jobs_ask_for_room_for_their_models_weights_and_more_when_tried_again(planned):
    plan = planned(experiment="paper")
    for model in plan.config["models"]:
        weights = plan.sources[model].weight_megabytes
        assert plan.memory(model, 1) > 1.3 * weights
        assert plan.memory(model, 2) == 2 * plan.memory(model, 1)
    assert plan.runtime("llava-v1.5", 1) > plan.runtime("embedded", 1)
    assert plan.specifications("llava-v1.5") == ["text_icl", "instruction"]
    assert plan.queries(["country-capital", "food-color"]) == 2 * 130


def test_todays_jobs_fit_one_gpu_of_80_gigabytes_and_a_host_with_as_much(planned):
    plan = planned(experiment="today")
    assert len(plan.config["models"]) == 7
    for model in [*plan.config["models"], *plan.config["language_models"].values()]:
        source = plan.sources[model]
        assert source.gpus == 1 and plan.memory(model, 1) < 80_000
        assert source.weight_megabytes < 40_000  # the other half is for activations


def test_the_caches_key_changes_with_wildcards_and_with_what_was_curated(planned, tmp_path):
    plan = planned()
    items = tmp_path / "test.jsonl"
    items.write_text("{}\n")
    wildcards = {"model": "embedded", "task": "food-color"}
    key = plan.cache_key(wildcards, [str(items)])
    assert plan.cache_key(wildcards, [str(items)]) == key
    assert plan.cache_key({**wildcards, "task": "food-flavor"}, [str(items)]) != key
    items.write_text('{"a": 1}\n')
    assert plan.cache_key(wildcards, [str(items)]) != key
    with pytest.raises(FileNotFoundError):
        plan.cache_key(wildcards, [str(tmp_path / "gone.jsonl")])


def test_who_collects_stands_in_the_options(planned):
    plan = planned(wikipedia={"contact": "A B <a@b.org>", "rate": 1}, refresh=True)
    words = plan.wikipedia_options()
    assert words == ["--contact=A B <a@b.org>", "--rate=1", "--refresh"]
