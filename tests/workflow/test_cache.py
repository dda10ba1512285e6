"""--cache: a second checkout takes expensive results from the first one's, and only the same ones.

The rule lens stands for all that are cached: it is the quickest that loads a model.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest

from conftest import Checkout

pytestmark = pytest.mark.workflow
LENS = "results/tiny/read/embedded/lens.safetensors"
EXPENSIVE = {
    *("language_model", "eyes", "fetch_model"),
    *("read", "lens", "write_validation", "write_test"),
}


def without_lens(tiny_run: Checkout, folder) -> Checkout:
    """The finished experiment as another checkout that has yet to make the lens."""
    left_out = shutil.ignore_patterns("lens.*", "benchmarks", "figures", "tables", "logs")
    ours = folder / "checkout"
    shutil.copytree(tiny_run.folder, ours, ignore=left_out, copy_function=os.link)
    for name in ("resources", "workflow"):  # edited by the tests: files of their own
        shutil.rmtree(ours / name)
        shutil.copytree(tiny_run.folder / name, ours / name)
    shutil.rmtree(ours / ".snakemake")
    shutil.copytree(tiny_run.folder / ".snakemake", ours / ".snakemake")
    return Checkout(ours)


@pytest.fixture(scope="module")
def filled(tiny_run, tmp_path_factory):
    """A cache that one checkout has put its lens into."""
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(place))
        patch.delenv("PYTHONPATH", raising=False)
        first = without_lens(tiny_run, tmp_path_factory.mktemp("first"))
        done = first.tiny(LENS, "--cache")
        assert done.returncode == 0, done.stdout
        assert (first.folder / "logs/tiny/read/embedded/lens.log").is_file()
        yield place


def test_a_second_checkout_runs_nothing_expensive(tiny_run, filled, tmp_path):
    second = without_lens(tiny_run, tmp_path)
    done = second.tiny(LENS, "--cache")
    assert done.returncode == 0, done.stdout
    assert not (second.folder / "logs/tiny/read/embedded/lens.log").exists()
    made = second.folder / LENS
    assert made.resolve().parent == filled
    assert made.read_bytes() == (tiny_run.folder / LENS).read_bytes()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("resources/models.yaml", "dtype: float32", "dtype: bfloat16"),
        ("workflow/taskvectors/lens.py", '    log.info("', '    log.info("lens: " "'),
    ],
    ids=["dtype", "code"],
)
def test_what_changes_the_result_changes_the_key(tiny_run, filled, tmp_path, name, old, new):
    second = without_lens(tiny_run, tmp_path)
    path = second.folder / name
    changed = path.read_text().replace(old, new, 1)
    assert changed != path.read_text()
    path.write_text(changed)
    kept = set(filled.iterdir())
    done = second.tiny(LENS, "--cache")
    assert done.returncode == 0, done.stdout
    assert (second.folder / "logs/tiny/read/embedded/lens.log").is_file()
    assert len(set(filled.iterdir()) - kept) == 2  # the lens and its sidecar, under another key


def test_every_expensive_rule_is_cached_and_no_other(pristine):
    cached = set()
    for path in (pristine.folder / "workflow/rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "cache: CACHING" in block:
                cached.add(block.split(":")[0])
    assert cached == EXPENSIVE
