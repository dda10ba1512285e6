"""Table 2: what the task vectors decode to, through the logit lens (paper, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from taskvectors.base.files import read_json
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.lens import Lens, read_lens
from taskvectors.render.run import Run
from taskvectors.render.tables import write_table
from taskvectors.render.words import NON_WORD, is_word, visible
from taskvectors.score.decode import read_vocabulary
from taskvectors.study.vectors import parse_vector_name

ICL = ("text_icl", "image_icl")
TOP = 5


def mean_vector(vectors: dict[str, Tensor], specification: str) -> Tensor | None:
    """The mean over seeds of a specification's vectors, (layers, width); None without any."""
    found = [v for name, v in vectors.items() if parse_vector_name(name)[0] == specification]
    return torch.stack(found).mean(0) if found else None


def top_decodings(lens: Lens, vector: Tensor, vocabulary: Sequence[str]) -> list[dict]:
    """The five likeliest tokens of one residual stream (width,), likeliest first."""
    best = lens.probabilities(vector).topk(TOP)
    texts = [vocabulary[i] if i < len(vocabulary) else "" for i in best.indices.tolist()]
    return [
        {"rank": rank, "token": text, "word": is_word(text), "probability": probability}
        for rank, (text, probability) in enumerate(
            zip(texts, best.values.tolist(), strict=True), start=1
        )
    ]


def table_2_data(run: Run, specifications: Sequence[str]) -> pd.DataFrame:
    """Top-5 decodings of every model's mean vectors at its chosen layer, one token a row."""
    rows = []
    for model in run.models:
        layer = read_json(run.of("score", model) / "layer.json")["layer"]
        lens = read_lens(run.results / "read" / model / "lens.safetensors")
        vocabulary = read_vocabulary(run.results / "prepare" / model / "tokenizer.json")
        for task in run.tasks:
            vectors = read_tensors(run.of("average", model, task) / "vectors.safetensors")
            for specification in specifications:
                mean = mean_vector(vectors, specification)
                found = [] if mean is None else top_decodings(lens, mean[layer], vocabulary)
                about = {"model": model, "source": "ours", "layer": layer, "task": task}
                rows += [{**about, "specification": specification, **top} for top in found]
    return pd.DataFrame(rows)


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
        rows = read_json(run.of("read", model, task) / "activations.json")["rows"]
        vectors = read_tensors(run.of("average", model, task) / "vectors.safetensors", "text_icl/")
        counts.append(f"{task} {len(rows['validation']) * len(vectors)}")
    return f"{model}: prompts behind each mean {', '.join(counts)}."


RENDERERS = {"table_2": render_top_decodings, "table_2_instruction": render_top_decodings}
