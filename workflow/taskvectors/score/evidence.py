"""What is known of one model, and what a measure of a claim says of it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.base.frames import read_by_task, read_frame
from taskvectors.score.bootstrap import Answers
from taskvectors.study.config import read_models
from taskvectors.study.inputs import NamedInputs
from taskvectors.study.majority import random_baseline
from taskvectors.study.metrics import judged_caseless
from taskvectors.study.predictions import read_predictions
from taskvectors.study.tables import (
    conflict_table,
    description_rows,
    table_4_rows,
    table_6_rows,
    table_7_rows,
)

Claim = dict[str, Any]
ITEMS, SEEDS, TASKS = "bootstrap over items", "least to greatest seed", "bootstrap over tasks"
APART = "wide: the ends of the two numbers' own intervals"
NONE = "none"


class NotMeasured(Exception):  # noqa: N818
    """Says why a claim has no number here."""


@dataclass(frozen=True)
class Found:
    """A measured quantity; ``interval`` says what ``low`` and ``high`` are.

    ``spread`` is the standard deviation over seeds; ``metric`` is empty where none applies.
    """

    value: float
    low: float
    high: float
    interval: str
    metric: str = ""
    spread: float = float("nan")
    items: float = float("nan")
    seeds: float = float("nan")


@dataclass(frozen=True)
class Evidence:
    """What is on disk of one model; ``tables`` are its rows of tables by their names."""

    model: str
    paradigm: str
    answers: Answers
    phases: pd.DataFrame
    decodings: pd.DataFrame
    places: pd.DataFrame
    by_layer: pd.DataFrame
    layer: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    resamples: int
    seed: int

    def table(self, item: str) -> pd.DataFrame:
        """The model's rows of a table."""
        if item not in self.tables:
            raise NotMeasured(f"{item} is not made in this experiment")
        if self.tables[item].empty:
            raise NotMeasured(f"{item} has no row of this model")
        return self.tables[item]


@dataclass(frozen=True)
class Experiment(NamedInputs):
    """What the claims are measured on: the files of all models, and how to resample.

    Of ``templates``, the first is shown; where there are several, the claims about them are
    measured, and where there are ``vlms`` with a language model, those about transfer.
    """

    templates: list[str]
    vlms: list[str]
    resamples: int
    seed: int

    def gather(self, model: str) -> Evidence:
        """All that is on disk of a model and that a claim may ask for."""
        layer = read_json(self.by_model("layer")[model])
        decodings = self._by_task("decodings", model)
        return Evidence(
            model=model,
            paradigm=read_models(self.one("models"))[model].paradigm,
            answers=Answers(self._asked(model), self.tasks, self.resamples, self.seed),
            phases=self._by_task("phases", model),
            decodings=decodings[decodings["layer"] == layer["layer"]],
            places=read_frame(self.by_model("places")[model]),
            by_layer=read_frame(self.by_model("by_layer")[model]),
            layer=layer,
            tables=self._tables(model),
            resamples=self.resamples,
            seed=self.seed,
        )

    def _asked(self, model: str) -> pd.DataFrame:
        """Every test answer with what was right, the baseline random's as well."""
        files = [*self.of_model("baselines", model), *self.of_model("patched", model)]
        predictions = read_predictions(files)
        asked = judged_caseless(predictions[predictions["split"] == "test"])
        guessed = [random_baseline(path.parent) for path in self.inputs["exemplars"]]
        return pd.concat([asked, *guessed])

    def _by_task(self, name: str, model: str) -> pd.DataFrame:
        return read_by_task(self.of_model(name, model), self.tasks)

    def _tables(self, model: str) -> dict[str, pd.DataFrame]:
        """The rows of those tables that this experiment makes."""
        by_template = self.by("scores", self.models, self.templates)
        scores = {name: read_frame(by_template[model, name]) for name in self.templates}
        own = scores[self.templates[0]]
        described = read_frame(self.by_model("descriptions")[model])
        rows = {"table_descriptions": description_rows(model, described, self.tasks)}
        if len(scores) > 1:
            rows["table_6"] = table_6_rows(model, scores, self.tasks)
        if self.vlms:
            rows |= {"table_4": [], "table_7": []}
        if model in self.vlms:
            transferred = read_frame(self.by("transferred", self.vlms)[(model,)])
            alike = read_frame(self.by("similarity", self.vlms)[(model,)])
            rows["table_4"] = table_4_rows(model, own, transferred, alike, self.tasks)
            rows["table_7"] = table_7_rows(model, own, transferred, self.tasks)
        tables = {name: pd.DataFrame(each) for name, each in rows.items()}
        if self.inputs.get("conflict"):
            shares = read_frame(self.by_model("conflict")[model])
            tables["table_conflict"] = conflict_table(shares.assign(model=model))
        return tables
