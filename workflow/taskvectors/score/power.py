"""``python -m taskvectors.score.power``: what difference an experiment could have shown.

"Undecided" may mean that two methods are alike, or that there were too few items to tell. An
experiment of given sizes is simulated many times over: its items are drawn from this run's, with
what the two methods answered to them. The smallest difference is the true one whose 95 % interval
over items leaves zero out in 80 % of the simulations.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.base.schemas import read_yaml
from taskvectors.score.answers import Answers, read_answers
from taskvectors.score.bootstrap import Bootstrap, named_generator
from taskvectors.score.contrasts import contrasts_of, outcomes_of
from taskvectors.study.metrics import METRICS
from taskvectors.study.tasks import Task, read_tasks

log = logging.getLogger("taskvectors")
POWER = 0.8
SIMULATIONS = 2000
OURS, PAPERS = "this run's", "the paper's"
COLUMNS = ["method", "other", "query_modality", "metric", "sizes", "items"]
COLUMNS += ["discordant", "difference", "smallest"]


def sizes_of(answers: Answers, tasks: dict[str, Task], paper: Path) -> dict[str, dict[str, int]]:
    """Test items by task, of this run and of the paper (the experiment file ``paper``), which
    lacks the entity sets that are not its own."""
    splits = read_yaml(paper)["splits"]
    papers = {
        task: splits[tasks[task].entity_set]["test"]
        for task in answers.tasks
        if tasks[task].entity_set in splits
    }
    ours = {task: len(answers.entities[task]) for task in answers.tasks}
    return {OURS: ours, PAPERS: papers} if len(papers) == len(ours) else {OURS: ours}


def powers(answers: Answers, sizes: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """``power.csv``: a row per contrast, metric and name in ``sizes`` (test items by task).

    ``discordant`` is the share of answers where only one of the two methods is right,
    ``difference`` what was found, ``smallest`` the smallest that would have shown.
    """
    rows = []
    for contrast in contrasts_of(answers):
        for metric in METRICS:
            by_task = outcomes_of(answers, contrast, metric)
            unlike = [(left != right).to_numpy().mean() for left, right in by_task.values()]
            differences = {t: left.mean() - right.mean() for t, (left, right) in by_task.items()}
            about = {
                "method": contrast.method,
                "other": contrast.other,
                "query_modality": contrast.query,
                "metric": metric,
                "discordant": float(np.mean(unlike)),
                "difference": float(np.mean([part.mean() for part in differences.values()])),
            }
            for name, items in sizes.items():
                smallest = smallest_difference(differences, items, answers.bootstrap)
                total = sum(items.values())
                rows.append({**about, "sizes": name, "items": total, "smallest": smallest})
    return pd.DataFrame(rows, columns=COLUMNS)


def smallest_difference(
    differences: Mapping[str, pd.Series], items: Mapping[str, int], bootstrap: Bootstrap
) -> float:
    """The smallest true difference, averaged over tasks, that shows with 80 % power.

    Tasks on the same entities share the items of a simulated experiment. A true difference moves
    every simulated mean by as much, so that the power of each follows from one set of
    simulations.
    """
    by_entities: dict[tuple[tuple[str, ...], int], list[pd.Series]] = defaultdict(list)
    for task, part in differences.items():
        by_entities[tuple(part.index), items[task]].append(part)
    means, variances = np.zeros(SIMULATIONS), np.zeros(SIMULATIONS)
    for (entities, count), parts in by_entities.items():
        each = np.sum([part.to_numpy() for part in parts], axis=0) / len(differences)
        rng = named_generator(bootstrap.seed, "power", str(count), *entities)
        drawn = (each - each.mean())[rng.integers(0, len(each), size=(SIMULATIONS, count))]
        means += drawn.mean(axis=1)
        variances += drawn.var(axis=1, ddof=1) / count
    needed = norm.ppf(0.975) * np.sqrt(variances) - means
    return float(np.quantile(needed, POWER))


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--task-file", required=True, type=Path, help="for the tasks' entity sets")
    parser.add_argument("--paper", required=True, type=Path, help="the experiment of its sizes")
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    test = read_answers(args.predictions, [])
    answers = Answers(test, args.tasks, Bootstrap(args.resamples, args.seed))
    table = powers(answers, sizes_of(answers, read_tasks(args.task_file), args.paper))
    write_frame(args.out, table)
    log.info("%d rows", len(table))


if __name__ == "__main__":
    run_command(main)
