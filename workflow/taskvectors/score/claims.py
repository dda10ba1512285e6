"""``python -m taskvectors.score.claims``: every claim of the paper, measured on our models.

The claims are data (``resources/paper/claims.yaml``); nothing of a row is typed by hand but
the claim's own words. A measure takes a claim and what is known of a model (`Evidence`), and
gives a `Found` per metric; what cannot be measured raises `NotMeasured`.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.base.schemas import check, read_yaml
from taskvectors.score import measures_answers, measures_layers
from taskvectors.score.bootstrap import Bootstrap, interval, p_value
from taskvectors.score.evidence import Claim, Evidence, Experiment, Found, NotMeasured
from taskvectors.score.published import published_numbers
from taskvectors.score.verdicts import lines_of, verdict
from taskvectors.study.inputs import add_input_options, inputs_by_name
from taskvectors.study.tables import as_printed

log = logging.getLogger("taskvectors")
LEVEL = 0.05
MEASURES: dict[str, Callable[[Claim, Evidence], list[Found]]] = {
    measure.__name__: measure
    for measure in (
        measures_answers.difference,
        measures_answers.spread,
        measures_answers.dependence,
        measures_answers.override,
        measures_answers.none,
        measures_layers.phase_order,
        measures_layers.phase_likeness,
        measures_layers.same_top,
        measures_layers.noise,
        measures_layers.by_task,
        measures_layers.mixing,
        measures_layers.similarity,
        measures_layers.depth,
        measures_layers.plateau,
    )
}
QUANTITIES = {
    "phase_order": "share of tasks whose phases peak in this order",
    "phase_likeness": "correlation between text and image ICL",
    "same_top": "share of these tasks with one word as likeliest token of both",
    "noise": "share of non-words, image ICL less text ICL",
    "by_task": "silhouette, by task less by specification",
    "mixing": "silhouette by specification, first layer less near the chosen",
    "similarity": "cosine similarity, same task less different tasks",
    "depth": "chosen layer as a share of all",
    "plateau": "late accuracy as a share of the best, these tasks less the others",
    "none": "",
}
# Shares and correlations are printed without a sign, differences with one.
UNSIGNED = ("phase_order", "phase_likeness", "same_top", "depth")
COLUMNS = ["claim", "where", "quantity", "signed", "model", "metric", "paper", "ours"]
COLUMNS += ["low", "high", "interval", "items_low", "items_high", "spread", "items", "seeds"]
COLUMNS += ["claimed", "p", "verdict", "adjusted_p", "adjusted", "why"]


def read_claims(path: Path) -> list[Claim]:
    """The claims in the file's order. Raises `UserError` where the file is not valid."""
    claims = read_yaml(path)
    check(claims, "claims", str(path))
    return claims


def quantity(claim: Claim) -> str:
    """What is measured, in a few words."""
    match claim["measure"]:
        case "difference" | "spread":
            of = "seeds' spread of " if claim["measure"] == "spread" else ""
            right = claim["right"]
            others = right if isinstance(right, str) else ", ".join(right)
            best = "the best of " if "," in others else ""
            return f"{of}{claim['left']} less {best}{others}, {claim['query']} queries"
        case "dependence":
            return f"{claim['left']} less the same answers to other {claim['query']} queries"
        case "override":
            return (
                f"right for the patched task alone, {claim['left']} patched, less half of what the "
                "prompt gives, patched or not"
            )
        case measure:
            return QUANTITIES[measure]


def claim_p(claim: Claim, found: Found) -> float:
    """The p-value behind the verdict: of the line that was crossed, or where all lines are kept,
    of the one that is kept worst. Missing without an interval."""
    if found.draws is None:
        return float("nan")
    above, below = lines_of(claim)
    if found.value < above:
        return p_value(found.draws, above)
    if found.value > below:
        return p_value(found.draws, below)
    return max(p_value(found.draws, line) for line in (above, below) if np.isfinite(line))


def adjusted(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with Holm's correction of their p-values, for all rows that have one, and with the
    verdict that it leaves."""
    tested = [row for row in rows if not np.isnan(row.get("p", np.nan))]
    if tested:
        _, corrected, *_ = multipletests([row["p"] for row in tested], method="holm")
        for row, p in zip(tested, corrected, strict=True):
            left = row["verdict"] if p < LEVEL else "undecided"
            row |= {"adjusted_p": float(p), "adjusted": left}
    return [{"adjusted": row["verdict"], **row} for row in rows]


def claimed(claim: Claim) -> str:
    """What is claimed of the quantity, as it is printed: ``> 0``."""
    ours = " (our line)" if "line" in claim else ""
    parts = [
        f"{sign} {claim[key]:g}" for key, sign in (("above", ">"), ("below", "<")) if key in claim
    ]
    return " and ".join(parts) + ours if parts else ""


def claim_rows(
    claim: Claim, evidence: list[Evidence], published: dict[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    """A row per model and metric; where no model gives a number, one row that says why."""
    signed = claim["measure"] not in UNSIGNED
    numbers = published_numbers(claim, published).items()
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
            shown = {**about, "paper": ""} if found.metric == "strict" else about
            rows.append({**shown, "model": each.model, **_measured(claim, found)})
    if not rows:
        absent = {"claimed": claimed(claim), "verdict": "not measured", "why": "; ".join(reasons)}
        rows.append({**about, "model": "", "metric": "", **absent})
    return rows


def _measured(claim: Claim, found: Found) -> dict[str, Any]:
    """The columns of a row that say what was found, and what follows."""
    low, high = (np.nan, np.nan) if found.draws is None else interval(found.draws)
    beside = (np.nan, np.nan) if found.over_items is None else interval(found.over_items)
    return {
        "metric": found.metric,
        "ours": found.value,
        "low": low,
        "high": high,
        "interval": found.interval,
        "items_low": beside[0],
        "items_high": beside[1],
        "spread": found.spread,
        "items": found.items,
        "seeds": found.seeds,
        "claimed": claimed(claim),
        "p": claim_p(claim, found),
        "verdict": verdict(claim, low, high),
        "why": "a number without an interval" if np.isnan(low) else "",
    }


def main() -> None:
    parser = command_parser(__doc__)
    add_input_options(parser)
    parser.add_argument("--templates", required=True, nargs="+", help="the shown one first")
    parser.add_argument("--vlms", nargs="*", default=[], help="models with a language model")
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    experiment = Experiment(
        models=args.models,
        tasks=args.tasks,
        inputs=inputs_by_name(args),
        templates=args.templates,
        vlms=args.vlms,
        bootstrap=Bootstrap(args.resamples, args.seed),
    )
    evidence = [experiment.gather(model) for model in args.models]
    published = {path.stem: read_frame(path) for path in experiment.inputs["paper"]}
    claims = read_claims(experiment.one("claims"))
    rows = [row for claim in claims for row in claim_rows(claim, evidence, published)]
    write_frame(args.out, pd.DataFrame(adjusted(rows), columns=COLUMNS))
    log.info("%d claims, %d rows", len(claims), len(rows))


if __name__ == "__main__":
    run_command(main)
