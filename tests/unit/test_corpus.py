"""Every file and value that a person gives, broken in every way of the corpus, at the function that
reads it: one sentence, or the right value, and nothing is left behind."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import save_file
from torch import ones

from corpus.damage import ALL, damage
from corpus.refusals import files_in, refusal
from corpus.wrong_values import wrong_documents
from taskvectors.audit.lineage import read_record
from taskvectors.base.schemas import check, first_fault
from taskvectors.base.tensors import read_metadata, read_tensors
from taskvectors.collect.vqa import read_wild
from taskvectors.collect.wikipedia_cache import Article, Cache
from taskvectors.demo.lines import read_rows
from taskvectors.score.claims import read_claims
from taskvectors.study.config import read_models, resolve
from taskvectors.study.datasets import read_exemplar_sets, read_items
from taskvectors.study.descriptions import read_descriptions
from taskvectors.study.entities import digest, read_entities
from taskvectors.study.manifest import read_manifest
from taskvectors.study.neutral import read_neutral
from taskvectors.study.overriding import read_overrides
from taskvectors.study.own_images import own_tables, read_own_images
from taskvectors.study.predictions import read_predictions
from taskvectors.study.prompts import read_templates
from taskvectors.study.tasks import read_tasks

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "resources"
CASES = yaml.safe_load((ROOT / "tests/corpus/cases.yaml").read_text(encoding="utf-8"))
LINE = {
    "id": "a", "vector": "v", "specification": "text_icl",
    "exemplars": [{"input": "Japan", "output": "Tokyo"}], "query": {"input": "France"},
    "label": "Paris",
}  # fmt: skip
ITEM = {"task": "t", "split": "test", "entity": "e", "image": "i", "label": "l", "text": "x"}
EXEMPLARS = {"split": "test", "seed": 1, "query": "q", "exemplars": ["a"]}
MANIFEST = (
    "entity_set,entity,file,sha256,rendering,author,licence,package,version,path,licence_url\n"
    "foods,Cake,a.png,0,noto,Ann,CC0,noto,1,a.svg,https://a.org\n"
    "foods,Bread,b.png,0,noto,Ann,CC0,noto,1,b.svg,https://a.org\n"
)


def read_own(table: Path) -> Any:
    return read_entities(table), digest(table), read_own_images(table)


def read_cached(path: Path) -> Any:
    """An article of the cache, kept as ``path`` would be."""
    cache = Cache(path.parent / "cache", "https://a.org/")
    kept = cache._path(Article, ("a",), ".json")
    kept.parent.mkdir(parents=True)
    kept.symlink_to(path)
    try:
        return cache.read(Article, "a")
    finally:
        shutil.rmtree(cache.folder)


#: A good file, by its place below resources or by its content, and what reads it.
READERS: dict[str, tuple[str | bytes, Callable[[Path], Any]]] = {
    "models.yaml": ("models.yaml", read_models),
    "tasks.yaml": ("tasks.yaml", read_tasks),
    "templates.yaml": ("templates.yaml", read_templates),
    "conflicts.yaml": ("qualitative/conflicts.yaml", read_overrides),
    "descriptions.yaml": ("qualitative/descriptions.yaml", read_descriptions),
    "neutral.yaml": ("neutral.yaml", partial(read_neutral, images=[])),
    "wild.yaml": ("wild.yaml", read_wild),
    "claims.yaml": ("paper/claims.yaml", read_claims),
    "foods.csv": ("entities/foods.csv", read_entities),
    "metadata.csv": (b"entity,file\nCow,\nOx,\n", read_own),
    "metadata.jsonl": (b'{"entity": "Cow", "file": null, "legs": 4}\n', read_own),
    "manifest.csv": (MANIFEST.encode(), read_manifest),
    "items.jsonl": (json.dumps(ITEM).encode(), read_items),
    "exemplars.jsonl": (json.dumps(EXEMPLARS).encode(), read_exemplar_sets),
    "prompts.jsonl": (json.dumps(LINE).encode(), lambda path: read_rows(path, path.parent / "k")),
    "tensors.safetensors": ("vision/open.safetensors", lambda path: (read_metadata(path),
                                                                     read_tensors(path))),
    "answers.parquet": (b"PAR1" + bytes(40) + b"PAR1", lambda path: read_predictions([path])),
    "record.json": (b'{"schema": 1}', read_record),
    "article.json": (b'{"asked": "a"}', read_cached),
}  # fmt: skip
EMPTY = {"nothing", "white space", "a link to no bytes"}
#: What is no damage: a list twice over, a file of no lines, an article that was never kept.
HARMLESS = {
    "claims.yaml": {"twice"},
    "items.jsonl": EMPTY,
    "exemplars.jsonl": EMPTY,
    "article.json": {"missing", "a folder", "a link to nowhere", "a link to itself",
                     "links in a circle", "a link to a folder", "a link to no bytes"},
    "manifest.csv": {"twice"},
}  # fmt: skip


@pytest.fixture
def watched(monkeypatch) -> None:
    """Nothing is unpickled."""
    monkeypatch.setattr(pickle, "loads", lambda *a, **k: pytest.fail("it was unpickled"))
    monkeypatch.setattr(pickle, "load", lambda *a, **k: pytest.fail("it was unpickled"))


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_ends_in_one_sentence_that_names_it(name, how, tmp_path, watched):
    good, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(good if isinstance(good, bytes) else (RESOURCES / good).read_bytes())
    damage(path, how)
    before = files_in(tmp_path)
    said = refusal(lambda: read(path))
    assert files_in(tmp_path) == before
    if how in HARMLESS.get(name, ()):
        assert said is None
    else:
        assert said is not None and (name in said or name == "article.json")


def good_documents() -> dict[str, Any]:
    """A good document of each schema."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config |= {"language_models": {"embedded": "smollm2"}, "own_images": ["animals"]}
    config["wikipedia"] |= {"contact": "A <a@b.org>", "rate": 1.5, "api_url": "https://a.org/"}
    files = {"models": "models.yaml", "tasks": "tasks.yaml", "templates": "templates.yaml",
             "conflicts": "qualitative/conflicts.yaml", "neutral": "neutral.yaml",
             "descriptions": "qualitative/descriptions.yaml", "wild": "wild.yaml",
             "claims": "paper/claims.yaml"}  # fmt: skip
    read = {
        name: yaml.safe_load((RESOURCES / file).read_text(encoding="utf-8"))
        for name, file in files.items()
    }
    read["conflicts"] = {kind: blocks[:1] for kind, blocks in read["conflicts"].items()}
    return {"config": config, **read, "demo": LINE, "item": ITEM, "exemplars": EXEMPLARS}


GOOD = good_documents()


@pytest.mark.parametrize("name", GOOD)
def test_every_value_that_a_schema_does_not_allow_is_refused(name):
    assert first_fault(GOOD[name], name) is None
    tried = 0
    for what, document in wrong_documents(name, GOOD[name]):
        said = refusal(partial(check, document, name, "the file"))
        assert said is not None and said.startswith("the file: "), what
        tried += 1
    assert tried > 50


ANSWER = {
    "query": {
        "normalized": [{"from": "a", "to": "A"}],
        "redirects": [{"from": "A", "to": "B", "tofragment": "c"}],
        "interwiki": [{"title": "x"}],
        "pages": [
            {
                "title": "B", "pageid": 1, "missing": False, "pageimage": "b.png", "pageprops": {},
                "revisions": [{"revid": 2, "timestamp": "t", "slots": {"main": {"content": ""}}}],
                "imageinfo": [{
                    "url": "https://a.org/a", "descriptionurl": "https://a.org/b",
                    "thumburl": "https://a.org/c", "sha1": "0" * 40, "mime": "image/png",
                    "width": 1, "height": 1, "extmetadata": {"Artist": {}},
                }],
            }
        ],
    },
    "continue": {"c": "d"},
}  # fmt: skip


def test_every_answer_of_wikipedia_that_is_none_is_found():
    """It is then asked for again, and never kept: tests/servers has the client."""
    assert first_fault(ANSWER, "wikipedia") is None
    missed = [
        what
        for what, answer in wrong_documents("wikipedia", ANSWER)
        if first_fault(answer, "wikipedia") is None
    ]
    assert missed == []


def settings(change: dict[str, Any]) -> dict[str, Any]:
    """config.yaml with keys changed, ``a.b`` being a key of a key."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for key, value in change.items():
        at = config
        *above, last = key.split(".")
        for name in above:
            at = at[name]
        at[last] = value
    return config


@pytest.mark.parametrize("change", CASES["configurations"], ids=repr)
def test_a_configuration_that_cannot_be_run_is_refused(change):
    assert refusal(lambda: resolve(settings(change), {}, RESOURCES)) is not None


@pytest.mark.parametrize("value", CASES["command line"])
@pytest.mark.parametrize("key", ["models", "seeds", "splits", "images", "heads", "experiment"])
def test_a_value_of_the_command_line_that_no_key_takes_is_refused(key, value):
    given = {key: value}
    assert refusal(lambda: resolve(settings(given), given, RESOURCES)) is not None


@pytest.mark.parametrize("table", CASES["entity tables"], ids=repr)
@pytest.mark.parametrize("name", ["rivers.csv", "rivers/metadata.csv"])
def test_an_entity_table_of_nonsense_is_refused(table, name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(table, encoding="utf-8", newline="")
    assert refusal(lambda: read_own(path) if "/" in name else read_entities(path)) is not None


def outside(tmp_path: Path) -> Path:
    """A folder with links out of it and into itself, beside a secret."""
    (tmp_path / "secret.png").write_bytes(b"")
    folder = tmp_path / "animals"
    folder.mkdir()
    (folder / "link.png").symlink_to("../secret.png")
    (folder / "up").symlink_to("..")
    (folder / "self.png").symlink_to("self.png")
    (folder / "folder.png").mkdir()
    return folder


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("file", CASES["files of own images"], ids=repr)
def test_a_file_of_own_images_is_one_of_its_folder(file, kind, tmp_path, monkeypatch):
    folder = outside(tmp_path)
    monkeypatch.setattr("PIL.Image.open", lambda *a, **k: pytest.fail("it was opened"))
    row = json.dumps({"entity": "Cow", "file": file}, ensure_ascii=True)
    if kind == "csv":
        row = 'entity,file\nCow,"{}"'.format(file.replace('"', '""'))
    (folder / f"metadata.{kind}").write_text(f"{row}\n", encoding="utf-8", newline="")
    said = refusal(lambda: read_own_images(folder / f"metadata.{kind}"))
    assert said is not None and "row" in said


@pytest.mark.parametrize("folder", CASES["folders of own images"], ids=repr)
def test_a_folder_of_own_images_is_one_of_the_repository(folder, tmp_path):
    outside(tmp_path)
    assert refusal(lambda: own_tables([folder], tmp_path)) is not None
    assert refusal(lambda: resolve(settings({"own_images": [folder]}), {}, RESOURCES)) is not None


@pytest.mark.parametrize("image", CASES["files of own images"], ids=repr)
def test_an_image_of_the_demo_that_is_none_is_refused(image, tmp_path):
    folder = outside(tmp_path)
    line = copy.deepcopy(LINE) | {"query": {"image": image}}
    (folder / "prompts.jsonl").write_text(json.dumps(line) + "\n")
    before = files_in(tmp_path)
    said = refusal(lambda: read_rows(folder / "prompts.jsonl", tmp_path / "kept"))
    assert said is not None and "line 1" in said
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("file", CASES["files of own images"], ids=repr)
def test_a_manifest_that_names_a_file_outside_is_refused(file, tmp_path):
    manifest = outside(tmp_path) / "manifest.csv"
    manifest.write_text(MANIFEST.replace("a.png", f'"{file}"'), newline="")
    said = refusal(lambda: read_manifest(manifest))
    assert said is not None or all(
        image.path.resolve().is_relative_to(manifest.parent) for image in read_manifest(manifest)
    )


def test_the_corpus_is_wide():
    """As many inputs as the tests above try, but for what is made of schemas."""
    assert len(READERS) * len(ALL) + sum(map(len, CASES.values())) > 800


def test_a_good_tensor_file_is_read(tmp_path):
    save_file({"a": ones(2)}, tmp_path / "a.safetensors", {"b": "c"})
    assert read_metadata(tmp_path / "a.safetensors") == {"b": "c"}
