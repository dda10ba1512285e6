"""What controls draw, exactly; their names; and which task is another one's control."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.controls.draws import (
    exchanges,
    noise,
    random_like,
    shuffled,
    with_irrelevant,
    with_shuffled_labels,
)
from taskvectors.study.controls import control_of, controlled, with_controls
from taskvectors.study.datasets import ExemplarSet, Item
from taskvectors.study.predictions import control_methods, method_name

DRAWN = ExemplarSet("validation", 1, "Peru", ("France", "Kenya", "Chad"))
ITEMS = [Item("capital", "validation", name, f"{name}.png", name[0]) for name in DRAWN.exemplars]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.integers(0, 5))
def test_as_few_labels_as_can_be_stand_where_they_stood(labels, seed):
    moved = shuffled(labels, random.Random(seed))
    assert sorted(moved) == sorted(labels)
    kept = sum(new == old for new, old in zip(moved, labels, strict=True))
    assert kept == max(0, 2 * max(map(labels.count, labels)) - len(labels))


def test_labels_are_shuffled_anew_for_every_seed_and_prompt_and_the_same_again():
    labels = list("abcdefgh")
    orders = {tuple(shuffled(labels, random.Random(seed))) for seed in range(20)}
    assert len(orders) == 20
    first = with_shuffled_labels(DRAWN, ITEMS)
    assert with_shuffled_labels(DRAWN, ITEMS) == first
    assert [replace(one, label="") for one in first] == [replace(one, label="") for one in ITEMS]
    others = [with_shuffled_labels(replace(DRAWN, seed=seed), ITEMS) for seed in range(2, 12)]
    assert any(one != first for one in others)


def test_noise_is_as_large_as_asked_and_its_pixels_are_uniform():
    image = noise((40, 30), "1/capital/Peru/noise")
    assert (image.size, image.mode) == ((40, 30), "RGB")
    values = list(image.tobytes())
    assert sum(values) / len(values) == pytest.approx(127.5, abs=5)
    assert noise((40, 30), "1/capital/Peru/noise").tobytes() == image.tobytes()
    assert noise((40, 30), "2/capital/Peru/noise").tobytes() != image.tobytes()


def test_irrelevant_images_differ_within_a_prompt_and_labels_stay(tmp_path):
    others = [Item("foods", "validation", str(n), f"{n}.png", "red") for n in range(4)]
    shown = with_irrelevant(DRAWN, ITEMS, others)
    assert [(one.entity, one.label) for one in shown] == [(i.entity, i.label) for i in ITEMS]
    images = [one.image for one in shown]
    assert len(set(images)) == 3 and set(images) <= {one.image for one in others}
    assert set(exchanges(others, tmp_path)) == {"shuffled_labels", "noise", "irrelevant"}
    assert set(exchanges([], tmp_path)) == {"shuffled_labels", "noise"}


def test_a_random_vector_is_as_long_as_the_real_one_in_every_layer():
    real = torch.tensor([[3.0, 4.0], [0.0, 0.5], [0.0, 0.0]])
    drawn = random_like(real, "m/capital/text_icl/1")
    assert drawn.norm(dim=-1).tolist() == pytest.approx([5.0, 0.5, 0.0])
    assert torch.equal(random_like(real, "m/capital/text_icl/1"), drawn)
    long = torch.ones(1, 4096)
    directions = [random_like(long, f"m/capital/text_icl/{seed}") for seed in (1, 2, 3)]
    for one, other in pairwise(directions):
        assert torch.cosine_similarity(one, other).abs() < 0.1


def test_controls_are_named_after_what_they_stand_beside():
    assert control_of("text_icl/1", "random") == "text_icl_random/1"
    before_text = control_of("text_icl_before_text/1", "shuffled_labels")
    assert before_text == "text_icl_shuffled_labels_before_text/1"
    assert controlled("image_icl_noise") == "image_icl"
    assert controlled("text_icl_noise") == "text_icl_noise"  # there is no such control
    assert method_name("image_icl_noise", "image", "patch") == "image_icl_noise_patch"
    assert method_name("text_icl_other_task", "image", "patch") == "text_icl_other_task_xpatch"
    names = ["text_icl/1", "text_icl_before_text/1", "text_icl_n5/1", "ensemble/1", "instruction"]
    assert list(with_controls(dict.fromkeys(names))) == names[:2]
    assert control_methods("text") == {
        "text_icl_patch": {
            "no_context": "no_context",
            "shuffled_labels": "text_icl_shuffled_labels_patch",
            "other_task": "text_icl_other_task_patch",
            "random": "text_icl_random_patch",
        },
        "image_icl_xpatch": {
            "no_context": "no_context",
            "shuffled_labels": "image_icl_shuffled_labels_xpatch",
            "noise": "image_icl_noise_xpatch",
            "irrelevant": "image_icl_irrelevant_xpatch",
            "other_task": "image_icl_other_task_xpatch",
            "random": "image_icl_random_xpatch",
        },
    }
