"""Table 2: what the task vectors decode to, through the logit lens (paper, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.render.run import Run
from taskvectors.render.tables import write_table
from taskvectors.render.words import NON_WORD, visible

ICL = ("text_icl", "image_icl")
TOP = 5


def table_2_data(run: Run, specifications: Sequence[str]) -> pd.DataFrame:
    """Top-5 decodings of every model's mean vectors at its chosen layer, one token a row."""
    parts = []
    for model in run.models:
        layer = read_json(run.of("score", model) / "layer.json")["layer"]
        for task in run.tasks:
            path = run.of("score", model, task) / "decodings.csv"
            found = pd.read_csv(path, keep_default_na=False)
            chosen = found["specification"].isin(specifications) & (found["layer"] == layer)
            parts.append(found[chosen].assign(model=model, source="ours", task=task))
    columns = ["model", "source", "layer", "task", "specification", "rank", "token", "word"]
    return pd.concat(parts)[[*columns, "probability"]]


def table_2_printed(data: pd.DataFrame, specifications: Sequence[str]) -> pd.DataFrame:
    """A row per model and task: the words of each specification, others as a diamond."""
    printed = []
    for (model, source, task), part in data.groupby(["model", "source", "task"], sort=False):
        layer = part["layer"].iloc[0]
        row = {"model": model, "source": source, "task": task}
        row["layer"] = "middle" if pd.isna(layer) else f"{layer:.0f}"
        for specification in specifications:
            tops = part[part["specification"] == specification].sort_values("rank")
            words = [
                visible(token) if word else NON_WORD + visible(token).removeprefix(NON_WORD)
                for token, word in zip(tops["token"], tops["word"], strict=True)
            ]
            row[specification] = ", ".join(words) or "–"
        printed.append(row)
    return pd.DataFrame(printed)


def render_top_decodings(run: Run) -> None:
    """Write Table 2, or its counterpart for instructions, for which the paper has no text."""
    instructed = run.item.endswith("instruction")
    specifications = ("instruction",) if instructed else ICL
    data = table_2_data(run, specifications)
    if not instructed:
        published = run.published()
        paper = published[published["task"].isin(run.tasks)].assign(source="paper")
        data = pd.concat([data, paper])
    samples = [] if instructed else [prompts_sentence(run, model) for model in run.models]
    write_table(data, table_2_printed(data, specifications), run.caption(samples), run.out)


def prompts_sentence(run: Run, model: str) -> str:
    """How many validation prompts, over all seeds, stand behind each task's vector."""
    counts = []
    for task in run.tasks:
        sidecar = read_json(run.of("read", model, task) / "activations.json")
        counts.append(f"{task} {len(sidecar['rows']['validation']) * len(sidecar['seeds'])}")
    return f"{model}: prompts behind each mean {', '.join(counts)}."


RENDERERS = {"table_2": render_top_decodings, "table_2_instruction": render_top_decodings}
