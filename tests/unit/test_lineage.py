"""The graph of records, and the tree that people see of it."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskvectors.audit.lineage import Record, find_target, in_order, open_results
from taskvectors.audit.trace import as_data
from taskvectors.audit.tree import condensed, tree
from taskvectors.base.errors import UserError
from taskvectors.base.schemas import load_schema
from taskvectors.study.manifest import read_manifest


class Node:
    """Enough of a record for `in_order`."""

    def __init__(self, number: int) -> None:
        self.path = str(number)


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, list[int]]:
    """Node to its makers, which are earlier nodes: chains, diamonds and what lies between."""
    size = draw(st.integers(1, 12))
    return {n: draw(st.lists(st.integers(0, n - 1), unique=True)) if n else [] for n in range(size)}


def reachable(graph: dict[int, list[int]], start: int) -> set[int]:
    return {start}.union(*(reachable(graph, maker) for maker in graph[start]))


@settings(deadline=None)
@given(graphs())
def test_an_ancestry_has_every_ancestor_once_and_makers_first(graph):
    nodes = {number: Node(number) for number in graph}
    last = max(graph)
    ordered = in_order([nodes[last]], lambda node: [nodes[m] for m in graph[int(node.path)]])
    places = {int(node.path): place for place, node in enumerate(ordered)}
    assert len(ordered) == len(places)
    assert set(places) == reachable(graph, last)
    assert all(places[m] < places[n] for n in places for m in graph[n])


@settings(deadline=None)
@given(graphs(), st.data())
def test_a_graph_that_leads_back_to_itself_is_refused(graph, data):
    nodes = {number: Node(number) for number in graph}
    last = max(graph)
    back = data.draw(st.sampled_from(sorted(reachable(graph, last))))
    looped = {**graph, back: [*graph[back], last]}
    with pytest.raises(UserError, match="was made from itself"):
        in_order([nodes[last]], lambda node: [nodes[m] for m in looped[int(node.path)]])


@settings(max_examples=10, deadline=None)
@given(graph=graphs())
def test_the_whole_tree_opens_each_job_once(new_results, graph):
    made = new_results()
    for number, makers in graph.items():
        inputs = [f"results/made/write/{maker}.csv" for maker in makers]
        made.job(f"rule_{number}", {f"write/{number}.csv": str(number)}, inputs)
    lineage, last = made.lineage(), max(graph)
    lines = tree(lineage, lineage.record(f"results/made/write/{last}.csv"), everything=True)
    titles = [line for line in lines if "─ rule_" in line]
    assert sum("(see above)" not in line for line in titles) == len(reachable(graph, last)) - 1
    assert len(titles) == sum(len(graph[n]) for n in reachable(graph, last))


def chain(made) -> None:
    """Entity table and manifest -> dataset -> predictions -> figure."""
    table = made.file(
        "resources/entities/foods.csv",
        "entity,title,emoji,color,color_source,color_method,color_url\n"
        "Banana,Banana,,yellow,a book,curated,https://example.org/banana\n"
        "Cherry,Cherry,,red,a book,curated,https://example.org/cherry\n",
    )
    columns = "entity_set,entity,file,rendering,package,version,path,author,licence,licence_url"
    made.job(
        "collect",
        {
            "collect/noto/manifest.csv": f"{columns},sha256\nfoods,Banana,images/banana.png,noto,"
            f"Emoji,1.0,b.png,Ada,CC0,https://example.org/cc0,{'a' * 64}\n"
        },
        [table],
    )
    manifest = "results/made/collect/noto/manifest.csv"
    for task in ("food-color", "food-flavor"):
        made.job(
            "curate",
            {f"curate/{task}/test.jsonl": f"{task}\n"},
            [table, manifest],
            wildcards={"task": task},
            params={"label": "color"},
        )
    datasets = [f"results/made/curate/{task}/test.jsonl" for task in ("food-color", "food-flavor")]
    model = {
        "name": "small", "revision": "f" * 40, "dtype": "float32", "quantisation": None,
        "image_backend": "pillow", "notes": [],
    }  # fmt: skip
    made.job("write_test", {"write/test.parquet": "p"}, datasets, model=model, device="cpu")
    made.job("render_figure_8", {"figures/figure_8.pdf": "f"}, ["results/made/write/test.parquet"])


def test_a_tree_leads_from_the_figure_to_images_and_labels(made):
    chain(made)
    lineage = made.lineage()
    text = "\n".join(tree(lineage, lineage.record("results/made/figures/figure_8.pdf")))
    order = ["render_figure_8", "write_test", "curate ×2", "collect", "1 images: Emoji 1.0"]
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)
    assert f"small {'f' * 40} float32 pillow; on cpu" in text
    assert "curate/{food-color,food-flavor}/test.jsonl" in text
    assert "2 labels color: 2 curated" in text
    assert "2 from a book" in text
    assert "CHANGED" not in text and "NO RECORD" not in text
    everything = "\n".join(tree(lineage, lineage.record("results/made/figures/figure_8.pdf"), True))
    assert (
        "Banana (foods): Banana, Emoji 1.0: b.png, Ada, CC0 https://example.org/cc0" in everything
    )
    assert "Cherry, color: red; curated, a book, https://example.org/cherry" in everything


def test_the_data_has_every_image_and_every_label_once(made):
    chain(made)
    lineage = made.lineage()
    data = as_data(lineage, lineage.record("results/made/figures/figure_8.pdf"))
    assert [record["rule"] for record in data["records"]][-2:] == ["write_test", "render_figure_8"]
    assert [image["licence"] for image in data["images"]] == ["CC0"]
    assert [(label["entity"], label["label"]) for label in data["labels"]] == [
        ("Banana", "yellow"),
        ("Cherry", "red"),
    ]
    json.dumps(data)


def test_what_changed_and_what_has_no_record_is_said(made):
    chain(made)
    (made.folder / "records/curate/food-color/test.jsonl.json").unlink()
    table = made.root / "resources/entities/foods.csv"
    table.write_text(table.read_text().replace("red", "pink"))
    lineage = made.lineage()
    text = "\n".join(tree(lineage, lineage.record("results/made/figures/figure_8.pdf")))
    assert "results/made/curate/food-color/test.jsonl  NO RECORD" in text
    assert "resources/entities/foods.csv  CHANGED SINCE" in text


def test_a_file_inside_a_folder_has_the_folders_record(made):
    made.file("results/made/prepare/small/model.safetensors", "weights")
    made.record("results/made/prepare/small", "vision_tower")
    record = made.lineage().record("results/made/prepare/small/model.safetensors")
    assert (record.rule, record.path) == ("vision_tower", "results/made/prepare/small")
    assert made.lineage().record("results/made/prepare") is None


def test_wrong_targets_are_one_sentence(made, monkeypatch):
    chain(made)
    monkeypatch.chdir(made.root)
    made.file("results/made/stray.csv", "x")
    made.file("results/plain/x.csv", "x")
    for target, sentence in (
        ("results/made/stray.csv", "has no record"),
        ("/etc/passwd", "is outside the repository"),
        ("resources/entities/foods.csv", "only results have records"),
        ("results/plain/x.csv", "holds no results with records"),
        ("results/nothing/x.csv", "is no folder"),
        ("table_99", "has no record of an item 'table_99'"),
    ):
        with pytest.raises(UserError, match=sentence):
            find_target(target, made.folder)
    assert find_target("figure_8", made.folder)[1].rule == "render_figure_8"


def test_a_record_of_a_newer_schema_or_a_damaged_one_is_refused(made):
    chain(made)
    file = made.folder / "records/write/test.parquet.json"
    for change, sentence in (({"schema": 2}, "schema 2"), ({"ruel": "x"}, "unknown key 'ruel'")):
        kept = file.read_text()
        file.write_text(json.dumps({**json.loads(kept), **change}))
        with pytest.raises(UserError, match=sentence):
            made.lineage().record("results/made/write/test.parquet")
        file.write_text(kept)


def test_a_manifest_cannot_name_images_elsewhere(made):
    chain(made)
    manifest = made.folder / "collect/noto/manifest.csv"
    manifest.write_text(manifest.read_text().replace("images/banana.png", "../../../secret.png"))
    with pytest.raises(UserError, match="outside its folder"):
        read_manifest(manifest)


def test_no_results_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="name a folder results/<experiment>"):
        open_results(tmp_path)


def test_paths_are_condensed_without_losing_their_form():
    paths = [f"write/{task}/test.parquet" for task in "abcd"]
    assert condensed(paths) == "write/{a,b,c,…}/test.parquet"
    assert condensed(["a/b.csv", "c.csv"]) == "a/b.csv c.csv"


def test_a_record_read_back_has_the_fields_of_its_schema():
    stated = set(load_schema("record")["properties"]) - {"schema"}
    assert {field.name for field in fields(Record)} == stated
