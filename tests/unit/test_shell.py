"""Shell commands of rules: every value quoted, every param of a command in the record."""

from __future__ import annotations

import re

from taskvectors.record.shell import recorded


def test_a_command_has_its_options_and_the_record_its_params():
    made = recorded(
        "read", "read", "instruction",
        model="input.model", dtype="params.dtype", rendering="wikipedia", out="output",
    )  # fmt: skip
    record, _, command = made.partition(" -- ")
    assert command == (
        "python -m taskvectors.read --model {input.model:q} --dtype {params.dtype:q} "
        "--rendering wikipedia --out {output:q} --log {log:q}"
    )
    assert record == (
        "python -m taskvectors.record --rule read --wildcards {wildcards} --code {params.code} "
        "--param dtype {params.dtype:q} --param instruction {params.instruction:q} "
        "--inputs {input:q} --outputs {output:q}"
    )


def test_further_words_are_spliced_in_quoted():
    made = recorded("site", "render.site", items="params.items", _options="params.options")
    assert made.endswith("--items {params.items:q} {params.options:q} --log {log:q}")
    assert "--param options" not in made


def test_every_value_in_every_rule_is_quoted(root):
    for path in (root / "workflow/rules").glob("*.smk"):
        for shell in re.findall(r"shell:\n((?:        .*\n)+)", path.read_text()):
            assert re.match(r"\s+recorded\(", shell), f"{path.name}: {shell}"
