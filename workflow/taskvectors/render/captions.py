"""Captions: the text in ``workflow/report``, with this run's sample sizes and caveats."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from taskvectors.files import read_json

REPORT = Path(__file__).resolve().parent.parent.parent / "report"


def caption(
    item: str, experiment: str, scores: dict[str, pd.DataFrame], naming: dict[str, Path]
) -> str:
    """What ``item`` shows, over how many items and seeds, and how well the eyes see."""
    sentences = [" ".join((REPORT / f"{item}.rst").read_text(encoding="utf-8").split())]
    sentences.append(f"Experiment {experiment}.")
    for model, table in scores.items():
        sizes = table[(table["method"] == "no_context") & (table["query_modality"] == "image")]
        sizes = sizes[sizes["metric"] == "paper"].set_index("task")["items"]
        counts = ", ".join(f"{task} {count}" for task, count in sizes.items())
        seeds = table["seeds"].max()
        sentences.append(
            f"{model}: test items {counts}; {seeds} seeds; brackets are the 95 % bootstrap "
            "interval over items."
        )
    sentences += [naming_sentence(model, path) for model, path in naming.items()]
    return " ".join(sentences)


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
