"""--cache: a second checkout takes expensive results from the first one's, and only the same ones.

The rule decode stands for all that are cached: it is the quickest that loads a model.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest
from checkouts import Checkout

pytestmark = pytest.mark.workflow
DECODED = "results/tiny/score/embedded/spaced/country-capital/tops.csv"
EXPENSIVE = {
    *("language_model", "vision_tower"),
    *("read", "decode", "write_validation", "write_test"),
}


def without_scores(tiny_run: Checkout, folder) -> Checkout:
    """The finished experiment as another checkout that has yet to decode."""
    left_out = shutil.ignore_patterns("score", "benchmarks", "figures", "tables", "logs")
    ours = folder / "checkout"
    shutil.copytree(tiny_run.folder, ours, ignore=left_out, copy_function=os.link)
    for name in ("resources", "workflow"):  # edited by the tests: files of their own
        shutil.rmtree(ours / name)
        shutil.copytree(tiny_run.folder / name, ours / name)
    shutil.rmtree(ours / ".snakemake")
    shutil.copytree(tiny_run.folder / ".snakemake", ours / ".snakemake")
    return Checkout(ours)


def decoded_anew(checkout: Checkout, cache) -> bool:
    """Decode one task with ``--cache`` and the checkout's own package; say whether a job ran."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
        patch.setenv("PYTHONPATH", str(checkout.folder / "workflow"))
        done = checkout.tiny(DECODED, "--cache")
    assert done.returncode == 0, done.stdout
    log = checkout.folder / "logs/tiny/score/embedded/spaced/country-capital.log"
    return log.is_file() and "country-capital: tokens" in log.read_text()


@pytest.fixture(scope="module")
def cache(tiny_run, tmp_path_factory):
    """A cache that one checkout has put its decodings into."""
    place = tmp_path_factory.mktemp("cache")
    assert decoded_anew(without_scores(tiny_run, tmp_path_factory.mktemp("first")), place)
    return place


def test_a_second_checkout_runs_nothing_expensive(tiny_run, cache, tmp_path):
    second = without_scores(tiny_run, tmp_path)
    assert not decoded_anew(second, cache)
    made = second.folder / DECODED
    assert made.resolve().parent == cache
    assert made.read_bytes() == (tiny_run.folder / DECODED).read_bytes()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("resources/models.yaml", "dtype: float32", "dtype: bfloat16"),
        ("workflow/taskvectors/score/decode.py", "TOP = 5", "TOP = 6"),
    ],
    ids=["dtype", "code"],
)
def test_what_changes_the_result_changes_the_key(tiny_run, cache, tmp_path, name, old, new):
    second = without_scores(tiny_run, tmp_path)
    path = second.folder / name
    changed = path.read_text().replace(old, new, 1)
    assert changed != path.read_text()
    path.write_text(changed)
    before = set(cache.iterdir())
    assert decoded_anew(second, cache)
    new = [path.name for path in set(cache.iterdir()) - before]
    assert sum(name.endswith("_tops.csv") for name in new) == 1  # under another key


def test_every_expensive_rule_is_cached_and_no_other(pristine):
    cached = set()
    for path in (pristine.folder / "workflow/rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "cache: CACHING" in block:
                cached.add(block.split(":")[0])
    assert cached == EXPENSIVE
