"""The estimate of GPU hours counts what the stages ask."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from paper_hours import Counted, Grid, paper

MEDIATION = {"prompts": 25, "exemplars": 10, "seed": 0}
GRID = Grid(2, seeds=3, exemplars=5, validation=30, test=100, mediation=MEDIATION, strengths=4)
TEXT, SHOWN = 9, 576 + 6  # tokens of a query


class Listed(Counted):
    """A model of four layers that says what it is asked to count."""

    def operations(self, tokens, answers, images):
        return [(tokens, answers, images)]


def model(**changes) -> Listed:
    decoder = SimpleNamespace(layers=range(4), config=SimpleNamespace(num_attention_heads=8))
    return Listed(SimpleNamespace(get_decoder=lambda: decoder), image=576, **changes)


def test_reading_asks_every_set_before_two_queries_and_the_queries_alone():
    sets = 130 * 3
    tokens = sets * (5 * 14 + TEXT + SHOWN) + 130 * (TEXT + SHOWN)
    assert GRID.read(model()) == [(tokens, 2 * sets + 2 * 130, 130)]
    with_images = tokens + sets * (5 * (576 + 11) + TEXT + SHOWN)
    assert GRID.read(model(image_icl=True)) == [(with_images, 4 * sets + 2 * 130, 130)]


def test_writing_sweeps_all_layers_in_validation_and_one_in_test():
    validation, test = GRID.write(model(), 4, 39)
    sites = 4 * 4
    assert validation == (30 * (TEXT + SHOWN + sites), 30 * 2 * sites, 30)
    assert test == (100 * (TEXT + SHOWN + 4 + SHOWN + 39 / 2), 100 * (2 * 4 + 39), 100)


def test_heads_are_mediated_in_one_pass_a_prompt_and_added_in_two_ways():
    mediated, validation, test = GRID.heads(model())
    assert mediated == (25 * (10 * 14 + TEXT + 4 * 8 / 2), 25 * 4 * 8, 0)
    sites = 2 * 4 * 4  # ways, layers, strengths
    assert validation == (30 * (TEXT + SHOWN + sites), 30 * 2 * sites, 30)
    assert test == (100 * (TEXT + SHOWN + 2 * 3), 100 * 2 * 2 * 3, 100)


def test_the_papers_grid_is_counted_with_the_models_own_sizes():
    grid, models = paper()
    assert (grid.tasks, grid.seeds, grid.items) == (6, 3, 130)
    assert models["llava-v1.5"].operations(1, 0, 0) == pytest.approx(2 * 6.48e9, rel=1e-3)
    assert {len(list(grid.stages(one))) for one in models.values()} == {3, 4}
