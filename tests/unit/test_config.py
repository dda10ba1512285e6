"""The configuration refuses what it does not know, by name and with a hint."""

from __future__ import annotations

import shutil
from functools import reduce

import pytest
import yaml
from jsonschema import Draft202012Validator

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import load_schema
from taskvectors.collect.wikipedia_client import Politeness
from taskvectors.study.config import resolve
from taskvectors.study.keys import config_text, keys


@pytest.fixture
def settings(root) -> dict:
    return yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))


def test_the_committed_configuration_is_valid_and_unchanged(root, settings):
    assert resolve(settings, {}, root / "resources") == settings


def test_config_yaml_is_what_the_schema_describes(root, settings):
    text = (root / "config.yaml").read_text(encoding="utf-8")
    assert text == config_text(), "run `make config`"
    assert set(settings) == set(load_schema("config")["properties"])


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.name)
def test_every_key_has_a_description_and_a_default_that_it_allows(key, settings):
    assert key.description[-1] in ".!?" and key.description[0].isupper()
    if not key.group:
        Draft202012Validator(key.schema).validate(key.default)
        value = reduce(lambda at, name: at.get(name, {}), key.name.split("."), settings)
        assert value == ({} if key.hidden else key.default)


def test_the_keys_that_may_be_left_out_have_the_commands_own_defaults():
    defaults = {key.name: key.default for key in keys() if key.name.startswith("wikipedia.")}
    politeness = Politeness("Somebody <a@b.org>")
    assert defaults["wikipedia.rate"] == politeness.rate
    assert defaults["wikipedia.api_url"] == politeness.api_url
    assert [key.name for key in keys() if key.hidden] == ["wikipedia.api_url"]


def test_the_paper_experiment_takes_the_papers_sizes_and_the_command_line_wins(root, settings):
    given = {"experiment": "paper", "seeds": ["7"]}
    config = resolve({**settings, **given}, given, root / "resources")
    assert config["models"] == ["llava-v1.5", "mantis-fuyu", "idefics2"]
    assert config["splits"]["foods"] == {"validation": 30, "test": 100}
    assert config["seeds"] == [7]


@pytest.mark.parametrize(
    "name", ["paper", "paper_authors", "paper_templates", "transfer", "templates", "today"]
)
def test_every_committed_experiment_resolves(root, settings, name):
    config = resolve({**settings, "experiment": name}, {}, root / "resources")
    assert bool(config["language_models"]) == (
        name in ("paper", "paper_authors", "transfer", "today")
    )
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
        ({"judge": "gpt"}, r"judge: unknown model 'gpt'; resources/models.yaml has embedded"),
        ({"captioner": "smollm2"}, r"captioner: 'smollm2' takes no images; name a VLM"),
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
        (
            {"seeds": []},
            r"seeds: .*; seeds is described as 'Seeds of the .*', by default \[1, 2, 3\]",
        ),
        (
            {"images": {"evaluation": "emoji", "training": []}},
            r"images\.evaluation: 'emoji' is not one of .*; evaluation is described as 'The ",
        ),
        (
            {"splits": {"foods": {"validation": 1, "test": 5}}},
            r"splits\.foods\.validation: 1 is less .*; splits is described as 'Validation and test",
        ),
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


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (b"- seeds\n", r"mine\.yaml has no keys; write what differs from config\.yaml"),
        (b"seeds\n", r"mine\.yaml has no keys; write what differs"),
        (b"", r"mine\.yaml has no keys; write what differs"),
        (b"# nothing yet\n", r"mine\.yaml has no keys; write what differs"),
        (None, r"mine\.yaml is a folder; put the file in its place"),
        (
            b"seeds: [1]\nseeds: [2]\n",
            r"mine\.yaml is not valid YAML: the key 'seeds' stands twice",
        ),
        (b"splits: {foods: {test: 5, 'test': 6}}", r"the key 'test' stands twice in line 1"),
        (b"1: 2\n", r"mine\.yaml is not valid YAML: the key '1' is no text; put it in quotes"),
        (b"function_vectors: {heads: 1, strengths: [.inf]}", r"strengths\.0: inf is not of type"),
        (b"function_vectors: {heads: 1, strengths: [.nan]}", r"strengths\.0: nan is not of type"),
        (b"seeds: [1.0]", r"seeds\.0: 1\.0 is not of type 'integer'"),
        (b"contact: \xe9", r"mine\.yaml is not in UTF-8 \(.*\); save it in UTF-8"),
        (rb'contact: "\ud800"', r"mine\.yaml is not valid YAML: half of a character"),
        (b"seeds: &a [*a]", r"mine\.yaml is not valid YAML: Circular reference"),
        (b"seeds: [1", r"mine\.yaml is not valid YAML: while parsing a flow sequence in line 1"),
        (b"seeds: " + b"[" * 5000, r"mine\.yaml is not valid YAML: it is nested too deeply"),
        (b"experiment: 2020-13-45", r"mine\.yaml is not valid YAML: month must be in 1\.\.12"),
        (b"seeds: [%s]" % (b"9" * 5000), r"mine\.yaml is not valid YAML: Exceeds the limit"),
    ],
)
def test_an_experiments_file_without_valid_keys_is_refused(
    root, settings, tmp_path, written, complaint
):
    shutil.copytree(root / "resources", tmp_path / "resources")
    file = tmp_path / "resources/experiments/mine.yaml"
    file.mkdir() if written is None else file.write_bytes(written)
    given = {"experiment": "mine"}
    with pytest.raises(UserError, match=complaint):
        resolve({**settings, **given}, given, tmp_path / "resources", "mine")


def test_a_link_to_no_experiments_file_is_not_passed_over(root, settings, tmp_path):
    shutil.copytree(root / "resources", tmp_path / "resources")
    (tmp_path / "resources/experiments/mine.yaml").symlink_to("elsewhere.yaml")
    with pytest.raises(UserError, match=r"mine\.yaml is missing"):
        resolve({**settings, "experiment": "mine"}, {}, tmp_path / "resources")


@pytest.mark.parametrize("name", ["models", "tasks", "templates"])
@pytest.mark.parametrize(
    ("added", "complaint"),
    [
        (b"# \xe9\n", r"\.yaml is not in UTF-8"),
        (b"{0}: 1\n{0}: 2\n", r"\.yaml is not valid YAML: .* stands twice"),
        (b"2: {}\n", r"\.yaml is not valid YAML: the key '2' is no text"),
    ],
)
def test_a_table_of_models_tasks_or_templates_that_cannot_be_read_is_named(
    root, settings, tmp_path, name, added, complaint
):
    shutil.copytree(root / "resources", tmp_path / "resources")
    file = tmp_path / f"resources/{name}.yaml"
    first = next(iter(yaml.safe_load(file.read_text()))).encode()
    file.write_bytes(file.read_bytes() + added.replace(b"{0}", first))
    with pytest.raises(UserError, match=name + complaint):
        resolve(settings, {}, tmp_path / "resources")


@pytest.mark.parametrize("value", ["[a", "{a: [1}", "2020-13-45", "a: b: c", "\udce9"])
def test_a_value_of_the_command_line_that_is_no_yaml_is_quoted(root, settings, value):
    for given in ({"models": value}, {"images": {"training": [value]}}):
        with pytest.raises(UserError, match=r"--config has '.*', which is not valid YAML \("):
            resolve(settings, given, root / "resources")
