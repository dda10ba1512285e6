"""What is known of one model, and what a measure of a claim says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.base.frames import read_by_task, read_frame
from taskvectors.score.answers import Answers, read_answers
from taskvectors.score.bootstrap import NONE, Bootstrap
from taskvectors.score.layer import METRIC
from taskvectors.study.config import read_models
from taskvectors.study.conflicts import read_conflicts
from taskvectors.study.inputs import NamedInputs
from taskvectors.study.metrics import judged
from taskvectors.study.predictions import read_predictions

Claim = dict[str, Any]
# Answers that are not of the shown template: a claim names them before a slash.
DESCRIBED, TRANSFERRED = "described", "transferred"


class NotMeasured(Exception):  # noqa: N818
    """Says why a claim has no number here."""


@dataclass(frozen=True)
class Found:
    """A measured quantity, and (resamples,) what it comes to when units of the kind ``interval``
    are drawn again; without draws there is no interval.

    ``over_items`` are draws of items alone, where ``draws`` are of seeds as well. ``spread`` is
    the standard deviation over seeds; ``metric`` is empty where none applies.
    """

    value: float
    draws: np.ndarray | None = None
    interval: str = NONE
    metric: str = ""
    spread: float = float("nan")
    items: float = float("nan")
    seeds: float = float("nan")
    over_items: np.ndarray | None = None


@dataclass(frozen=True)
class Evidence:
    """What is on disk of one model.

    ``answers`` are by template, the shown one first, and besides those to dense descriptions and
    those patched with the language model's vectors. ``validation`` are the validation answers of
    the method that chose the layer, at every layer.
    """

    model: str
    paradigm: str
    answers: dict[str, Answers]
    validation: pd.DataFrame
    phases: pd.DataFrame
    decodings: pd.DataFrame
    places: pd.DataFrame
    layer: dict[str, Any]
    conflicts: pd.DataFrame | None
    similarity: pd.DataFrame | None
    bootstrap: Bootstrap

    @property
    def shown(self) -> Answers:
        """The answers under the shown template."""
        return next(iter(self.answers.values()))

    def named(self, name: str) -> tuple[Answers, str]:
        """``text_icl_xpatch``, or ``chat/text_icl_xpatch``, as the answers it is among and the
        method."""
        among, _, method = name.rpartition("/")
        if among and among not in self.answers:
            raise NotMeasured(f"this experiment has no answers of the kind {among}")
        return (self.answers[among] if among else self.shown), method


@dataclass(frozen=True)
class Experiment(NamedInputs):
    """What the claims are measured on: the files of all models, and how to draw again.

    Of ``templates``, the first is shown; ``vlms`` are the models with a language model.
    """

    templates: list[str]
    vlms: list[str]
    bootstrap: Bootstrap

    def gather(self, model: str) -> Evidence:
        """All that is on disk of a model and that a claim may ask for."""
        layer = read_json(self.by_model("layer")[model])
        decodings = self._by_task("decodings", model)
        conflicts = self.inputs.get("conflict")
        transferred = model in self.vlms
        return Evidence(
            model=model,
            paradigm=read_models(self.one("models"))[model].paradigm,
            answers=self._answers(model),
            validation=self._validation(model, layer["method"]),
            phases=self._by_task("phases", model),
            decodings=decodings[decodings["layer"] == layer["layer"]],
            places=read_frame(self.by_model("places")[model]),
            layer=layer,
            conflicts=read_conflicts(self.by_model("conflict")[model]) if conflicts else None,
            similarity=(
                read_frame(self.by("similarity", self.vlms)[(model,)]) if transferred else None
            ),
            bootstrap=self.bootstrap,
        )

    def _answers(self, model: str) -> dict[str, Answers]:
        """Every test answer with what was right, those of the baselines without a model as well."""
        axes = (self.models, self.templates, self.tasks)
        read, written = self.by("baselines", *axes), self.by("patched", *axes)
        found = {}
        for template in self.templates:
            prompted = [read[model, template, task] for task in self.tasks]
            patched = [written[model, template, task] for task in self.tasks]
            found[template] = self._judged([*prompted, *patched], datasets=self._datasets())
        prompted = [read[model, self.templates[0], task] for task in self.tasks]
        # The descriptions ask some of the test items alone, so no baseline that asks all.
        found[DESCRIBED] = self._judged([self.by_model("descriptions")[model]], prompted)
        if model in self.vlms:
            by_task = self.by("transferred", self.vlms, self.tasks)
            written_over = [by_task[model, task] for task in self.tasks]
            found[TRANSFERRED] = self._judged(written_over, prompted)
        return found

    def _datasets(self) -> list[Path]:
        return [path.parent for path in self.inputs["exemplars"]]

    def _judged(
        self,
        predictions: list[Path],
        validation: Sequence[Path] = (),
        datasets: Sequence[Path] = (),
    ) -> Answers:
        test = read_answers(predictions, datasets, validation)
        return Answers(test, self.tasks, self.bootstrap)

    def _validation(self, model: str, method: str) -> pd.DataFrame:
        answers = read_predictions(self.of_model("validation", model))
        chosen = judged(answers[answers["method"] == method])
        return chosen[["task", "seed", "layer", "entity", METRIC]]

    def _by_task(self, name: str, model: str) -> pd.DataFrame:
        return read_by_task(self.of_model(name, model), self.tasks)
