"""``python -m taskvectors.audit.cost``: what an experiment took, by rule and model.

Every number is from the files that Snakemake writes for ``benchmark:`` with
``benchmark-extended`` (profiles/default), one per job: its last successful run only. What was
not measured is missing, never zero.
"""

import json
import logging
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.figures import TASK_COLOURS, apply_style, save_figure, say_absent
from taskvectors.base.files import write_text
from taskvectors.base.frames import write_frame

log = logging.getLogger("taskvectors")
NO_MODEL = "-"
# Column of the table: title of its panel.
SHOWN = {
    "wall_minutes": "wall time, minutes",
    "cpu_minutes": "CPU time, minutes",
    "peak_memory_mb": "peak memory, MB",
    "gpu_hours": "GPU hours asked for",
}
CAPTION = (
    "What the experiment {experiment} took, by rule and model, from the benchmark files of "
    "{jobs} jobs. Wall and CPU time are sums over jobs, peak memory (resident) is the largest of "
    "one job; Snakemake samples CPU time and memory, every 30 s in a long job, so that both are "
    "lower bounds. GPU hours are wall time times the GPUs asked for, busy or not. "
    "Only the last successful run of a job counts: failed attempts and waiting in a queue do not. "
    "Jobs shorter than Snakemake's first sample have no CPU time and memory; `unsampled` counts "
    "them."
)


def read_benchmark(path: Path) -> list[dict]:
    """The jobs in one benchmark file: rule, model, wall and CPU seconds, memory in MB, GPUs.

    Raises `UserError` where it does not say which rule it is of.
    """
    jobs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            jobs.append(
                {
                    "rule": record["rule_name"],
                    "model": record["wildcards"].get("model", NO_MODEL),
                    "wall": float(record["s"]),
                    "cpu": _number(record["cpu_time"]),
                    "memory": _number(record["max_rss"]),
                    "gpus": int(record["resources"].get("gpu", 0)),
                }
            )
        except (json.JSONDecodeError, KeyError) as error:
            raise UserError(
                f"{path} is no extended benchmark file of Snakemake; delete it, or run its job "
                f"again with --benchmark-extended ({type(error).__name__}: {error})."
            ) from error
    return jobs


def _number(value: object) -> float:
    """A measured number; Snakemake writes NA where a job was too short to sample."""
    return float("nan") if value in ("NA", None) else float(str(value))


def cost_table(jobs: Sequence[dict]) -> pd.DataFrame:
    """Rule, model, jobs, unsampled, and the columns of `SHOWN`; a row per rule and model that ran.

    A sum or maximum over jobs none of which was sampled is missing. GPU hours are missing where
    a rule asked for no GPU.
    """
    table = pd.DataFrame(jobs)
    table["gpu_hours"] = (table["wall"] * table["gpus"] / 3600).where(table["gpus"] > 0)
    groups = table.groupby(["rule", "model"], sort=True)
    return pd.DataFrame(
        {
            "jobs": groups.size(),
            "unsampled": groups["cpu"].agg(lambda cpu: int(cpu.isna().sum())),
            "wall_minutes": groups["wall"].sum() / 60,
            "cpu_minutes": groups["cpu"].sum(min_count=1) / 60,
            "peak_memory_mb": groups["memory"].max(),
            "gpu_hours": groups["gpu_hours"].sum(min_count=1),
        }
    ).reset_index()


def draw(table: pd.DataFrame) -> Figure:
    """A panel per measure: a bar per rule, models side by side; no bar is not measured."""
    apply_style()
    models = list(dict.fromkeys(table["model"]))
    rules = list(dict.fromkeys(table["rule"]))
    colours: dict[str, Any] = dict(zip(models, cycle(TASK_COLOURS), strict=False))
    height = 1.5 + 0.14 * len(rules) * max(1, len(models))
    figure, panels = plt.subplots(1, len(SHOWN), figsize=(10, height), sharey=True)
    for panel, (column, title) in zip(panels, SHOWN.items(), strict=True):
        measured = table.pivot(index="rule", columns="model", values=column)
        panel.set_title(title)
        if measured.isna().all(axis=None):
            say_absent(panel, "none")
            continue
        measured.reindex(index=rules, columns=models).plot.barh(
            ax=panel, legend=False, color=colours, width=0.8, xlabel="", ylabel=""
        )
    panels[0].set_yticks(range(len(rules)), rules)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(models), title="model (-: none)")
    figure.tight_layout(rect=(0, 0.5 / height, 1, 1))
    return figure


def printed(table: pd.DataFrame) -> str:
    """The table as Markdown; what is missing is a dash."""
    digits = {"wall_minutes": 2, "cpu_minutes": 2, "peak_memory_mb": 0, "gpu_hours": 3}
    cells = table.astype(object)
    for column, places in digits.items():
        cells[column] = ["–" if pd.isna(v) else f"{v:.{places}f}" for v in table[column]]
    return str(cells.to_markdown(index=False, disable_numparse=True))


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--benchmarks", required=True, type=Path, help="a folder of .jsonl files")
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--out", required=True, type=Path, help="path without ending")
    args = parse(parser)
    files = sorted(args.benchmarks.rglob("*.jsonl"))
    if not files:
        raise UserError(f"{args.benchmarks} has no benchmark file; run the experiment first.")
    jobs = [job for path in files for job in read_benchmark(path)]
    table = cost_table(jobs)
    caption = CAPTION.format(experiment=args.experiment, jobs=len(jobs))
    write_frame(args.out.with_suffix(".csv"), table)
    write_text(args.out.with_suffix(".md"), f"{caption}\n\n{printed(table)}\n")
    figure = draw(table)
    save_figure([figure], args.out)
    plt.close(figure)
    log.info("%d jobs of %d rules and models", len(jobs), len(table))


if __name__ == "__main__":
    run_command(main)
