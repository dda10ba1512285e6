"""The table of compute: ratios to patching, what repeats, on which machine; and peak memory."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from taskvectors.base.frames import read_frame, write_frame
from taskvectors.engine.memory import peak_memory, processor_name
from taskvectors.render.compute import render_costs
from taskvectors.render.item import ShownItem


def row(way: str, inputs: str | None, exemplars: int, seconds: float, memory: int) -> dict:
    about = {"model": "m", "template": "spaced", "way": way, "inputs": inputs}
    about |= {"exemplars": exemplars, "distinct": min(exemplars, 7), "query_modality": "image"}
    about |= {"tokens": 10 + exemplars, "seconds": seconds, "fastest": seconds / 2}
    return about | {
        "slowest": seconds * 2, "memory_bytes": memory, "queries": 10, "device": "a card",
    }  # fmt: skip


def test_each_way_stands_beside_patching(tmp_path, root):
    rows = [
        row("patch", None, 0, 0.2, 8_210_000_000),
        row("prompt", "names", 5, 0.4, 9_000_000_000),
        row("prompt", "descriptions", 30, 2.2, 20_020_000_000),
    ]
    write_frame(tmp_path / "m.csv", pd.DataFrame(rows))
    caption = root / "workflow/report/table_compute.rst"
    inputs = {"costs": [tmp_path / "m.csv"], "caption": [caption]}
    nothing = {"seeing": [], "templates": [], "language_models": []}
    out = tmp_path / "table_compute"
    render_costs(ShownItem(["m"], ["a"], inputs, out.name, experiment="x", out=out, **nothing))
    table = read_frame(out.with_suffix(".csv"))
    assert table["seconds_over_patch"].tolist() == pytest.approx([1, 2, 11])
    assert table["memory_over_patch"].round(2).tolist() == [1, 1.1, 2.44]
    text = out.with_suffix(".md").read_text()
    assert (
        "m: on a card; 10 image queries each. Of 30 descriptions 7 are different, in turn." in text
    )
    last = [cell.strip() for cell in text.strip().splitlines()[-1].split("|")[1:-1]]
    assert last == [
        *("m", "prompt", "descriptions", "30", "40", "2.200 [1.100, 4.400]"),
        *("20.02", "11.0", "2.44"),
    ]


def test_peak_memory_sees_what_is_gone_at_the_end():
    megabytes = 200
    with peak_memory(torch.device("cpu")) as before:
        pass
    with peak_memory(torch.device("cpu")) as during:
        torch.ones(megabytes * 250_000).sum()
    assert during.value - before.value > 0.8 * megabytes * 1e6


def test_the_processor_is_named_as_linux_names_it(tmp_path):
    found = tmp_path / "cpuinfo"
    found.write_text("processor\t: 0\nmodel name\t: Some: CPU @ 2 GHz\nflags\t: model name\n")
    assert processor_name(found) == "Some: CPU @ 2 GHz"
    assert processor_name(tmp_path / "nothing")
