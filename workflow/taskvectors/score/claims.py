"""``python -m taskvectors.score.claims``: every claim of the paper, measured on our models.

The claims are data (``resources/paper/claims.yaml``); nothing of a row is typed by hand but
the claim's own words. A measure takes a claim and what is known of a model (`Evidence`), and
gives a `Found` per metric; what cannot be measured raises `NotMeasured`.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.base.schemas import check, read_yaml
from taskvectors.score.evidence import Claim, Evidence, Experiment, Found, NotMeasured
from taskvectors.score.measures_answers import difference, none, spread, table
from taskvectors.score.measures_layers import (
    by_task,
    depth,
    mixing,
    noise,
    phase_likeness,
    phase_order,
    plateau,
    same_top,
)
from taskvectors.score.published import published_numbers
from taskvectors.study.inputs import add_input_options, inputs_by_name
from taskvectors.study.tables import as_printed

log = logging.getLogger("taskvectors")
MEASURES: dict[str, Callable[[Claim, Evidence], list[Found]]] = {
    measure.__name__: measure
    for measure in (
        difference,
        spread,
        phase_order,
        phase_likeness,
        same_top,
        noise,
        by_task,
        mixing,
        depth,
        plateau,
        table,
        none,
    )
}
QUANTITIES = {
    "phase_order": "share of tasks whose phases peak in this order",
    "phase_likeness": "correlation between text and image ICL",
    "same_top": "share of these tasks with one word as likeliest token of both",
    "noise": "share of non-words, image ICL less text ICL",
    "by_task": "silhouette, by task less by specification",
    "mixing": "silhouette by specification, first layer less near the chosen",
    "depth": "chosen layer as a share of all",
    "plateau": "late accuracy as a share of the best, these tasks less the others",
    "none": "",
}
# Shares and correlations are printed without a sign, differences with one.
UNSIGNED = ("phase_order", "phase_likeness", "same_top", "depth")
COLUMNS = ["claim", "where", "quantity", "signed", "model", "metric", "paper", "ours"]
COLUMNS += ["low", "high", "interval", "spread", "items", "seeds", "claimed", "verdict", "why"]


def read_claims(path: Path) -> list[Claim]:
    """The claims in the file's order. Raises `UserError` where the file is not valid."""
    claims = read_yaml(path)
    check(claims, "claims", str(path))
    return claims


def quantity(claim: Claim) -> str:
    """What is measured, in a few words."""
    if claim["measure"] in ("difference", "spread"):
        of = "seeds' spread of " if claim["measure"] == "spread" else ""
        right = claim["right"]
        others = right if isinstance(right, str) else ", ".join(right)
        best = "the best of " if "," in others else ""
        return f"{of}{claim['left']} less {best}{others}, {claim['query']} queries"
    if claim["measure"] == "table":
        left, right = (
            " ".join(claim[side].values()) if side in claim else "" for side in ("left", "right")
        )
        less = claim.get("less", right)
        return f"{claim['item']}, {claim['column']} of {left} less {less}"
    return QUANTITIES[claim["measure"]]


def verdict(claim: Claim, found: Found) -> str:
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
            named = {"model": each.model, "metric": found.metric, "why": ""}
            ours = {name: value for name, value in asdict(found).items() if name in COLUMNS}
            said = {"claimed": claimed(claim), "verdict": verdict(claim, found)}
            shown = {**about, "paper": ""} if found.metric == "strict" else about
            rows.append({**shown, **ours, **named, "ours": found.value, **said})
    if not rows:
        absent = {"claimed": claimed(claim), "verdict": "not measured", "why": "; ".join(reasons)}
        rows.append({**about, "model": "", "metric": "", **absent})
    return rows


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
        resamples=args.resamples,
        seed=args.seed,
    )
    evidence = [experiment.gather(model) for model in args.models]
    published = {path.stem: read_frame(path) for path in experiment.inputs["paper"]}
    claims = read_claims(experiment.one("claims"))
    rows = [row for claim in claims for row in claim_rows(claim, evidence, published)]
    write_frame(args.out, pd.DataFrame(rows, columns=COLUMNS))
    log.info("%d claims, %d rows", len(claims), len(rows))


if __name__ == "__main__":
    run_command(main)
