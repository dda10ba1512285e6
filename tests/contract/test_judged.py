"""What is judged where a label's first token shows no text: a space by itself, part of a letter."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise

import pandas as pd
import pytest
import torch

from taskvectors import api, write
from taskvectors.curate import first_tokens
from taskvectors.demo.prompts import ask, parse_line, shown
from taskvectors.engine.forward import Patch
from taskvectors.engine.forward import run as forward
from taskvectors.engine.patching import patched_answers, plain_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import continued, whole
from taskvectors.jobs.arguments import Context
from taskvectors.jobs.queries import encode_queries, prediction
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import JUDGED_TOKENS, encode_query
from taskvectors.models.judged import first_tokens as judged_labels
from taskvectors.read import __main__ as read
from taskvectors.study.datasets import Item
from taskvectors.study.metrics import METRICS, judged, matches, right_for_all, shows_text
from taskvectors.study.prompts import ImageInput, Template, Text, find_template

from .families import FAMILIES
from .jobs import ROOT
from .test_contract import TEMPLATE, contexts, queries, random_vectors
from .test_jobs import vectors

SPACED = Template("spaced", "Q:", "\nA:", "\n\n", " ")
LABELS = ["กรุงเทพ", "เชียงใหม่", "北京", "თბილისი", "\u200fירושלים", "🦊 fox"]
NEWER = ["\U0001fae9", "\ue000x"]  # an emoji of Unicode 16, a character of private use


def naive_text(adapter: Adapter, prompt: Encoded, patch: Patch | None = None) -> tuple[int, ...]:
    """The greedy tokens up to the first that shows text, the whole prompt anew for each."""
    ids: list[int] = []
    while len(ids) < JUDGED_TOKENS:
        asked = continued(prompt, ids)
        patches = [patch] if patch else []
        ends = [(0, len(asked.ids) - 1)]
        _, (answer,) = forward(adapter, [whole(asked)], patches=patches, answers=ends)
        ids.append(answer.token_id)
        if ids[-1] in adapter.end_ids or ids[-1] == adapter.placeholder_id:
            break
        if shows_text(adapter.tokenizer.decode(ids)):
            break
    return tuple(ids)


def test_answers_go_on_to_text_as_whole_prompts_run_anew_do(adapter, images):
    prompts = [replace(one, to_text=True) for one in queries(adapter, images)]
    found_vectors = random_vectors(adapter, 2)
    sites = [
        Site(name, layer, strength)
        for layer in range(len(adapter.layers))
        for name in found_vectors
        for strength in (None, 2.0)
    ]
    lengths = set()
    for batch in patched_answers(adapter, prompts, found_vectors, sites):
        for number, site, answer in batch:
            last = len(prompts[number].ids) - 1
            patch = Patch(0, last, site.layer, site.vector(found_vectors), site.added)
            assert answer.token_ids == naive_text(adapter, prompts[number], patch), site
            lengths.add(len(answer.token_ids))
    assert max(lengths) > 1
    asked = [replace(one, to_text=True) for one in contexts(adapter, images)] + prompts
    for prompt, answer in zip(asked, plain_answers(adapter, asked), strict=True):
        assert answer.token_ids == naive_text(adapter, prompt)


def test_an_answer_is_one_token_where_nothing_asks_for_more(adapter, images):
    prompts = queries(adapter, images)
    sites = [Site(name, 0) for name in random_vectors(adapter, 4)]
    batches = patched_answers(adapter, prompts, random_vectors(adapter, 4), sites)
    assert all(answer.rest == () for batch in batches for _, _, answer in batch)
    assert all(answer.rest == () for answer in plain_answers(adapter, prompts))


@pytest.mark.parametrize("template", [TEMPLATE, SPACED], ids=["generic", "spaced"])
def test_a_label_is_judged_up_to_its_first_token_that_shows_text(adapter, template):
    decode = adapter.tokenizer.decode
    asked = template.query(Text("Japan"))
    for label in [*LABELS, *NEWER, "Paris", "1850"]:
        encoded, ids = encode_query(adapter, asked, template, label)
        whole_label = adapter.encode((*asked, template.value(label))).ids[len(encoded.ids) :]
        assert ids == tuple(whole_label[: len(ids)])
        assert shows_text(decode(list(ids))) and matches(decode(list(ids)), label)
        assert not any(shows_text(decode(list(ids[:end]))) for end in range(1, len(ids)))
        assert encoded.to_text == (len(ids) > 1)
    assert len(encode_query(adapter, asked, template, LABELS[0])[1]) > 1


@pytest.mark.parametrize("template", ["generic", "spaced"])
def test_stages_judge_what_whole_prompts_run_anew_answer(job, run, load, template):
    """All that is read and written for labels of which some show text at once and some do not."""
    labels = [*LABELS, "Paris", "1850", "x", "y"]
    job.items = [replace(item, label=label) for item, label in zip(job.items, labels, strict=True)]
    own = vectors(1)
    for stage, arguments in ((read, job.reading()), (write, job.writing(own, 1))):
        run(stage, [one if one != "generic" else template for one in arguments])
    adapter = load(job.checkpoint, "tiny")
    layout = find_template(ROOT / "resources/templates.yaml", template)
    items = {item.entity: item for item in job.items}
    sets = {(one.split, one.seed, one.query): one.exemplars for one in job.sets}
    baselines = pd.read_parquet(job.folder / "read/baselines.parquet")
    patched = pd.read_parquet(job.folder / "test.parquet")
    ordinary = set()
    for row in pd.concat([baselines, patched]).to_dict("records"):
        item = items[row["entity"]]
        image = ImageInput(item.image)
        query = layout.query(image if row["query_modality"] == "image" else Text(item.entity))
        encoded, ids = encode_query(adapter, query, layout, item.label)
        ordinary.add(len(ids) == 1)
        prompt, patch = encoded, None
        if row["method"].endswith("base"):
            drawn = [items[name] for name in sets[row["split"], row["seed"], row["entity"]]]
            shown_as = row["specification"]
            pairs = [
                (ImageInput(one.image) if shown_as == "image_icl" else Text(one.entity), one.label)
                for one in drawn
            ]
            prompt = adapter.encode((*layout.exemplars(pairs), *query))
        elif row["method"] != "no_context":
            name = row["specification"]
            vector = own[name if name == "instruction" else f"{name}/1"][1]
            patch = Patch(0, len(prompt.ids) - 1, 1, vector)
        expected = naive_text(adapter, prompt, patch)[: JUDGED_TOKENS if len(ids) > 1 else 1]
        assert row["token_ids"] == " ".join(map(str, expected)), row
        assert row["token"] == adapter.tokenizer.decode(list(expected))
        assert row["token_id"] == expected[0]
        assert row["label_token_ids"] == " ".join(map(str, ids))
        assert row["label_token"] == adapter.tokenizer.decode(list(ids))
        assert row["label_token_id"] == ids[0]
    assert ordinary == {True, False}


def test_labels_that_begin_alike_are_told_of_before_a_model_runs(job, run, load, tmp_path):
    """Years begin with one digit in the generic template; a Thai word's first byte is no text."""
    years = [replace(item, label=str(1850 + n)) for n, item in enumerate(job.items)]
    thai = [replace(item, label=LABELS[n % 2]) for n, item in enumerate(job.items)]
    for items, caveat in (
        (years, "all 10 labels begin with the same token, which is right for 100% of the items"),
        (thai, "2 of 2 labels have a first token that shows no text"),
    ):
        job.items = items
        common = job.common()
        common = [one for one in common if one not in ("--dtype", "float32")]
        splits = [str(job.folder / f"{split}.jsonl") for split in ("validation", "test")]
        out = tmp_path / "counted.csv"
        log = tmp_path / "log"
        run(first_tokens, [*common, "--splits", *splits, "--out", str(out), "--log", str(log)])
        assert f"country-capital, tiny, template generic: {caveat}" in log.read_text()
        (row,) = pd.read_csv(out).to_dict("records")
        adapter = load(job.checkpoint, "tiny")
        template = find_template(ROOT / "resources/templates.yaml", "generic")
        known = judged_labels(adapter, template, [item.label for item in items])
        assert row == {"task": "country-capital", **asdict(known)}


def says(adapter: Adapter, ids: tuple[int, ...]) -> None:
    """Have a model, of the Llama kind, write ``ids`` after a colon, whatever is asked: nothing is
    added to a token's embedding, and the unembedding knows which token follows which."""
    for layer in adapter.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    embeddings = adapter.model.get_input_embeddings().weight
    rows = torch.zeros_like(adapter.unembedding.weight)
    for token, following in pairwise((colon(adapter), *ids)):
        rows[following] = embeddings[token] / embeddings[token].norm()
    adapter.unembedding.weight = torch.nn.Parameter(rows, requires_grad=False)
    adapter.final_norm.weight.data.fill_(1)


def colon(adapter: Adapter) -> int:
    return adapter.encode(TEMPLATE.query(Text("Japan"))).ids[-1]


# What the model says, and of each label whether that is right. In these vocabularies the first
# letters of all Thai words begin with one byte, the space before an unknown word is a token.
SAID = [
    (TEMPLATE, "กรุงเทพ", {"กรุงเทพ": True, "กาญจนบุรี": True, "เชียงใหม่": False, "Paris": False}),
    (TEMPLATE, "北京", {"北京": True, "北海": True, "上海": False, "กรุงเทพ": False}),
    (TEMPLATE, "თბილისი", {"თბილისი": True, "ბათუმი": False}),
    (SPACED, "Zagreb", {"Zagreb": True, "Zürich": True, "Warsaw": False, "กรุงเทพ": False}),
    (SPACED, "กรุงเทพ", {"กรุงเทพ": True, "เชียงใหม่": False, "Warsaw": False}),
    (TEMPLATE, "Zagreb", {"Zagreb": True, "Zürich": True, "Warsaw": False}),
]


@pytest.mark.parametrize("kind", ["llava", "llava_onevision"], ids=["pieces", "bytes"])
@pytest.mark.parametrize(("template", "said", "right"), SAID)
def test_both_metrics_are_right_about_what_a_model_says(
    kind, template, said, right, load, tmp_path
):
    FAMILIES[kind].save(tmp_path / "tiny")
    adapter = load(tmp_path / "tiny", kind)
    items = [Item("t", "test", f"e{n}", "", label) for n, label in enumerate([said, *right])]
    queries = encode_queries(adapter, template, items, ("text",))
    says(adapter, queries[0].label_ids)
    answers = plain_answers(adapter, [query.encoded for query in queries])
    context = Context("tiny", template, "t")
    found = judged(
        pd.DataFrame(
            prediction(adapter, context, query, answer, "no_context")
            for query, answer in zip(queries, answers, strict=True)
        )
    )
    expected = [True, *right.values()]
    assert found["paper"].tolist() == expected
    assert found["strict"].tolist() == expected
    assert right_for_all(found, found, "strict").diagonal().tolist() == expected
    assert right_for_all(found, found, "paper").diagonal().tolist() == expected


@pytest.mark.parametrize(("template", "said", "right"), SAID)
def test_demo_and_api_judge_as_the_stages_do(template, said, right, load, tmp_path):
    FAMILIES["llava"].save(tmp_path / "tiny")
    model = api.Model(load(tmp_path / "tiny", "tiny"), template, None)
    adapter = model.adapter
    says(adapter, encode_query(adapter, template.query(Text("Japan")), template, said)[1])
    about = {"id": "1", "vector": "v", "specification": "instruction", "instruction": "x"}
    lines = [
        parse_line({**about, "query": {"input": "Japan"}, "label": label}, template)
        for label in right
    ]
    asked = [ask(adapter, template, line, line.base) for line in lines]
    answers = plain_answers(adapter, [one.encoded for one in asked])
    found = [shown(adapter, *pair)["right"] for pair in zip(asked, answers, strict=True)]
    assert found == [{"paper": ok, "strict": ok} for ok in right.values()]
    own = adapter.model.get_input_embeddings().weight[colon(adapter)].expand(model.layers, -1)
    vector = replace(api.read(model, instruction="x"), tensor=own.clone())
    rows = api.sweep(model, ["Japan"] * len(right), vector, list(right)).rows
    for metric in METRICS:
        by_label = rows.groupby("label")[metric].agg(["min", "max"])
        assert {label: (ok, ok) for label, ok in right.items()} == {
            label: tuple(pair) for label, *pair in by_label.itertuples()
        }
