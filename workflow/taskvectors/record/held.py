"""What Snakemake plans, with every output held to its own record.

Snakemake plans by metadata of its own, which it writes once it saw a job end. Where it was killed
before that, it has none, and believes what is there; or has those of an earlier run, and believes
them. A record is written by the job itself, so it is the record that is held against what the job
would be today: its rule, command, params, code and inputs. What does not fit, or has no record, is
made again.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from snakemake import utils
from snakemake.exceptions import WorkflowError
from snakemake.jobs import Job
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange, PersistenceBase

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.record.__main__ import WRAPPER, parsed, stated
from taskvectors.record.provenance import (
    NewerSchemaError,
    inside,
    pinned,
    read_record,
    record_path,
)

snakemakes_own, snakemake_knows = PersistenceBase.params_changed, PersistenceBase.has_metadata


def hold_to_records() -> None:
    """Let this process's Snakemake ask the records, where it would ask its metadata for params."""
    PersistenceBase.has_metadata = lambda self, job: is_recorded(job) or snakemake_knows(self, job)
    PersistenceBase.params_changed = params_changed


def is_recorded(job: Job) -> bool:
    """Whether the job's command is one that writes records; a rule that a person adds may not."""
    return str(job.rule.shellcmd).startswith(" ".join(WRAPPER))


def params_changed(self: PersistenceBase, job: Job, file: Any = None) -> bool | ParamsChange:
    """What Snakemake shows as changed params: where a record and today's job differ.

    Of a result that `--cache` linked no job ran here: Snakemake's own metadata are asked.
    """
    if not is_recorded(job):
        return snakemakes_own(self, job, file)
    command = parsed(shell_of(job))
    now = stated(command)
    if not pinned(now["params"]) and any(map(is_linked, job.output)):
        if any(self.metadata(output) is None for output in job.output):
            return ParamsChange({"no metadata"}, set(), set(job.output))
        return snakemakes_own(self, job, file)
    options = getattr(job.params, "options", None)
    if options is not None and options not in job.non_derived_params:
        del now["command"]  # it has words that make no result stale
    if pinned(now["params"]):
        del now["code"]
    now["inputs"] = [inside(path) for path in dict.fromkeys(command.inputs)]
    held = [path for path in dict.fromkeys(job.input) if not path.is_ancient]
    changes = NO_PARAMS_CHANGE
    for output in job.output if file is None else [file]:
        if was := unfit(record_path(inside(output)), now, held):
            changes |= ParamsChange(set(was), set(), {output})
    return changes


def shell_of(job: Job) -> str:
    """The job's shell command. (Snakemake's own property wants the job to have a number.)"""
    return utils.format(
        job.rule.shellcmd,
        input=job.input,
        output=job.output,
        params=job.params,
        wildcards=job.wildcards,
        log=job.log,
    )


def is_linked(output: str) -> bool:
    """Whether an output is a link, or a folder of links."""
    path = Path(output)
    return path.is_symlink() or (path.is_dir() and any(one.is_symlink() for one in path.iterdir()))


def unfit(path: Path, now: dict[str, Any], inputs: list[str]) -> list[str]:
    """What of a record differs from the job as it is ``now``, in words; with ``inputs`` whose bytes
    count."""
    if not path.is_file():
        return ["no record"]
    try:
        record = read_record(path)
    except NewerSchemaError as error:
        raise WorkflowError(str(error)) from None
    except UserError:
        return ["a damaged record"]
    was = {**record, "inputs": [given["path"] for given in record["inputs"]]}
    changed = [
        f"{name} {was['params'].get(name)!r}"
        for name in now["params"] | was["params"]
        if now["params"].get(name) != was["params"].get(name)
    ]
    changed += [f"another {key}" for key in now if key != "params" and now[key] != was[key]]
    if changed:
        return changed
    used = {given["path"]: given for given in record["inputs"]}
    started = datetime.fromisoformat(record["started"]).timestamp()
    return [
        f"another {place}" for place in inputs if is_another(place, used[inside(place)], started)
    ]


def is_another(place: str, used: dict[str, Any], started: float) -> bool:
    """Whether an input has other bytes than those that a job used which ``started`` then.

    A result is what its record says. Another file is read only if it was changed since.
    """
    path = inside(place)
    if path.startswith("results/"):
        kept = record_path(path)
        try:
            return kept.is_file() and read_record(kept)["output"]["sha256"] != used["sha256"]
        except UserError:  # it is made again, and its users with it
            return False
    found = Path(path)
    if not found.is_file():
        return False  # Snakemake says that it is missing
    stat = found.stat()
    return stat.st_size != used["size"] or (
        stat.st_mtime > started and sha256(found) != used["sha256"]
    )
