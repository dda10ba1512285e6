"""Tables 4, 6 and 7 show what is recomputed here in a few lines, and the paper's numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from taskvectors.base.errors import UserError
from taskvectors.render.tables import shown
from taskvectors.render.templates import table_6
from taskvectors.render.transfer import table_4, table_7
from taskvectors.score.similarity import seed_vectors, similarities
from taskvectors.study.tables import DEPENDENCE, DIFFERENT_TASKS, SAME_TASK

TASKS = ["country-capital", "food-color"]
LAYERS, WIDTH, SEEDS = 3, 8, (1, 2)


NOT_SHOWN = ("items_low", "items_high", "constant")
NOT_SHOWN += ("excess", "excess_low", "excess_high", *DEPENDENCE)


def scored(accuracy: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    """Scores with the given accuracies on the two tasks; half of them by the strict metric."""
    rows = []
    for (method, modality), values in accuracy.items():
        for task, value in zip([*TASKS, "average"], [*values, sum(values) / 2], strict=True):
            for metric, factor in (("paper", 1.0), ("strict", 0.5)):
                numbers = {"accuracy": value * factor, "low": 0.0, "high": 1.0}
                keys = {"method": method, "query_modality": modality, "metric": metric}
                rows.append({**keys, "task": task, **numbers})
    return pd.DataFrame(rows).assign(**dict.fromkeys(NOT_SHOWN, np.nan), interval="items")


OWN = scored(
    {
        ("random", "any"): [0.0, 0.2],
        ("no_context", "image"): [0.0, 0.1],
        ("text_icl_xpatch", "image"): [0.2, 0.4],
        ("text_icl_patch", "text"): [0.3, 0.5],
    }
)
TRANSFERRED = scored(
    {("text_icl_xpatch", "image"): [0.5, 0.7], ("text_icl_patch", "text"): [0.1, 0.3]}
)


def published(root, item: str) -> pd.DataFrame:
    return pd.read_csv(root / f"resources/paper/{item}.csv")


def random_vectors(seed: int) -> dict[str, dict[int, torch.Tensor]]:
    rng = torch.Generator().manual_seed(seed)
    draw = {task: {s: torch.randn(WIDTH, generator=rng) for s in SEEDS} for task in [*TASKS, "z"]}
    return {task: {s: vector.double() for s, vector in one.items()} for task, one in draw.items()}


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / np.sqrt(float((a * a).sum()) * float((b * b).sum())))


def test_similarity_is_of_the_same_task_and_seed_and_the_baseline_of_different_tasks():
    own, reader = random_vectors(0), random_vectors(1)
    found = similarities(own, reader).groupby("pairs")["cosine_similarity"].mean()
    similarity, baseline = found[SAME_TASK], found[DIFFERENT_TASKS]
    matched = [cosine(own[task][seed], reader[task][seed]) for task in own for seed in SEEDS]
    assert similarity == pytest.approx(np.mean(matched))
    pairs = [(a, b) for a, b in itertools.product(own, own) if a != b]
    assert len(pairs) == 6
    different = [cosine(own[a][seed], own[b][seed]) for a, b in pairs for seed in SEEDS]
    assert baseline == pytest.approx(np.mean(different))


def test_one_task_alone_has_no_baseline():
    alone = {"food-color": random_vectors(0)["food-color"]}
    similarity, baseline = similarities(alone, alone)["cosine_similarity"]
    assert similarity == pytest.approx(1.0) and np.isnan(baseline)


def test_vectors_are_the_whole_text_icl_vectors_of_one_layer(tmp_path):
    tensors = {
        name: torch.randn(LAYERS, WIDTH)
        for name in ("text_icl/1", "text_icl/2", "text_icl_n5/1", "image_icl/1", "instruction")
    }
    save_file(tensors, tmp_path / "vectors.safetensors")
    found = seed_vectors(tmp_path / "vectors.safetensors", 1)
    assert list(found) == [1, 2]
    torch.testing.assert_close(found[2].float(), tensors["text_icl/2"][1])
    save_file({"instruction": tensors["instruction"]}, tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="has no vector of text_icl"):
        seed_vectors(tmp_path / "none.safetensors", 1)


def test_table_4_has_both_metrics_the_similarity_and_the_difference_from_the_paper(root):
    scores = {"idefics2": (OWN, TRANSFERRED), "embedded-tuned": (OWN, TRANSFERRED)}
    alike = {
        model: pd.DataFrame({"pairs": [SAME_TASK, DIFFERENT_TASKS], "cosine_similarity": cosines})
        for model, cosines in (("idefics2", [0.9, 0.5]), ("embedded-tuned", [0.97, np.nan]))
    }
    table = table_4(scores, alike, published(root, "table_4"), TASKS)
    ours = table[table["source"] == "ours"].set_index(["model", "method", "metric"])
    row = ours.loc[("idefics2", "llm_vlm_xpatch", "paper")]
    assert (row["average"], row["cosine_similarity"]) == (pytest.approx(0.6), 0.9)
    assert row["difference"] == pytest.approx(0.6 - 0.52)
    assert ours.loc[("idefics2", "vlm_vlm_xpatch", "strict"), "average"] == pytest.approx(0.15)
    assert ours.loc[("idefics2", "random", "paper"), "cosine_similarity"] == 0.5
    assert ours.loc[("idefics2", "random", "paper"), "average"] == pytest.approx(0.1)
    assert ours.loc[("embedded-tuned", "llm_vlm_xpatch", "paper")].isna()["difference"]
    printed = shown(table)
    missing = (printed["model"] == "embedded-tuned") & (printed["method"] == "random")
    assert (printed[missing]["cosine_similarity"] == "–").all()
    paper = table[table["source"] == "paper"]
    pd.testing.assert_frame_equal(
        paper[["model", "method", "cosine_similarity", "average"]].reset_index(drop=True),
        published(root, "table_4"),
    )


def test_table_7_has_image_and_text_queries_of_both_models_vectors(root):
    scores = {"idefics2": (OWN, TRANSFERRED)}
    table = table_7(scores, published(root, "table_7"), TASKS)
    ours = table[table["source"] == "ours"].set_index(["method", "query_modality", "metric"])
    assert len(ours) == 2 * 2 * 2
    row = ours.loc[("llm_vlm_patch", "text", "paper")]
    assert row[[*TASKS, "average"]].tolist() == pytest.approx([0.1, 0.3, 0.2])
    assert pd.isna(row["difference"])
    row = ours.loc[("vlm_vlm_xpatch", "image", "paper")]
    assert row["average"] == pytest.approx(0.3)
    assert row["difference"] == pytest.approx(0.3 - 0.51)
    paper = table[table["source"] == "paper"].set_index(["model", "method"])
    assert paper.loc[("llava-v1.5", "llm_vlm_xpatch"), "food-color"] == 0.53
    assert (len(paper), paper["difference"].notna().sum()) == (4, 0)


def test_table_6_has_every_template_and_missing_is_missing(root):
    scores = {"idefics2": {"generic": TRANSFERRED, "chat": OWN}}
    table = table_6(scores, published(root, "table_6"), TASKS)
    ours = table[(table["source"] == "ours") & (table["metric"] == "paper")]
    ours = ours.set_index(["template", "method"])
    assert len(ours) == 2 * 4
    assert ours.loc[("generic", "text_icl_xpatch"), "average"] == pytest.approx(0.6)
    assert pd.isna(ours.loc[("generic", "text_icl_xpatch"), "difference"])
    row = ours.loc[("chat", "text_icl_xpatch")]
    assert row[[*TASKS, "average"]].tolist() == pytest.approx([0.2, 0.4, 0.3])
    assert row["difference"] == pytest.approx(0.3 - 0.54)
    assert ours.loc[("chat", "no_context"), "average"] == pytest.approx(0.05)
    assert ours.loc[("chat", "image_icl_base")][[*TASKS, "average"]].isna().all()
    paper = table[table["source"] == "paper"].set_index("method")
    assert paper.loc["text_icl_xpatch", "average"] == 0.54
