"""Two runs compared: the first cause is named, what follows from it is not blamed."""

from __future__ import annotations

import json

import pytest

from taskvectors.audit import diff
from taskvectors.audit.diff import Side, compare

MODEL = {
    "name": "small", "revision": "a" * 40, "dtype": "float32", "quantisation": None,
    "image_backend": "pillow", "notes": [],
}  # fmt: skip
VERSIONS = {"torch": "2.13.0"}
COLUMNS = (
    "entity_set,entity,file,rendering,package,version,path,author,licence,licence_url,sha256\n"
)


def run(made, label="yellow", image="a", code="0" * 16, seeds=(1, 2), **changed):
    """A chain of four jobs whose bytes depend on what is passed."""
    row = f"foods,Banana,images/b.png,noto,Emoji,1.0,b.png,Ada,CC0,https://x.org,{image * 64}\n"
    made.job("collect", {"collect/noto/manifest.csv": COLUMNS + row})
    item = json.dumps({"entity": "Banana", "label": label, "image": image})
    made.job(
        "curate",
        {
            "curate/food-color/test.jsonl": item,
            "curate/food-color/exemplars.jsonl": json.dumps({"seeds": seeds}),
        },
        ["results/made/collect/noto/manifest.csv"],
        params={"label": "color", "seeds": list(seeds)},
        config={"experiment": "made", "seeds": list(seeds), "bootstrap": {"seed": len(seeds)}},
        seeds=list(seeds),
    )
    datasets = [f"results/made/curate/food-color/{n}.jsonl" for n in ("test", "exemplars")]
    versions, model = changed.get("versions", VERSIONS), changed.get("model", MODEL)
    made.job(
        "read",
        {"read/activations.safetensors": f"{item}{seeds}{versions}{model['revision']}"},
        datasets,
        packages={"lock": "0" * 64, "versions": versions},
        model=model,
    )
    activations = (made.folder / "read/activations.safetensors").read_text()
    made.job(
        "average",
        {"average/vectors.safetensors": activations + code},
        ["results/made/read/activations.safetensors"],
        code=code,
    )
    return Side.of(made.folder)


@pytest.mark.parametrize(
    ("change", "cause", "differing"),
    [
        (
            {"label": "blue"},
            "the label color of Banana is 'yellow' in the first and 'blue' in the second",
            3,
        ),
        (
            {"image": "b"},
            "the image of Banana (foods) is aaaaaaaaaaaaaaaa in the first and bbbbbbbbbbbbbbbb",
            4,
        ),
        (
            {"model": {**MODEL, "revision": "b" * 40}},
            f"the model's revision is {'a' * 40} in the first and {'b' * 40} in the second",
            2,
        ),
        (
            {"code": "f" * 16},
            f"the code of the rule average is {'0' * 16} in the first and {'f' * 16}",
            1,
        ),
        (
            {"versions": {"torch": "2.14.0"}},
            "the package torch is 2.13.0 in the first and 2.14.0 in the second",
            2,
        ),
        (
            {"seeds": (1, 2, 3)},
            "the setting seeds is [1, 2] in the first and [1, 2, 3] in the second",
            3,
        ),
    ],
)
def test_the_first_cause_is_named(new_results, change, cause, differing):
    lines, equal = compare(run(new_results()), run(new_results(), **change))
    assert not equal
    assert lines[0] == f"{differing} of 5 outputs differ"
    assert lines[1].startswith(f"first cause: {cause}")
    assert not any(line.startswith("also: ") for line in lines), lines


def test_two_causes_are_both_named(new_results):
    lines, _ = compare(run(new_results()), run(new_results(), label="blue", code="f" * 16))
    causes = [line for line in lines if line.startswith(("first cause", "also"))]
    # The code of `average` changed too, but its input did already: it is no first cause.
    assert len(causes) == 1
    assert "the label color of Banana" in causes[0]
    lines, _ = compare(run(new_results()), run(new_results(), label="blue", seeds=(3,), image="a"))
    assert any("also: the setting seeds is [1, 2]" in line for line in lines)


def test_equal_runs_exit_with_0_and_others_with_1(new_results, capsys):
    first, second, other = new_results(), new_results(), new_results()
    run(first), run(second), run(other, label="blue")
    diff.main(_Args(first.folder, second.folder))
    assert capsys.readouterr().out == "all 5 outputs that both have are the same\n"
    with pytest.raises(SystemExit) as stopped:
        diff.main(_Args(first.folder, other.folder))
    assert stopped.value.code == 1


def test_equal_bytes_made_differently_are_equal_and_it_is_said(new_results):
    first, second = new_results(), new_results()
    first.job("average", {"average/v.csv": "x"}, code="0" * 16)
    second.job("average", {"average/v.csv": "x"}, code="f" * 16)
    lines, equal = compare(Side.of(first.folder), Side.of(second.folder))
    assert equal
    assert lines[1].startswith("though the code of the rule average is")


def test_an_output_of_one_run_alone_is_a_difference(new_results):
    first, second = new_results(), new_results()
    run(first), run(second)
    first.job("render_naming", {"tables/naming.csv": "x"})
    lines, equal = compare(Side.of(first.folder), Side.of(second.folder))
    assert not equal
    assert lines[0] == "only in the first: tables/naming.csv"


class _Args:
    def __init__(self, a, b) -> None:
        self.a, self.b = a, b
