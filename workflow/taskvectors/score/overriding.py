"""``python -m taskvectors.score.overriding``: whom answers follow, prompt or instruction.

An answer's outcome is one of four, as in `taskvectors.score.conflict`: it does what was patched in
(or said in the system prompt), what the prompt asked, both or neither.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_jsonl
from taskvectors.base.frames import write_frame
from taskvectors.score.bootstrap import Bootstrap, Estimate, average, estimate, interval
from taskvectors.score.conflict import outcome_of
from taskvectors.study.overriding import KINDS, METHODS, PATCH, SYSTEM_PROMPT
from taskvectors.study.tables import OUTCOMES

log = logging.getLogger("taskvectors")
AVERAGE = "average"
COLUMNS = [
    "kind", "method", "outcome", "share", "low", "high", "interval", "prompts",
    "difference", "difference_low", "difference_high",
]  # fmt: skip


def shares(verdicts: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """The share of every outcome by kind of conflict and method, and their averages over kinds.

    ``low`` and ``high`` bound the 95 % interval over prompts. ``difference`` is, for the outcome
    ``patch`` of patching, the share above that of the system prompt, on the same prompts.
    """
    outcomes = [
        outcome_of(*met) for met in zip(verdicts["asked_met"], verdicts["patched_met"], strict=True)
    ]
    named = verdicts.assign(found=outcomes)
    kinds = [kind for kind in KINDS if kind in set(named["kind"])]
    rows: list[dict[str, Any]] = []
    for outcome in OUTCOMES:
        found = {
            (kind, method): _estimate(named, kind, method, outcome, bootstrap)
            for kind in kinds
            for method in METHODS
        }
        for method in METHODS:
            found[AVERAGE, method] = average([found[kind, method] for kind in kinds])
        for (kind, method), share in found.items():
            rows.append({"kind": kind, "method": method, "outcome": outcome, **_numbers(share)})
            if (method, outcome) == (PATCH, "patch"):
                rows[-1] |= _difference(share.less(found[kind, SYSTEM_PROMPT]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _estimate(
    verdicts: pd.DataFrame, kind: str, method: str, outcome: str, bootstrap: Bootstrap
) -> Estimate:
    part = verdicts[(verdicts["kind"] == kind) & (verdicts["method"] == method)]
    hits = pd.DataFrame(
        [(part["found"] == outcome).to_numpy(dtype=float)],
        index=[np.nan],
        columns=pd.Index(part["prompt"]),
    )
    return estimate(hits[sorted(hits.columns)], bootstrap)


def _numbers(share: Estimate) -> dict[str, Any]:
    found = share.intervals()
    bounds = {name: found[name] for name in ("low", "high", "interval")}
    return {"share": share.mean, **bounds, "prompts": share.items}


def _difference(difference: Estimate) -> dict[str, float]:
    low, high = interval(difference.deciding[0])
    return {"difference": difference.mean, "difference_low": low, "difference_high": high}


def judge_numbers(known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often the judge was right about texts whose answer is known."""
    right = [(one["yes"] > one["no"]) == one["expected"] for one in known]
    return {"judge": known[0]["judge"] if known else None, "known": len(right), "right": sum(right)}


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--verdicts", required=True, type=Path)
    parser.add_argument("--known", required=True, type=Path)
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = shares(pd.DataFrame(read_jsonl(args.verdicts)), Bootstrap(args.resamples, args.seed))
    write_frame(args.out, table.assign(**judge_numbers(read_jsonl(args.known))))
    log.info("%d shares", len(table))


if __name__ == "__main__":
    run_command(main)
