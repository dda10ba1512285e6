"""The reproduction table: every claim of the paper, its numbers, ours, and what follows.

The claims are data (``resources/paper/claims.yaml``); nothing of a row is typed by hand but
the claim's own words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.base.schemas import check, read_yaml
from taskvectors.render.captions import sample_sentence
from taskvectors.render.evolution import decoded_of
from taskvectors.render.run import Run
from taskvectors.render.samples import marked
from taskvectors.render.tables import write_table
from taskvectors.score.bootstrap import Answers
from taskvectors.score.claims import MEASURES, UNSIGNED, Evidence, Found, NotMeasured, quantity
from taskvectors.score.published import published_numbers
from taskvectors.study.config import read_models
from taskvectors.study.majority import random_baseline
from taskvectors.study.predictions import read_predictions

CLAIMS = Path("resources/paper/claims.yaml")
MODELS = Path("resources/models.yaml")
VERDICTS = ("holds", "does not hold", "undecided", "not measured")
SPECIFICATIONS = ("text_icl", "image_icl")
WIDTHS = (2.9, 1.5, 2.4, 1.4, 1.3, 1.8, 1.9, 1.2, 1.5)  # of the printed columns, in centimetres


def read_claims(path: Path) -> list[dict[str, Any]]:
    """The claims in the file's order. Raises `UserError` where the file is not valid."""
    claims = read_yaml(path)
    check(claims, "claims", str(path))
    return claims


def verdict(claim: dict[str, Any], found: Found) -> str:
    """What an interval says of a claim.

    It holds where the whole interval lies on the claimed side of its line or lines, does not
    hold where all of it lies on the other side, and is undecided where the interval holds a
    line. An interval of one point always decides.
    """
    above, below = claim.get("above", float("-inf")), claim.get("below", float("inf"))
    if above < found.low and found.high < below:
        return "holds"
    beyond = found.high < above or below < found.low or found.low == found.high
    return "does not hold" if beyond else "undecided"


def claimed(claim: dict[str, Any]) -> str:
    """What is claimed of the quantity, as it is printed: ``> 0``."""
    ours = " (our line)" if "line" in claim else ""
    parts = [
        f"{sign} {claim[key]:g}" for key, sign in (("above", ">"), ("below", "<")) if key in claim
    ]
    return " and ".join(parts) + ours if parts else ""


def gather(run: Run, model: str) -> Evidence:
    """All that is on disk of a model and that a claim may ask for."""
    paths = [
        run.of(stage, model, task) / name
        for task in run.tasks
        for stage, name in (("read", "baselines.parquet"), ("write", "test.parquet"))
    ]
    predictions = read_predictions(paths)
    asked = marked(predictions[predictions["split"] == "test"])
    guessed = pd.concat([random_baseline(run.results / "curate" / task) for task in run.tasks])
    tables = {
        name: pd.read_csv(run.data_file(name), keep_default_na=False, na_values=[""])
        for name in run.beside
    }
    scores = run.of("score", model)
    return Evidence(
        model=model,
        paradigm=read_models(MODELS)[model].paradigm,
        answers=Answers(pd.concat([asked, guessed]), run.tasks, run.resamples, run.seed),
        phases=decoded_of(run, "phases.csv", run.tasks, SPECIFICATIONS, [model]),
        by_layer=pd.read_csv(scores / "by_layer.csv"),
        layer=read_json(scores / "layer.json"),
        tables=tables,
        resamples=run.resamples,
        seed=run.seed,
    )


def as_printed(number: float, signed: bool) -> str:
    """Two decimals, with a sign where the number is a difference."""
    return f"{number:+.2f}" if signed else f"{number:.2f}"


def claim_rows(claim: dict[str, Any], evidence: list[Evidence]) -> list[dict[str, Any]]:
    """A row per model and metric; where no model gives a number, one row that says why."""
    signed = claim["measure"] not in UNSIGNED
    numbers = published_numbers(claim).items()
    paper = "; ".join(f"{model} {as_printed(number, signed)}" for model, number in numbers)
    about = {"claim": claim["claim"], "where": claim["where"], "quantity": quantity(claim)}
    about |= {"paper": paper, "signed": signed}
    rows, reasons = [], []
    for each in evidence:
        try:
            measured = MEASURES[claim["measure"]](claim, each)
        except NotMeasured as reason:
            reasons.append(f"{each.model}: {reason}" if len(evidence) > 1 else str(reason))
            continue
        for found in measured:
            numbers = {
                "ours": found.value,
                "low": found.low,
                "high": found.high,
                "interval": found.interval,
                "spread": found.spread,
                "items": found.items,
                "seeds": found.seeds,
                "claimed": claimed(claim),
                "verdict": verdict(claim, found),
                "why": "",
            }
            shown = {**about, "paper": ""} if found.metric == "strict" else about
            rows.append({**shown, "model": each.model, "metric": found.metric, **numbers})
    if not rows:
        absent = {"claimed": claimed(claim), "verdict": VERDICTS[-1], "why": "; ".join(reasons)}
        rows.append({**about, "model": "", "metric": "", **absent})
    return rows


COLUMNS = ["claim", "where", "quantity", "signed", "model", "metric", "paper", "ours"]
COLUMNS += ["low", "high", "interval", "spread", "items", "seeds", "claimed", "verdict", "why"]


def reproduction(claims: list[dict[str, Any]], evidence: list[Evidence]) -> pd.DataFrame:
    """The table: every claim, in the order of the file."""
    rows = [row for claim in claims for row in claim_rows(claim, evidence)]
    return pd.DataFrame(rows, columns=COLUMNS)


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: ours with its interval and the spread over seeds."""
    shown = table[["claim", "where", "quantity", "model", "metric", "paper"]].replace("", "–")
    ours = []
    for row in table.itertuples():
        if pd.isna(row.ours):
            ours.append("–")
            continue
        value, low, high = (as_printed(n, row.signed) for n in (row.ours, row.low, row.high))
        bounds = "" if row.interval == "none" else f" [{low}, {high}]"
        spread = "" if pd.isna(row.spread) else f", seeds ±{row.spread:.2f}"
        ours.append(value + bounds + spread)
    verdicts = [
        f"{row.verdict}: {row.why}" if row.why else row.verdict for row in table.itertuples()
    ]
    return shown.assign(ours=ours, claimed=table["claimed"].replace("", "–"), verdict=verdicts)


def count_sentence(table: pd.DataFrame) -> str:
    """How many claims hold, do not, and so on, leaving the strict metric's rows out."""
    counts = table.loc[table["metric"] != "strict", "verdict"].value_counts()
    shown = ", ".join(f"{name} {counts.get(name, 0)}" for name in VERDICTS)
    return f"Rows by verdict, without the strict metric's: {shown}."


def render_reproduction(run: Run) -> None:
    """Write the table from predictions, scores, decodings and the other items' data."""
    evidence = [gather(run, model) for model in run.models]
    table = reproduction(read_claims(CLAIMS), evidence)
    samples = [count_sentence(table)]
    for each in evidence:
        items = pd.Series({task: len(names) for task, names in each.answers.entities.items()})
        seeds = each.by_layer["seed"].nunique()
        samples.append(sample_sentence(each.model, "test", items.reindex(run.tasks), seeds))
    data = table.drop(columns="signed")
    write_table(data, printed(table), run.caption(samples), run.out, WIDTHS)


RENDERERS = {"reproduction": render_reproduction}
