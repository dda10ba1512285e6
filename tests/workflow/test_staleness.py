"""What a change makes Snakemake plan: what uses what changed, what follows, and no more."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from guide import write_files

from taskvectors.base.tensors import read_tensors
from taskvectors.study.datasets import read_exemplar_sets
from taskvectors.study.items import ITEMS

pytestmark = pytest.mark.workflow
CAPITAL, COLOR, FLAVOR = TASKS = "country-capital", "food-color", "food-flavor"
# What joins all tasks, from predictions on.
JOINED = {
    *("choose_layer", "qualitative", "score", "score_conflict", "score_descriptions"),
    *("score_samples", "score_curves", "score_evolution", "score_claims", "site"),
    *("score_pairs", "score_power", "choose_injection", "score_function_vectors"),
    *("score_controls", "score_control_pairs", "score_context", "score_instructions"),
    *("overriding", "judge", "score_overriding"),
}
ABSENT = ("table_4", "table_6", "table_7", "table_gap", "table_wild", "table_compute")
MADE = {item for item in ITEMS if item not in ABSENT}


CHANGED = 'instruction: "The food\'s color:"'


def renders(items: set[str]) -> set[str]:
    return {f"render_{item}" for item in items}


# What shows nothing that was patched or decoded, and what shows nothing of any task.
OF_THE_INPUTS = {"table_1", "table_5", "figure_tsne"}
# What is found of attention heads before any vector is written.
OF_HEADS = {"figure_heads", "table_heads"}
# What writes vectors into queries once layer, strength or heads were chosen over all tasks.
INJECTS = {"inject_validation", "inject_test", "instructions"}
FIGURES = {item for item in MADE if item.startswith("figure")}
FOLLOWS = JOINED | renders(MADE - OF_THE_INPUTS - OF_HEADS - {"naming"})
EVERYTHING = JOINED | {"score_tsne", "score_heads", "function_vectors"} | renders(MADE - {"naming"})


@pytest.fixture(scope="module")
def copied(tiny_run, tmp_path_factory) -> Iterator:
    """A copy of the finished experiment that runs its own package.

    Results are linked, not copied: no stage changes a file in place.
    """
    folder = tmp_path_factory.mktemp("stale") / "copy"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("results"))
    shutil.copytree(tiny_run.folder / "results", folder / "results", copy_function=os.link)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "workflow"))
        yield replace(tiny_run, folder=folder)


def planned(checkout, *arguments: str) -> set[tuple[str, str]]:
    """The jobs of a dry run, each as its rule and its task ("" for none)."""
    done = checkout.tiny("--dry-run", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    if "Nothing to be done" in done.stdout:
        return set()
    blocks = re.split(r"^(?:local)?rule (\w+):$", done.stdout, flags=re.MULTILINE)[1:]
    jobs = set()
    for rule, block in zip(blocks[::2], blocks[1::2], strict=True):
        wildcards = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
        task = re.search(r"task=([\w-]+)", wildcards[1]) if wildcards else None
        jobs.add((rule, task[1] if task else ""))
    total = re.findall(r"^total +(\d+)$", done.stdout, re.MULTILINE)[-1]
    assert len(jobs) == int(total)
    return jobs - {("all", "")}


def jobs_of(rules: set[str], tasks: set[str]) -> set[tuple[str, str]]:
    return {(rule, task) for rule in rules for task in tasks}


@contextmanager
def edited(checkout, file: str, old: str, new: str) -> Iterator[None]:
    """One place of a file changed, for as long as it is looked at."""
    path = checkout.folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    state = path.stat()
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


class _OtherText(ast.NodeTransformer):
    """Another text in the place of every docstring."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = "Other words."
        return node


def test_another_wording_of_the_whole_package_reruns_nothing(copied, tmp_path):
    package = copied.folder / "workflow/taskvectors"
    shutil.copytree(package, tmp_path / "kept")
    for path in package.rglob("*.py"):
        tree = _OtherText().visit(ast.parse(path.read_text(encoding="utf-8")))
        path.write_text(f"{ast.unparse(tree)}\n# A comment.\n", encoding="utf-8")
    assert planned(copied) == set()
    shutil.copytree(tmp_path / "kept", package, dirs_exist_ok=True)


def test_a_newer_time_of_the_same_bytes_reruns_nothing(copied):
    files = [path for path in copied.results.rglob("*") if path.is_file()]
    outputs = [p for p in files if p.name[0] != "." and "prepare" not in p.parts]
    assert max(path.stat().st_size for path in outputs) > 2**20
    for path in outputs:
        # A file of its own, since the copy's are links to those of the run that tests share.
        shutil.copyfile(path, path.with_name(f".{path.name}.touched"))
        path.with_name(f".{path.name}.touched").replace(path)
    os.utime(copied.results / "prepare/embedded")
    assert planned(copied) == set()
    vectors = copied.results / f"average/embedded/spaced/{COLOR}/vectors.safetensors"
    kept = vectors.read_bytes()
    vectors.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert ("write_test", COLOR) in planned(copied)
    vectors.write_bytes(kept)
    assert planned(copied) == set()


def test_a_changed_function_of_a_stage_reruns_that_stage_and_what_follows(copied):
    file = "workflow/taskvectors/average.py"
    with edited(copied, file, "order[:count]", "order[-count:]"):
        assert planned(copied) == jobs_of(
            {"average", "write_validation", "write_test", "decode", "controls", *INJECTS},
            set(TASKS),
        ) | jobs_of(FOLLOWS, {""})


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("render/samples.py", '"exemplar xpatch"', '"exemplars, xpatch"', {"figure_8"}),
        # One module draws the conflict and prints its table, and one the heads.
        (
            "base/figures.py",
            '"font.size": 8',
            '"font.size": 9',
            FIGURES | {"table_conflict", "table_heads", "table_instructions", "table_overriding"},
        ),
    ],
    ids=["one figure", "style"],
)
def test_a_changed_look_draws_the_figures_that_have_it(copied, file, old, new, stale):
    with edited(copied, f"workflow/taskvectors/{file}", old, new):
        assert planned(copied) == jobs_of(renders(stale) | {"site"}, {""})


def test_a_changed_label_reruns_its_task_and_what_joins_all_tasks(copied):
    table = copied.folder / "resources/entities/countries.csv"
    row = next(line for line in table.read_text().splitlines() if line.startswith("France,"))
    with edited(copied, "resources/entities/countries.csv", row, row.replace(",Paris,", ",Lyon,")):
        task = {"curate", "first_tokens", "read", "average", "decode", "write_validation"}
        task |= {"mediate"}
        # The layer is chosen over all tasks, so the other tasks are tested again, too.
        expected = (
            jobs_of(task, {CAPITAL})
            | jobs_of({"write_test", "controls", *INJECTS}, set(TASKS))
            | jobs_of(EVERYTHING, {""})
        )
        assert planned(copied) == expected


def test_a_changed_instruction_rereads_its_task(copied):
    with edited(copied, "resources/tasks.yaml", 'instruction: "The color of the food:"', CHANGED):
        task = {"read", "average", "decode", "write_validation", "mediate"}
        expected = (
            jobs_of(task, {COLOR})
            | jobs_of({"write_test", "controls", *INJECTS}, set(TASKS))
            | jobs_of(EVERYTHING, {""})
        )
        assert planned(copied) == expected


def test_a_new_entity_set_touches_its_own_data_only(copied):
    tasks, own = copied.folder / "resources/tasks.yaml", "animal-home"
    before, state = tasks.read_text(), tasks.stat()
    write_files(copied.folder)
    assert planned(copied) == set()
    sizes = "countries: {validation: 4, test: 6}, foods: {validation: 4, test: 6}"
    jobs = planned(
        copied,
        *(
            "--config",
            "instructions=false",
            "own_images=[my/animals]",
            f"tasks=[{','.join(TASKS)},{own}]",
        ),
        f"splits={{{sizes}, animals: {{validation: 4, test: 6}}}}",
    )
    assert {rule for rule, task in jobs if task == own} >= {
        *("curate", "read", "average", "decode", "write_validation", "mediate", "write_test"),
    }
    # The layer is chosen over all tasks, so the other tasks are tested again.
    again = {"write_test", "controls", *INJECTS} - {"instructions"}
    assert {rule for rule, task in jobs if task in TASKS} == again
    joined = EVERYTHING | {"collect_folder", "run_config", "render_naming"}
    assert {rule for rule, task in jobs if task == ""} <= joined
    shutil.rmtree(copied.folder / "my")
    (copied.folder / "resources/experiments/zoo.yaml").unlink()
    tasks.write_text(before)
    os.utime(tasks, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_an_added_seed_leaves_the_other_seeds_as_they_are(copied):
    place = f"read/embedded/spaced/{COLOR}"
    before = read_tensors(copied.results / place / "activations.safetensors")
    file = copied.results / f"curate/{COLOR}/exemplars.jsonl"
    sets = read_exemplar_sets(file)
    target = f"results/tiny/{place}/activations.safetensors"
    done = copied.tiny(target, "--config", "seeds=[1,2,3]")
    assert done.returncode == 0, done.stdout[-3000:]
    assert [one for one in read_exemplar_sets(file) if one.seed != 3] == sets
    after = read_tensors(copied.results / place / "activations.safetensors")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name.split("/")[2] for name in set(after) - set(before)} == {"3"}
