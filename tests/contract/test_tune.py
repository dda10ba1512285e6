"""Tuning changes the queries and values of the language model, by the seed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Generator
from transformers import AutoModelForImageTextToText, AutoProcessor

from taskvectors.prepare.drawings import Drawings, in_passes
from taskvectors.prepare.tune import (
    add_low_rank,
    caption_loss,
    merge_low_rank,
    perplexities,
    tune,
)

from .families import FAMILIES

NAMES = ["Japan", "France", "Peru"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    FAMILIES["embedded"].save(folder)
    return folder


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    squares = torch.rand((3, 4, 160, 160), generator=Generator().manual_seed(0))
    return Drawings(squares, torch.tensor([0, 1, 2]), ["countries"] * 3)


def loaded(folder: Path):
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    return model, AutoProcessor.from_pretrained(folder).tokenizer


def tuned(folder: Path, drawings: Drawings, seed: int, steps: int = 2):
    model, tokenizer = loaded(folder)
    tune(model, tokenizer, drawings, NAMES, steps, Generator().manual_seed(seed))
    return model


def test_only_queries_and_values_change_and_the_seed_alone_decides(tiny, drawings):
    before = loaded(tiny)[0].state_dict()
    after, again = (tuned(tiny, drawings, 0).state_dict() for _ in range(2))
    assert set(after) == set(before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    wanted = {name for name in before if name.endswith(("q_proj.weight", "v_proj.weight"))}
    assert changed == wanted
    assert all(name.startswith("language_model.") for name in wanted)
    assert all(torch.equal(after[name], again[name]) for name in after)
    other = tuned(tiny, drawings, 1).state_dict()
    assert any(not torch.equal(after[name], other[name]) for name in wanted)


def test_merged_weights_answer_as_the_change_did(tiny):
    model, tokenizer = loaded(tiny)
    changes = add_low_rank(model.language_model, Generator().manual_seed(0))
    with torch.no_grad():
        for change in changes:
            change += 0.1
    ids = torch.tensor([tokenizer("Q:Japan\nA:")["input_ids"]])
    plain = loaded(tiny)[0](input_ids=ids).logits
    changed = model(input_ids=ids).logits
    merge_low_rank(model.language_model)
    assert (changed - plain).abs().max() > 0.1
    torch.testing.assert_close(model(input_ids=ids).logits, changed, atol=1e-5, rtol=0.0)


def test_the_loss_is_that_of_the_captions_tokens_alone(tiny, drawings):
    model, tokenizer = loaded(tiny)
    features = in_passes(model.get_image_features, drawings.squares[:2])
    captions = ["This is Japan.", "An image of the country Peru."]
    losses = []
    for feature, caption in zip(features, captions, strict=True):
        ids = tokenizer("\n" + caption)["input_ids"]
        for end in range(1, len(ids)):
            words = model.get_input_embeddings()(torch.tensor(ids[:end]))
            logits = model(inputs_embeds=torch.cat([feature, words])[None]).logits[0, -1]
            losses.append(F.cross_entropy(logits, torch.tensor(ids[end])))
    found = caption_loss(model, tokenizer, features, captions)
    torch.testing.assert_close(found, torch.stack(losses).mean(), atol=1e-4, rtol=0.0)


def test_captions_become_likelier_and_the_result_loads_as_any_model(tiny, drawings, tmp_path, load):
    model, tokenizer = loaded(tiny)
    features = in_passes(model.get_image_features, drawings.squares)
    before = perplexities(model, tokenizer, features, NAMES)
    after_model = tuned(tiny, drawings, 0, steps=40)
    after = perplexities(after_model, tokenizer, features, NAMES)
    assert after["captions"] < 0.9 * before["captions"]
    after_model.save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tiny).save_pretrained(tmp_path)
    adapter = load(tmp_path, "embedded-tuned")
    saved = adapter.model.state_dict()
    assert all(
        torch.equal(saved[name].cpu(), value) for name, value in after_model.state_dict().items()
    )
