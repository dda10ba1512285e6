"""Generation of several tokens, free and with a patch held on the delimiter."""

from __future__ import annotations

import torch

from taskvectors.engine.forward import Patch, run
from taskvectors.engine.generate import generate
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole

from .test_contract import queries, random_vectors

TOKENS = 4


def test_free_generation_of_a_batch_is_the_models_own_greedy_one(adapter, images):
    prompts = queries(adapter, images)[:2]
    found = generate(adapter, prompts, TOKENS)
    for prompt, tokens in zip(prompts, found, strict=True):
        own = adapter.model.generate(
            input_ids=torch.tensor([prompt.ids], device=adapter.device),
            attention_mask=torch.ones(1, len(prompt.ids), dtype=torch.long, device=adapter.device),
            max_new_tokens=TOKENS,
            do_sample=False,
        )[0, len(prompt.ids) :].tolist()
        stops = {*adapter.end_ids, adapter.placeholder_id}
        ends = [index for index, token in enumerate(own) if token in stops]
        assert tokens == own[: ends[0] if ends else None]


def test_a_held_patch_gives_the_sweeps_answer_first_and_stays_for_the_rest(adapter, images):
    prompts = queries(adapter, images)
    layer = len(adapter.layers) // 2
    vectors = random_vectors(adapter, 1)
    vector = vectors["0"][layer]
    first = naive_sweep(adapter, prompts, vectors, [Site("0", layer)])
    found = generate(adapter, prompts, 2, vector, layer)
    for number, _, answer in first:
        if answer.token_id in adapter.end_ids:
            assert found[number] == []
            continue
        assert found[number][0] == answer.token_id
        longer = whole(prompts[number])
        after = torch.cat([longer.trunk.positions, longer.trunk.positions[:, -1:] + 1], dim=1)
        span = type(longer.trunk)([*longer.trunk.ids, answer.token_id], after, longer.trunk.images)
        at = len(longer.trunk.ids)
        patch = Patch(0, at - 1, layer, vector)
        _, (second,) = run(adapter, [type(longer)(span)], patches=[patch], answers=[(0, at)])
        ended = second.token_id in adapter.end_ids
        assert found[number][1:] == ([] if ended else [second.token_id])


def test_one_line_ends_with_the_token_that_ends_it(adapter, images, monkeypatch):
    """The tokenizer is made to say a line break with the third token that is written."""
    prompts = queries(adapter, images)[:1]
    (whole_text,) = generate(adapter, prompts, 6)
    real = adapter.tokenizer.decode

    def broken(ids, **given):
        text = "".join(real([token], **given) for token in ids[:2]).replace("\n", "") + "x"
        return "\n " + text + ("\n" if len(ids) > 2 else "")

    monkeypatch.setattr(adapter.tokenizer, "decode", broken, raising=False)
    (one_line,) = generate(adapter, prompts, 6, one_line=True)
    assert one_line == whole_text[:3]
