"""Tables 4 and 7: task vectors of a language model patched into the VLM that grew from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.tensors import read_tensors
from taskvectors.render.captions import sample_sentence
from taskvectors.render.run import Run
from taskvectors.render.tables import accuracies, shown, with_difference, write_table
from taskvectors.study.metrics import METRICS
from taskvectors.study.vectors import vector_name

SPECIFICATION = "text_icl"
# query modality, the method that `taskvectors.write` names so, and its ending in these tables
QUERIES = (("image", "text_icl_xpatch", "xpatch"), ("text", "text_icl_patch", "patch"))

# By VLM: our accuracies of its own vectors, and of its language model's.
Scores = dict[str, tuple[pd.DataFrame, pd.DataFrame]]


def seed_vectors(path: Path, layer: int) -> dict[int, Tensor]:
    """The text ICL vectors (width,) of one layer by seed. Raises `UserError` without any."""
    tensors = read_tensors(path)
    start = vector_name(SPECIFICATION, 0).removesuffix("0")
    found = {
        int(name.removeprefix(start)): tensor[layer].double()
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
    if not found:
        raise UserError(f"{path} has no vector of {SPECIFICATION}; run `average` again.")
    return found


def mean_similarity(pairs: Sequence[tuple[Tensor, Tensor]]) -> float | None:
    """The mean cosine similarity of pairs of vectors; None of no pair."""
    if not pairs:
        return None
    return float(torch.stack([torch.cosine_similarity(a, b, dim=0) for a, b in pairs]).mean())


def similarities(
    own: dict[str, dict[int, Tensor]], reader: dict[str, dict[int, Tensor]]
) -> tuple[float | None, float | None]:
    """How alike a VLM's and its language model's vectors of one task are, and the baseline.

    ``own`` and ``reader`` map a task to its vectors by seed; both were read for the same
    exemplars. The baseline (the paper's "random") is over all pairs of different tasks of the
    VLM, and missing where there is one task only.
    """
    matched = [(own[task][seed], reader[task][seed]) for task in own for seed in own[task]]
    mismatched = [
        (own[one][seed], own[other][seed])
        for one, other in permutations(own, 2)
        for seed in own[one]
    ]
    return mean_similarity(matched), mean_similarity(mismatched)


def table_4(
    scores: Scores,
    alike: dict[str, tuple[float | None, float | None]],
    published: pd.DataFrame,
    tasks: Sequence[str],
) -> pd.DataFrame:
    """Table 4: similarity of the vectors, and average accuracy on image queries.

    ``alike`` has each VLM's `similarities`. The paper's baseline is Idefics2's, ours each VLM's.
    """
    rows = []
    for model, (own, transferred) in scores.items():
        similarity, baseline = alike[model]
        for metric in METRICS:
            for name, table, method, modality, cosine in (
                ("random", own, "random", "any", baseline),
                ("vlm_vlm_xpatch", own, "text_icl_xpatch", "image", None),
                ("llm_vlm_xpatch", transferred, "text_icl_xpatch", "image", similarity),
            ):
                found = accuracies(table, method, modality, metric, tasks)
                numbers = {key: found[key] for key in ("average", "low", "high")}
                named = {"model": model, "method": name, "metric": metric, "source": "ours"}
                rows.append({**named, "cosine_similarity": cosine, **numbers})
    paper = published.assign(metric="paper", source="paper").to_dict("records")
    return with_difference(pd.DataFrame(rows + paper), ["model", "method", "metric"])


def table_7(scores: Scores, published: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Table 7: accuracy by task. The paper has image queries only."""
    rows = []
    for model, tables in scores.items():
        for metric in METRICS:
            for modality, method, way in QUERIES:
                for name, table in zip(("vlm_vlm", "llm_vlm"), tables, strict=True):
                    named = {"model": model, "method": f"{name}_{way}", "query_modality": modality}
                    named |= {"metric": metric, "source": "ours"}
                    rows.append({**named, **accuracies(table, method, modality, metric, tasks)})
    columns = ["model", "method", "query_modality", "metric", "source", *tasks, "average"]
    paper = published.assign(query_modality="image", metric="paper", source="paper")
    paper = paper.reindex(columns=columns).to_dict("records")
    keys = ["model", "method", "query_modality", "metric"]
    return with_difference(pd.DataFrame(rows + paper), keys)


def transferred_folder(run: Run, model: str) -> Path:
    """Where the scores of the language model's vectors in this VLM are."""
    return run.of("score", model) / f"from_{run.language_models[model]}"


def pair_sentence(run: Run, model: str) -> str:
    """Which language model's vectors were patched into the VLM, and at which layer."""
    chosen = read_json(run.of("score", model) / "layer.json")
    own = read_json(transferred_folder(run, model) / "layer.json")
    reader = run.language_models[model]
    return (
        f"The VLM shown is {model}, its language model {reader}; all vectors are patched at layer "
        f"{chosen['layer']} of {chosen['layers']}, where the VLM's own do best on validation "
        f"({chosen['validation_accuracy']:.2f}); those of {reader} do best there at layer "
        f"{own['layer']} ({own['validation_accuracy']:.2f})."
    )


def render(run: Run) -> None:
    """Write Table 4 or 7."""
    scores, alike, sentences = {}, {}, []
    for model, reader in run.language_models.items():
        own = pd.read_csv(run.of("score", model) / "accuracy.csv")
        scores[model] = (own, pd.read_csv(transferred_folder(run, model) / "accuracy.csv"))
        sentences.append(pair_sentence(run, model))
        asked = own[(own["metric"] == "paper") & (own["method"] == "text_icl_xpatch")]
        items = asked.set_index("task")["items"].reindex(run.tasks)
        sentences.append(sample_sentence(model, "test", items, asked["seeds"].max()))
        if run.item == "table_4":
            layer = read_json(run.of("score", model) / "layer.json")["layer"]
            alike[model] = similarities(
                *(
                    {
                        task: seed_vectors(
                            run.of("average", one, task) / "vectors.safetensors", layer
                        )
                        for task in run.tasks
                    }
                    for one in (model, reader)
                )
            )
    if run.item == "table_4":
        table = table_4(scores, alike, run.published(), run.tasks)
    else:
        table = table_7(scores, run.published(), run.tasks)
    write_table(table, shown(table), run.caption(sentences), run.out)


RENDERERS = {"table_4": render, "table_7": render}
