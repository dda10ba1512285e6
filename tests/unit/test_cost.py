"""What a run took is what its benchmark files say, and nothing else."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from taskvectors.audit.cost import cost_table, draw, main, printed, read_benchmark
from taskvectors.base.errors import UserError


def benchmark(path, rule, model, seconds, cpu, memory, gpus):
    """A line as Snakemake 9 writes it with --benchmark-extended, without what is not read."""
    wildcards = {"task": "food-color"} if model is None else {"model": model}
    resources = {"_cores": 1, "tmpdir": "/tmp"} if gpus is None else {"_cores": 1, "gpu": gpus}
    line = {"s": seconds, "cpu_time": cpu, "max_rss": memory, "rule_name": rule}
    line |= {"wildcards": wildcards, "resources": resources, "h:m:s": "0:00:01"}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    return read_benchmark(path)


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    jobs = benchmark(tmp_path / "a.jsonl", "read", "big", 1800.0, 60.0, 9000.5, 2)
    jobs += benchmark(tmp_path / "b.jsonl", "read", "big", 5400.0, 120.0, 100.0, 2)
    jobs += benchmark(tmp_path / "c.jsonl", "read", "small", 60.0, 30.0, 800.0, 0)
    jobs += benchmark(tmp_path / "d.jsonl", "curate", None, 3.0, "NA", "NA", None)
    jobs += benchmark(tmp_path / "e.jsonl", "average", "big", 6.0, 6.0, 10.0, None)
    jobs += benchmark(tmp_path / "f.jsonl", "average", "big", 6.0, "NA", "NA", None)
    return cost_table(jobs).set_index(["rule", "model"])


def test_times_add_up_and_memory_is_the_largest(table):
    row = table.loc["read", "big"]
    assert row["jobs"] == 2
    assert row["wall_minutes"] == pytest.approx(120)
    assert row["cpu_minutes"] == pytest.approx(3)
    assert row["peak_memory_mb"] == 9000.5


def test_gpu_hours_are_wall_time_times_gpus_and_missing_without_a_gpu(table):
    assert table.loc[("read", "big"), "gpu_hours"] == pytest.approx(4)
    assert math.isnan(table.loc[("read", "small"), "gpu_hours"])


def test_what_was_not_sampled_is_missing_and_counted_not_zero(table):
    unsampled = table.loc["curate", "-"]
    assert unsampled["unsampled"] == 1
    assert math.isnan(unsampled["cpu_minutes"])
    assert math.isnan(unsampled["peak_memory_mb"])
    partly = table.loc["average", "big"]
    assert (partly["unsampled"], partly["cpu_minutes"]) == (1, pytest.approx(0.1))


def test_a_rule_that_did_not_run_has_no_row_and_no_bar(table):
    rows = table.reset_index()
    assert set(rows["rule"]) == {"average", "curate", "read"}
    assert "0.000" not in printed(rows)
    wall, _, _, gpus = draw(rows).axes
    drawn = [bar.get_width() for bar in wall.patches if bar.get_width() > 0]
    assert sorted(drawn) == pytest.approx(sorted(rows["wall_minutes"]))
    assert [bar.get_width() for bar in gpus.patches if bar.get_width() > 0] == [4.0]


def test_the_command_writes_the_table_and_the_figure(tmp_path, monkeypatch):
    benchmark(tmp_path / "a.jsonl", "read", "big", 1800.0, 60.0, 9000.5, 2)
    benchmark(tmp_path / "b.jsonl", "curate", None, 3.0, "NA", "NA", None)
    stem = tmp_path / "cost/cost"
    options = f"--benchmarks {tmp_path} --experiment small --out {stem}"
    monkeypatch.setattr("sys.argv", ["cost", *options.split()])
    main()
    assert list(pd.read_csv(stem.with_suffix(".csv"))["rule"]) == ["curate", "read"]
    assert "the experiment small took" in stem.with_suffix(".md").read_text(encoding="utf-8")
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["s\th:m:s\n1.0\t0:00:01\n", '{"s": 1.0, "cpu_time": 2.0}\n'])
def test_a_file_that_does_not_say_its_rule_is_refused(tmp_path, text):
    path = tmp_path / "old.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"old\.jsonl is no extended benchmark file"):
        read_benchmark(path)
