"""The configuration refuses what it does not know, by name and with a hint."""

from __future__ import annotations

import pytest
import yaml

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import load_schema
from taskvectors.study.config import resolve


@pytest.fixture
def settings(root) -> dict:
    return yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))


def test_the_committed_configuration_is_valid_and_unchanged(root, settings):
    assert resolve(settings, {}, root / "resources") == settings


def test_every_key_of_the_schema_stands_commented_in_config_yaml(root, settings):
    assert set(settings) == set(load_schema("config")["properties"])
    lines = (root / "config.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line and line[0].isalpha():
            assert lines[number - 1].startswith("#"), f"{line} has no comment"


def test_the_paper_experiment_takes_the_papers_sizes_and_the_command_line_wins(root, settings):
    given = {"experiment": "paper", "seeds": ["7"]}
    config = resolve({**settings, **given}, given, root / "resources")
    assert config["models"] == ["llava-v1.5", "mantis-fuyu", "idefics2"]
    assert config["splits"]["foods"] == {"validation": 30, "test": 100}
    assert config["seeds"] == [7]


@pytest.mark.parametrize("name", ["paper", "paper_templates", "transfer", "templates", "today"])
def test_every_committed_experiment_resolves(root, settings, name):
    config = resolve({**settings, "experiment": name}, {}, root / "resources")
    assert bool(config["language_models"]) == (name in ("paper", "transfer", "today"))
    assert ("chat" in config["templates"]) == name.endswith("templates")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"exemplar": 5}, r"unknown key 'exemplar'; did you mean 'exemplars'\?"),
        (
            {"vision_tower": {"copies": 1, "steps": 1, "sed": 0}},
            r"unknown key 'vision_tower.sed'; did you mean",
        ),
        ({"zzz": 1}, r"unknown key 'zzz'; known keys: bootstrap, .*tasks"),
        ({"models": ["gpt"]}, r"models: unknown model 'gpt'; resources/models.yaml has embedded"),
        ({"tasks": ["sky-color"]}, r"tasks: unknown task 'sky-color'"),
        ({"templates": ["haiku"]}, r"templates: unknown template 'haiku'"),
        (
            {"language_models": {"idefics2": "mistral-7b"}},
            r"language_models: 'idefics2' is no VLM that `models` has",
        ),
        (
            {"language_models": {"embedded": "embedded"}},
            r"language_models: 'embedded' is no language model; .* has smollm2, mistral-7b",
        ),
        ({"models": ["smollm2"], "language_models": {"smollm2": "smollm2"}}, r"is no VLM"),
        ({"splits": {"foods": {"validation": 5, "test": 5}}}, r"task country-capital needs sizes"),
        ({"seeds": []}, r"seeds: "),
        ({"exemplars": 1000}, r"exemplars: a split of 30 countries cannot give 1000 exemplars"),
        (
            {"heads": True, "mediation": {"prompts": 1, "exemplars": 12, "seed": 0}},
            r"mediation\.exemplars: a split of 12 foods cannot give 12 exemplars beside the query",
        ),
        (
            {"tasks": ["food-color"], "splits": {"foods": {"validation": 900, "test": 100}}},
            r"splits: foods has \d+ entities, fewer than the 1000 of its splits",
        ),
        (
            {"images": {"evaluation": "noto", "training": ["noto"]}},
            r"'noto' is both the evaluation's rendering and a training rendering",
        ),
    ],
)
def test_what_is_wrong_is_named(root, settings, change, complaint):
    with pytest.raises(UserError, match=complaint):
        resolve({**settings, **change}, {}, root / "resources")


def test_a_misspelt_experiment_is_no_experiment_of_its_own(root, settings):
    given = {"experiment": "tranfser"}
    complaint = r"unknown experiment 'tranfser'; did you mean 'transfer'\? Known are embedded, gap"
    with pytest.raises(UserError, match=complaint):
        resolve({**settings, **given}, given, root / "resources", "tranfser")
    named_by_its_file = resolve({**settings, **given}, given, root / "resources")
    assert named_by_its_file["experiment"] == "tranfser"
    for name in ("embedded", "transfer"):
        given = {"experiment": name}
        resolve({**settings, **given}, given, root / "resources", name)
