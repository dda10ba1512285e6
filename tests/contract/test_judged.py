"""What is judged where a label's first token shows no text: a space by itself, part of a letter."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from taskvectors import api, write
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.patching import JUDGED_TOKENS, patched_answers, plain_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import continued, whole
from taskvectors.jobs.queries import encode_query
from taskvectors.models.base import Adapter, Encoded
from taskvectors.qualitative.conflict import answer_conflicts
from taskvectors.qualitative.descriptions import answer_descriptions
from taskvectors.read import __main__ as read
from taskvectors.study.metrics import judged, matches, shows_text
from taskvectors.study.prompts import ImageInput, Template, Text, find_template

from .families import FAMILIES
from .jobs import ROOT
from .test_contract import TEMPLATE, contexts, queries, random_vectors
from .test_jobs import vectors

SPACED = Template("spaced", "Q:", "\nA:", "\n\n", " ")
LABELS = ["กรุงเทพ", "เชียงใหม่", "北京", "თბილისი", "\u200fירושלים", "🦊 fox"]


def naive_text(adapter: Adapter, prompt: Encoded, patch: Patch | None = None) -> tuple[int, ...]:
    """The greedy tokens up to the first that shows text, the whole prompt anew for each."""
    ids: list[int] = []
    while len(ids) < JUDGED_TOKENS:
        asked = continued(prompt, ids)
        patches = [patch] if patch else []
        ends = [(0, len(asked.ids) - 1)]
        _, (answer,) = run(adapter, [whole(asked)], patches=patches, answers=ends)
        ids.append(answer.token_id)
        if ids[-1] in adapter.end_ids or ids[-1] == adapter.placeholder_id:
            break
        if shows_text(adapter.tokenizer.decode(ids)):
            break
    return tuple(ids)


def test_answers_go_on_to_text_as_whole_prompts_run_anew_do(adapter, images):
    prompts = [replace(one, to_text=True) for one in queries(adapter, images)]
    found_vectors = random_vectors(adapter, 4)
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
    for label in [*LABELS, "Paris", "1850"]:
        encoded, ids = encode_query(adapter, asked, template, label)
        whole_label = adapter.encode((*asked, template.value(label))).ids[len(encoded.ids) :]
        assert ids == tuple(whole_label[: len(ids)])
        assert shows_text(decode(list(ids))) and matches(decode(list(ids)), label)
        assert not any(shows_text(decode(list(ids[:end]))) for end in range(1, len(ids)))
        assert encoded.to_text == (len(ids) > 1)
    assert len(encode_query(adapter, asked, template, LABELS[0])[1]) > 1


@pytest.mark.parametrize("template", ["generic", "spaced"])
def test_stages_judge_what_whole_prompts_run_anew_answer(job, run, load, template, request):
    """All that is read and written for labels of which some show text at once and some do not."""
    run = request.getfixturevalue("run")
    labels = dict(zip([item.entity for item in job.items], [*LABELS, "Paris", "1850", "x", "y"]))
    job.items = [replace(item, label=labels[item.entity]) for item in job.items]
    common = [one if one != "generic" else template for one in job.reading()]
    run(read, common)
    own = vectors(1)
    run(write, [one if one != "generic" else template for one in job.writing(own, 1)])
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
