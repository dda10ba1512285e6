"""Branching rows: who sees whom, where, and how rows are packed."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.engine.trees import Row, Span, batch_rows, packed, visible


def span(length: int, first: int) -> Span:
    return Span(list(range(1, length + 1)), torch.arange(first, first + length).unsqueeze(0))


def row(trunk: int, branches: list[int], padding: int) -> Row:
    return Row(span(trunk, 0), tuple(span(length, trunk) for length in branches), padding)


ROWS = st.builds(row, st.integers(1, 6), st.lists(st.integers(1, 4), max_size=3), st.integers(0, 2))


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_a_token_sees_its_trunk_and_its_own_past_and_nothing_else(rows):
    batch = batch_rows(rows, pad_id=0)
    mask = visible(batch.spans)
    for number, one in enumerate(rows):
        owners = {
            start + at: number
            for number, (start, part) in enumerate(zip(one.starts, one.spans, strict=True))
            for at in range(len(part.ids))
        }
        for at in range(batch.ids.shape[1]):
            seen = mask[number, 0, at].nonzero()[:, 0].tolist()
            expected = [
                other
                for other, owner in owners.items()
                if other <= at and owner in (0, owners.get(at))
            ]
            assert seen == (expected if at in owners else [at])


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_branches_continue_the_trunks_positions(rows):
    batch = batch_rows(rows, pad_id=0)
    for number, one in enumerate(rows):
        trunk = len(one.trunk.ids)
        for start, part in zip(one.starts, one.spans, strict=True):
            first = 0 if start == 0 else trunk
            found = batch.positions[0, number, start : start + len(part.ids)].tolist()
            assert found == list(range(first, first + len(part.ids)))


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_packing_takes_every_item_once_within_the_budget(lengths, budget):
    groups = list(packed(lengths, lengths, budget))
    assert sorted(number for group in groups for number in group) == list(range(len(lengths)))
    for group in groups:
        padded = max(lengths[number] for number in group) * len(group)
        assert padded <= budget or len(group) == 1
        assert max(lengths[n] for n in group) <= 1.15 * min(lengths[n] for n in group)
