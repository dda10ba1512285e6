"""``python -m taskvectors.score.heads``: which attention heads carry tasks, from text and images.

A head's effect is how much its mean output over clean prompts raises the label's probability in
prompts with shuffled labels, averaged over a task's prompts and then over tasks (Todd et al.,
2024). Beside the effects stands how far text and image exemplars single out the same heads.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, rankdata

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.frames import write_frame
from taskvectors.score.bootstrap import Bootstrap, interval
from taskvectors.study.heads import SPECIFICATIONS, read_effects

log = logging.getLogger("taskvectors")
HEAD = ["layer", "head"]
COLUMNS = ["specification", *HEAD, "effect", "low", "high", "rank", "chosen", "prompts"]
OVERLAP = ["specification", "other", "top", "heads", "shared", "expected", "p_value"]
OVERLAP += ["spearman", "low", "high"]


@dataclass(frozen=True)
class MeanEffects:
    """One specification's effects over all tasks: of every head, a row of ``heads`` (layer, head),
    the mean in ``effects`` (heads,), and in ``resampled`` (resamples, heads) for prompts that are
    drawn again within their tasks; ``prompts`` counts those of all tasks."""

    heads: pd.DataFrame
    effects: np.ndarray
    resampled: np.ndarray
    prompts: int

    @property
    def ranks(self) -> np.ndarray:
        """(heads,): 1 is the strongest; of equally strong heads the first."""
        ranks = np.empty(len(self.effects), dtype=int)
        ranks[np.argsort(-self.effects, kind="stable")] = np.arange(1, len(ranks) + 1)
        return ranks


def mean_effects(
    effects: pd.DataFrame, tasks: Sequence[str], bootstrap: Bootstrap
) -> dict[str, MeanEffects]:
    """The specifications that have effects, with their means over tasks.

    Prompts of equal numbers that ask about the same entities are drawn together, whatever their
    specification and task. Raises `UserError` where none has effects, or one lacks a task.
    """
    found = {
        name: _over_tasks(part, name, tasks, bootstrap)
        for name in SPECIFICATIONS
        if len(part := effects[effects["specification"] == name])
    }
    if not found:
        raise UserError(
            f"no effect of a head under {' or '.join(SPECIFICATIONS)}; add one of them to "
            "`specifications` and run `heads` again."
        )
    return found


def _over_tasks(
    effects: pd.DataFrame, name: str, tasks: Sequence[str], bootstrap: Bootstrap
) -> MeanEffects:
    missing = [task for task in tasks if task not in set(effects["task"])]
    if missing:
        raise UserError(
            f"no effect of a head under {name} for {', '.join(missing)}; run `heads` for them."
        )
    gained = effects.assign(effect=effects["after"].astype(float) - effects["before"])
    tables = [
        gained[gained["task"] == task].pivot(
            index=["prompt", "entity"], columns=HEAD, values="effect"
        )
        for task in tasks
    ]
    drawn = [[f"{prompt} {entity}" for prompt, entity in table.index] for table in tables]
    resampled = [
        bootstrap.weights(names) @ table.to_numpy()
        for names, table in zip(drawn, tables, strict=True)
    ]
    return MeanEffects(
        tables[0].columns.to_frame(index=False),
        np.mean([table.to_numpy().mean(axis=0) for table in tables], axis=0),
        np.mean(resampled, axis=0),
        sum(map(len, tables)),
    )


def check_top(means: dict[str, MeanEffects], top: int) -> None:
    """Raises `UserError` where fewer than ``top`` heads there are to choose from."""
    for name, found in means.items():
        if top > len(found.heads):
            raise UserError(
                f"the {top} strongest heads of {name} would have a head that does not exist: the "
                f"model has {len(found.heads)}; lower `heads` under `function_vectors`."
            )


def head_table(means: dict[str, MeanEffects], top: int) -> pd.DataFrame:
    """``heads.csv``: a row per specification and head, with its effect, 95 % interval and rank;
    ``chosen`` are the ``top`` strongest."""
    tables = []
    for name, found in means.items():
        low, high = np.percentile(found.resampled, [2.5, 97.5], axis=0)
        table = found.heads.assign(specification=name, effect=found.effects, low=low, high=high)
        ranks = found.ranks
        tables.append(table.assign(rank=ranks, chosen=ranks <= top, prompts=found.prompts))
    return pd.concat(tables)[COLUMNS]


def overlap_table(means: dict[str, MeanEffects], top: int) -> pd.DataFrame:
    """``overlap.csv``: of text and image exemplars, how many of the ``top`` strongest heads are
    the same, and how alike all heads are ordered; no row where one has no effects.

    ``expected`` is how many two choices by chance share, ``p_value`` how probable it is that they
    share as many as here. The 95 % interval is of ``spearman``, and lies about it.
    """
    if len(means) < len(SPECIFICATIONS):
        return pd.DataFrame(columns=OVERLAP)
    one, other = (means[name] for name in SPECIFICATIONS)
    heads = len(one.heads)
    shared = int(((one.ranks <= top) & (other.ranks <= top)).sum())
    spearman = rank_correlations(one.effects[None], other.effects[None])
    resampled = rank_correlations(one.resampled, other.resampled)
    # Drawing prompts again adds noise of its own, which lowers every correlation: what counts is
    # how far they scatter.
    low, high = interval(np.clip(resampled - resampled.mean() + spearman, -1, 1))
    row: dict[str, Any] = dict(zip(("specification", "other"), SPECIFICATIONS, strict=True))
    row |= {"top": top, "heads": heads, "shared": shared, "expected": top**2 / heads}
    row |= {"p_value": float(hypergeom.sf(shared - 1, heads, top, top))}
    row |= {"spearman": float(spearman[0]), "low": low, "high": high}
    return pd.DataFrame([row], columns=OVERLAP)


def rank_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows,): Spearman's correlation of each row of ``one`` (rows, heads) with that of ``other``;
    missing where a row has a missing value."""
    centred = [
        ranks - ranks.mean(axis=1, keepdims=True)
        for ranks in (rankdata(rows, axis=1) for rows in (one, other))
    ]
    products = (centred[0] * centred[1]).sum(axis=1)
    lengths = [np.sqrt((rows**2).sum(axis=1)) for rows in centred]
    return np.asarray(products / (lengths[0] * lengths[1]))


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--effects", required=True, type=Path, nargs="+", help="of every task")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--top", required=True, type=int, help="heads that are chosen")
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    bootstrap = Bootstrap(args.resamples, args.seed)
    means = mean_effects(read_effects(args.effects), args.tasks, bootstrap)
    check_top(means, args.top)
    overlap = overlap_table(means, args.top)
    write_frame(args.out / "heads.csv", head_table(means, args.top))
    write_frame(args.out / "overlap.csv", overlap)
    log.info("%s", overlap.to_dict("records"))


if __name__ == "__main__":
    run_command(main)
