"""The shell command of a rule: a command of this package, run so that its outputs get records.

Rules name what goes into an option, ``activations="input"`` or ``dtype="params.dtype"``; every
value reaches the shell quoted. What Snakemake prints can be pasted into a terminal.
"""

VALUES = ("input", "output", "params", "wildcards", "log", "threads")


def recorded(rule: str, module: str, *params: str, **options: str) -> str:
    """A shell command for ``python -m taskvectors.<module>`` that keeps a record of each output.

    ``options`` map an option to the job's value, e.g. ``input.model``, or to a word; one that
    begins with an underscore is further words, options themselves, which the record has in its
    command alone. ``params`` are params that the command is not given but the record has. Rules
    made by `use rule` keep the name ``rule`` in their records.
    """
    words = [f"python -m taskvectors.{module}"]
    for option, value in options.items():
        flag = "" if option.startswith("_") else f"--{option.replace('_', '-')} "
        words.append(flag + quoted(value))
    named = [value for option, value in options.items() if not option.startswith("_")]
    given = [v.removeprefix("params.") for v in named if v.startswith("params.")]
    record = [f"--param {name} {{params.{name}:q}}" for name in dict.fromkeys([*given, *params])]
    return " ".join(
        [
            f"python -m taskvectors.record --rule {rule} --wildcards {{wildcards}}",
            "--code {params.code}",
            *record,
            "--inputs {input:q} --outputs {output:q} --",
            *words,
            "--log {log:q}",
        ]
    )


def quoted(value: str) -> str:
    """A job's value as Snakemake writes it into the command, quoted; any other word as it is."""
    return f"{{{value}:q}}" if value.split(".")[0] in VALUES else value
