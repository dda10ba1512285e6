"""Table 2: what the task vectors decode to, through the logit lens (paper, section 2.3)."""

from collections.abc import Sequence

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.base.frames import read_frame
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.words import NON_WORD, visible

ICL = ("text_icl", "image_icl")
COLUMNS = ["model", "source", "layer", "task", "specification"]
COLUMNS += ["rank", "token", "word", "probability"]


def table_2_data(item: ShownItem, specifications: Sequence[str]) -> pd.DataFrame:
    """Top-5 decodings of every model's mean vectors at its chosen layer, one token a row."""
    layers, parts = item.chosen_layers(), []
    for (model, task), path in item.by_model_and_task("decodings").items():
        table = read_frame(path)
        table = table[table["layer"] == layers[model]]
        for specification in specifications:
            part = table[table["specification"] == specification]
            parts.append(part.assign(model=model, task=task, source="ours"))
    joined = pd.concat(parts)[COLUMNS]
    return joined.assign(token=joined["token"].fillna(""))  # a token may have no text


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


def render_top_decodings(item: ShownItem) -> None:
    """Write Table 2, or its counterpart for instructions, for which the paper has no text."""
    instructed = item.name.endswith("instruction")
    specifications = ("instruction",) if instructed else ICL
    data = table_2_data(item, specifications)
    if not instructed:
        published = item.published()
        paper = published[published["task"].isin(item.tasks)].assign(source="paper")
        data = pd.concat([data, paper])
    samples = [] if instructed else [prompts_sentence(item, model) for model in item.models]
    write_table(data, table_2_printed(data, specifications), item.caption(samples), item.out)


def prompts_sentence(item: ShownItem, model: str) -> str:
    """How many validation prompts, over all seeds, stand behind each task's vector."""
    counts = []
    for task, path in zip(item.tasks, item.of_model("prompts", model), strict=True):
        sidecar = read_json(path)
        counts.append(f"{task} {len(sidecar['rows']['validation']) * len(sidecar['seeds'])}")
    return f"{model}: prompts behind each mean {', '.join(counts)}."


if __name__ == "__main__":
    render_command(
        __doc__,
        {"table_2": render_top_decodings, "table_2_instruction": render_top_decodings},
    )
