"""Captions: the text in ``workflow/report``, with this run's sample sizes and caveats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.study.first_tokens import alike_clause, tells_little
from taskvectors.study.metrics import METRICS

# Counts of a task's labels in the accuracies, in words.
BEGINNINGS = {
    "shared": "whose first token is another's, too",
    "unshown": "judged by more than the first token, which shows no text",
}
REPORT = Path(__file__).resolve().parent.parent.parent / "report"


def caption(text: Path, experiment: str, samples: list[str], naming: dict[str, Path]) -> str:
    """What an item shows, in which experiment, over how many items, and how well models see.

    ``text`` is the item's file in ``workflow/report``; ``samples`` are sentences by
    `sample_sentence`; ``naming`` maps a model whose vision tower was trained here to its
    ``naming.json``.
    """
    shows = " ".join(text.read_text(encoding="utf-8").split())
    seen = [naming_sentence(model, path) for model, path in naming.items()]
    return " ".join([shows, f"Experiment {experiment}.", *samples, *seen])


def sample_sentence(model: str, split: str, items: pd.Series, seeds: int) -> str:
    """How many items of each task were asked (task to count), and under how many seeds.

    A task that was not asked has a missing count.
    """
    counts = ", ".join(
        f"{task} {'not asked' if pd.isna(count) else int(count)}" for task, count in items.items()
    )
    return f"{model}: {split} items {counts}; {seeds} seeds."


def asked_sentence(
    model: str, scores: pd.DataFrame, tasks: Sequence[str], method: str = "", split: str = "test"
) -> str:
    """`sample_sentence` from a model's accuracies, of one method or over all."""
    asked = scores[scores["task"] != "average"]
    if method:
        asked = asked[asked["method"] == method]
    items = asked.groupby("task")["items"].max().reindex(tasks)
    return sample_sentence(model, split, items, asked["seeds"].max() if len(asked) else 0)


def caveats(scores: Mapping[str, pd.DataFrame]) -> list[str]:
    """What numbers of some models, by name, have to be read with; mostly nothing. ``scores`` are by
    `taskvectors.score.accuracy`."""
    return cut_sentences(scores) + beginning_sentences(scores)


def beginning_sentences(scores: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many labels begin as others do, or with no text, in a model's tokens, and of which tasks
    so many that accuracies say little."""
    sentences = []
    for name, table in scores.items():
        tasks = table.dropna(subset="alike").drop_duplicates("task").set_index("task")
        counts = tasks[["labels", "alike", *BEGINNINGS]].astype(int)
        for count, what in BEGINNINGS.items():
            some = counts[counts[count] > 0]
            told = [f"{task} {row[count]} of {row['labels']}" for task, row in some.iterrows()]
            sentences += [f"{name}: labels {what}: {', '.join(told)}."] if told else []
        sentences += [
            f"{name}, {task}: {alike_clause(row['labels'], row['alike'], share)}."
            for (task, row), share in zip(counts.iterrows(), tasks["alike_items"], strict=True)
            if tells_little(row["alike"], share)
        ]
    return sentences


def cut_sentences(scores: Mapping[str, pd.DataFrame]) -> list[str]:
    """Of which models' prompts some were cut at a delimiter, and how many."""
    sentences = []
    for name, table in scores.items():
        counts = table[table["metric"] == METRICS[0]][["answers", "forced"]].sum()
        if counts["forced"]:
            sentences.append(
                f"{name}: {counts['forced']} of {counts['answers']} prompts were cut at a "
                "delimiter, which the tokenizer would have merged with what follows it."
            )
    return sentences


def sets_sentences(data: pd.DataFrame, tasks: Sequence[str], what: str) -> list[str]:
    """For each model, how many exemplar sets of each specification and task are shown; ``data``
    has them in the column ``sets``."""
    sentences = []
    for model in data["model"].unique():
        part = data[data["model"] == model]
        counts = part.groupby(["specification", "task"])["sets"].max()
        shown = "; ".join(
            f"{name} " + ", ".join(f"{task} {counts.get((name, task), 0)}" for task in tasks)
            for name in part["specification"].unique()
        )
        sentences.append(f"{model}: {what} {shown}.")
    return sentences


# What the two kinds of vision tower are, and among which names an image's is looked for.
TOWERS = {
    "closed-set lookup": "a closed-set lookup of names",
    "open projector": "open, with a projector that holds no names",
}


def naming_table(naming: Path) -> pd.DataFrame:
    """``naming.json`` as a table: kind of vision tower, entity set, accuracy, images."""
    about = read_json(naming)
    found = [{"entity_set": name, **one} for name, one in about["held_out"].items()]
    return pd.DataFrame(found).assign(vision_tower=about["vision_tower"])


def naming_sentence(model: str, naming: Path) -> str:
    """What a model's vision tower is, and how well it names held-out images, in one sentence."""
    shares = ", ".join(
        f"{row['entity_set']} {row['accuracy']:.2f} of {row['images']}"
        for row in naming_table(naming).to_dict("records")
    )
    kind = TOWERS[read_json(naming)["vision_tower"]]
    return (
        f"The vision tower of the model {model} is {kind}; on the "
        f"rendering that training never saw it names rightly: {shares}."
    )
