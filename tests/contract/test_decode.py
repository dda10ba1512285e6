"""The logit lens: residual streams decoded by each model's own norm and unembedding."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
import torch
from torch import Tensor

from taskvectors.models.base import Adapter
from taskvectors.score.decode import (
    DecodedSets,
    decode_sets,
    decode_task,
    decode_vectors,
    probabilities,
    take_sets,
    vocabulary_of,
    word_ids,
)
from taskvectors.study.tasks import read_tasks
from taskvectors.study.words import is_word

from .test_contract import CLOSE, last_of, outputs, own_inputs, own_prompts

WORDS = [" ", ":", " city", "City", " Paris", "par", "NA", " (", "\n"]


def activations(adapter: Adapter, **rows: int) -> dict[str, Tensor]:
    """Random residual streams by name (``/`` written ``__``), (rows, layers, width)."""
    generator = torch.Generator().manual_seed(2)
    return {
        name.replace("__", "/"): torch.randn(
            count, len(adapter.layers), adapter.width, generator=generator
        )
        for name, count in rows.items()
    }


def test_the_last_layer_decodes_to_the_models_own_probabilities(family, adapter, images):
    for encoded, text, shown in own_prompts(family, adapter, images):
        inputs = own_inputs(family, adapter, encoded, text, shown)
        with torch.inference_mode():
            own = torch.softmax(adapter.model(**inputs).logits[0, last_of(encoded)].float(), -1)
        read = outputs(adapter, encoded)
        torch.testing.assert_close(probabilities(adapter, read[-1]), own.cpu(), **CLOSE)
        last, best = len(adapter.layers) - 1, int(own.argmax())
        rows, tops = decode_sets(adapter, DecodedSets(read[None], (1,)), {"answer": [best]})
        assert tops[last] == {(1, best): 1}
        assert rows[last]["probability"] == pytest.approx(float(own[best]), abs=1e-4)
        (top,) = [
            row
            for row in decode_vectors(adapter, {"text_icl/1": read}, vocabulary_of(adapter))
            if (row["layer"], row["rank"]) == (last, 1)
        ]
        assert top["token"] == adapter.tokenizer.decode([best])
        assert top["probability"] == pytest.approx(float(own[best]), abs=1e-4)


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_phases_are_sums_over_their_tokens_and_means_over_a_seeds_sets(adapter):
    hidden = activations(adapter, text_icl__test__1__query=3)["text_icl/test/1/query"]
    sets = DecodedSets(hidden, (1, 1, 2))
    everything = list(range(adapter.unembedding.weight.shape[0]))
    rows, tops = decode_sets(adapter, sets, {"task": [2, 3], "answer": everything})
    table = pd.DataFrame(rows).set_index(["seed", "layer", "phase"])
    assert table.loc[(1, 0, "answer"), "probability"] == pytest.approx(1)
    by_hand = [probabilities(adapter, hidden[i, 1])[[2, 3]].sum().item() for i in (0, 1)]
    assert table.loc[(1, 1, "task"), "probability"] == pytest.approx(sum(by_hand) / 2)
    assert table.loc[(1, 1, "task"), "sets"] == 2
    best = [int(probabilities(adapter, hidden[i, 2]).argmax()) for i in range(3)]
    assert tops[2] == Counter(zip((1, 1, 2), best, strict=True))


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_vectors_decode_as_their_mean_over_seeds(adapter):
    vectors = {f"text_icl/{seed}": one for seed, one in
               enumerate(activations(adapter, text_icl=2)["text_icl"], start=1)}  # fmt: skip
    vectors["text_icl_n5/1"] = vectors["text_icl/1"]  # no specification's own
    vocabulary = vocabulary_of(adapter)
    rows = pd.DataFrame(decode_vectors(adapter, vectors, vocabulary))
    assert set(rows["specification"]) == {"text_icl"}
    mean = (vectors["text_icl/1"] + vectors["text_icl/2"]) / 2
    likely = probabilities(adapter, mean[1])
    ranked = sorted(range(len(likely)), key=lambda i: -likely[i])[:5]
    shown = rows[rows["layer"] == 1].sort_values("rank")
    assert shown["token"].tolist() == [vocabulary[i] for i in ranked]
    assert shown["probability"].tolist() == pytest.approx([float(likely[i]) for i in ranked])


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_sets_are_taken_in_turn_from_every_seed_up_to_the_limit(adapter):
    read = activations(
        adapter,
        text_icl__test__1__query=4, text_icl__test__2__query=2, text_icl__validation__1__query=9,
    )  # fmt: skip
    taken = take_sets(read, "text_icl", most=5)
    assert taken is not None and taken.seeds == (1, 2, 1, 2, 1)
    assert torch.equal(taken.activations[3], read["text_icl/test/2/query"][1])
    assert torch.equal(taken.activations[4], read["text_icl/test/1/query"][2])
    assert take_sets(read, "image_icl") is None
    assert take_sets(read, "instruction") is None


@pytest.mark.parametrize("family", ["llama"], indirect=True)
def test_every_set_has_one_likeliest_token_at_every_layer(adapter):
    read = activations(adapter, text_icl__test__1__query=6, instruction=1)
    phases, tops = decode_task(adapter, read, {"input": [0]}, vocabulary_of(adapter))
    assert set(phases["specification"]) == {"text_icl", "instruction"}
    assert tops.groupby(["specification", "layer"])["sets"].sum().unique().tolist() == [1, 6]


def test_words_are_found_whatever_their_case_and_space_and_a_space_is_itself():
    assert word_ids(["city"], WORDS) == [2, 3]
    assert word_ids([" ", ":"], WORDS) == [0, 1]
    shown = {" city": True, " (": False, " ": False, "A": False, "auf": True}
    assert {text: is_word(text) for text in shown} == shown


def test_every_task_has_tokens_for_figure_3(root):
    for task in read_tasks(root / "resources/tasks.yaml").values():
        assert {"input", "task"} <= set(task.tokens)
        assert ":" in task.tokens["input"]
