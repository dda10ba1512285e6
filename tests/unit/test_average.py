"""Task vectors, subsets and ensembles are the means that they say, computed again here."""

from __future__ import annotations

import pytest
import torch

from taskvectors.average import ensemble_vectors, subset_vectors, task_vectors
from taskvectors.study.predictions import method_name
from taskvectors.study.vectors import parse_vector_name, split_samples
from taskvectors.write import separate

LAYERS, WIDTH = 3, 4


def activations(prompts: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def drawn(rows: int) -> torch.Tensor:
        return torch.randn(rows, LAYERS, WIDTH, generator=generator)

    return {
        "text_icl/validation/1/exemplar": drawn(prompts),
        "text_icl/validation/2/exemplar": drawn(prompts),
        "text_icl/validation/1/query": drawn(prompts),
        "text_icl/test/1/query": drawn(prompts),
        "image_icl/validation/1/exemplar": drawn(prompts),
        "instruction": drawn(1),
    }


def test_a_subset_is_a_mean_of_that_many_prompts_and_grows_by_one_prompt_at_a_time():
    read = activations()
    rows = read["text_icl/validation/1/exemplar"]
    found = subset_vectors(read, exemplars=5)
    assert sorted(found) == sorted(f"text_icl_n{5 * r}/{s}" for r in range(1, 7) for s in (1, 2))
    used: list[int] = []
    for count in range(1, 7):
        total = found[f"text_icl_n{5 * count}/1"] * count
        rest = total - sum((rows[i] for i in used), torch.zeros(LAYERS, WIDTH))
        added = [i for i in range(len(rows)) if torch.allclose(rows[i], rest, atol=1e-5)]
        assert len(added) == 1
        assert added[0] not in used
        used += added


def test_seeds_permute_differently_and_always_the_same():
    read = activations(prompts=30)
    read["text_icl/validation/2/exemplar"] = read["text_icl/validation/1/exemplar"]
    once, again = subset_vectors(read, 5), subset_vectors(read, 5)
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["text_icl_n5/1"], once["text_icl_n5/2"])


def test_few_prompts_give_few_subsets_and_the_last_is_the_full_vector():
    read = activations(prompts=4)
    found = subset_vectors(read, exemplars=2)
    assert [name for name in found if name.endswith("/1")] == [
        f"text_icl_n{samples}/1" for samples in (2, 4, 6, 8)
    ]
    full = read["text_icl/validation/1/exemplar"].sum(0) / 4
    assert torch.allclose(found["text_icl_n8/1"], full, atol=1e-6)
    assert torch.allclose(task_vectors(read)["text_icl/1"], full, atol=1e-6)


def test_an_ensemble_is_half_instruction_and_half_exemplars():
    read = activations()
    vectors = task_vectors(read) | subset_vectors(read, 5)
    ensembles = ensemble_vectors(vectors)
    told = read["instruction"][0]
    assert torch.allclose(ensembles["ensemble_n10/2"], 0.5 * vectors["text_icl_n10/2"] + 0.5 * told)
    assert torch.allclose(ensembles["ensemble/1"], 0.5 * vectors["text_icl/1"] + 0.5 * told)
    assert len(ensembles) == 2 * (6 + 1)


def test_without_an_instruction_there_is_no_ensemble():
    read = activations()
    del read["instruction"]
    assert ensemble_vectors(task_vectors(read)) == {}


@pytest.mark.parametrize(
    ("name", "parsed", "samples", "method"),
    [
        ("text_icl/1", ("text_icl", 1), ("text_icl", None), "text_icl_xpatch"),
        ("text_icl_n5/3", ("text_icl_n5", 3), ("text_icl", 5), "text_icl_n5_xpatch"),
        ("ensemble/2", ("ensemble", 2), ("ensemble", None), "ensemble_xpatch"),
        ("ensemble_n30/2", ("ensemble_n30", 2), ("ensemble", 30), "ensemble_n30_xpatch"),
        ("instruction", ("instruction", None), ("instruction", None), "instruction_xpatch"),
    ],
)
def test_a_vectors_name_tells_specification_seed_samples_and_method(name, parsed, samples, method):
    assert parse_vector_name(name) == parsed
    assert split_samples(parsed[0]) == samples
    assert method_name(parsed[0], "image", "patch") == method


def test_only_the_specifications_own_vectors_are_swept_over_layers():
    read = activations()
    vectors = task_vectors(read) | subset_vectors(read, 5)
    full, partial = separate(vectors | ensemble_vectors(vectors))
    assert set(full) == {"text_icl/1", "text_icl/2", "image_icl/1", "instruction"}
    assert not set(full) & set(partial)
    assert len(partial) == 2 * 6 + 2 * 7
