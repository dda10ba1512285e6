"""Captions: the text in ``workflow/report``, with this run's sample sizes and caveats."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from taskvectors.files import read_json

REPORT = Path(__file__).resolve().parent.parent.parent / "report"


def caption(item: str, experiment: str, samples: list[str], naming: dict[str, Path]) -> str:
    """What ``item`` shows, in which experiment, over how many items, and how well the eyes see.

    ``samples`` are sentences by `sample_sentence`; ``naming`` maps a model whose eyes were
    trained here to its ``naming.json``.
    """
    shows = " ".join((REPORT / f"{item}.rst").read_text(encoding="utf-8").split())
    eyes = [naming_sentence(model, path) for model, path in naming.items()]
    return " ".join([shows, f"Experiment {experiment}.", *samples, *eyes])


def sample_sentence(model: str, split: str, items: pd.Series, seeds: int) -> str:
    """How many items of each task were asked (task to count), and under how many seeds.

    A task that was not asked has a missing count.
    """
    counts = ", ".join(
        f"{task} {'not asked' if pd.isna(count) else int(count)}" for task, count in items.items()
    )
    return f"{model}: {split} items {counts}; {seeds} seeds."


def naming_table(naming: Path) -> pd.DataFrame:
    """``naming.json`` as a table: entity set, accuracy, pictures."""
    held_out = read_json(naming)["held_out"]
    return pd.DataFrame([{"entity_set": name, **found} for name, found in held_out.items()])


def naming_sentence(model: str, naming: Path) -> str:
    """How well a model's eyes, trained here, name held-out pictures, in one sentence."""
    shares = ", ".join(
        f"{row.entity_set} {row.accuracy:.2f} of {row.pictures}"
        for row in naming_table(naming).itertuples()
    )
    return (
        f"The eyes of the model {model} are a closed-set lookup of names; on the rendering that "
        f"training never saw they name rightly: {shares}."
    )
