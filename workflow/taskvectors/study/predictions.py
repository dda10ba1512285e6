"""Predictions: one row per answered query, and how methods are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taskvectors.base.parquet import read_rows, write_rows
from taskvectors.study.controls import CONTROLS, control_name, controlled
from taskvectors.study.instructions import WORDED
from taskvectors.study.vectors import COMPOSED, ENSEMBLE, split_samples

MODALITIES = ("text", "image")
ICL_MODALITY = {"text_icl": "text", "image_icl": "image", "instruction": "text"}
# Of what is made from several specifications' vectors, the modality that it stands for.
MADE_MODALITY = {ENSEMBLE: "text", COMPOSED: "image"}
WORDED_MODALITY = dict.fromkeys(WORDED, "text")


@dataclass(frozen=True)
class Prediction:
    """A model's first token for one query, or its first tokens up to the first that shows text.

    ``specification``, ``seed`` and ``layer`` are None where a method has none (no_context has
    no specification, an instruction no seed, prompting no layer). ``label_token_id`` is the
    label's first token where the answer stands, ``token_id`` the answer's, and ``logit_difference``
    its logit's lead over the runner-up's. ``label_token_ids`` and ``token_ids`` are what is judged
    (`taskvectors.study.metrics`), ids with spaces between them: the first alone unless the label's
    shows no text; ``label_token`` and ``token`` are their texts. ``position`` is the index of the
    token that was read or patched, and ``neighbourhood`` shows it decoded among its neighbours;
    ``forced_boundary`` says whether the tokenizer would have merged a delimiter of the prompt with
    what follows it, the label, so that the text was cut there.
    """

    model: str
    template: str
    task: str
    split: str
    method: str
    specification: str | None
    query_modality: str
    seed: int | None
    layer: int | None
    entity: str
    label: str
    label_token_id: int
    label_token_ids: str
    label_token: str
    token_id: int
    token_ids: str
    token: str
    logit_difference: float
    position: int
    neighbourhood: str
    forced_boundary: bool


def method_name(specification: str, query_modality: str, way: str) -> str:
    """A method's name as in the paper's tables; ``way`` is ``base`` (in context), ``patch``, or,
    where a vector is added, ``inject`` (a task vector) or ``function`` (a function vector).

    An ``x`` marks a query of the other modality: text exemplars and an image query make
    ``text_icl_xbase`` and ``text_icl_xpatch``, five samples of them ``text_icl_n5_xpatch``, a
    control ``text_icl_random_xpatch``, a mistyped instruction ``instruction_typing_errors_xpatch``.
    """
    name, _ = split_samples(controlled(specification))
    modality = (ICL_MODALITY | MADE_MODALITY | WORDED_MODALITY)[name]
    crossed = "" if modality == query_modality else "x"
    return f"{specification}_{crossed}{way}"


def control_methods(query_modality: str) -> dict[str, dict[str, str]]:
    """By each method that patches a real vector, the methods that it is held against: no_context,
    where there is no vector, and those that patch its controls, by the controls' names."""
    return {
        method_name(icl, query_modality, "patch"): {
            "no_context": "no_context",
            **{
                control: method_name(control_name(icl, control), query_modality, "patch")
                for control in controls
            },
        }
        for icl, controls in CONTROLS.items()
    }


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write Parquet, whole or not at all."""
    write_rows(path, Prediction, predictions)


def read_predictions(paths: Sequence[Path]) -> pd.DataFrame:
    """Read and join prediction files. Raises `UserError` naming one that has other columns."""
    return read_rows(paths, Prediction)
