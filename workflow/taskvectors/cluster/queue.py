"""What Slurm's own commands say."""

import subprocess
from collections.abc import Iterable
from typing import NamedTuple

SECONDS_TO_ANSWER = 60
FAILED = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
# Slurm may put these back into the queue, as it does with a job whose node fails.
FAILED_UNLESS_REQUEUED = {"NODE_FAIL", "PREEMPTED"}
ENDED = {"COMPLETED", *FAILED, *FAILED_UNLESS_REQUEUED}


class NoAnswerError(Exception):
    """A command of Slurm failed; the message is what it said."""


class State(NamedTuple):
    """A job's state, and Slurm's reason for it where it waits."""

    name: str
    reason: str = "None"

    def __str__(self) -> str:
        known = self.reason not in {"None", "Unknown"}
        return f"{self.name} ({self.reason})" if known else self.name


def ask(*command: str) -> str:
    """What a command of Slurm prints. Raises `NoAnswerError`."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS_TO_ANSWER
        )
    except FileNotFoundError:
        raise NoAnswerError(f"{command[0]}: not found on this host") from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"{command[0]}: no answer in {SECONDS_TO_ANSWER} s") from None
    if done.returncode != 0:
        raise NoAnswerError(" ".join(done.stderr.split()) or f"{command[0]} failed")
    return done.stdout


def jobs_named(names: Iterable[str]) -> dict[str, State]:
    """The controller's jobs of these names by their ids, ended ones until it forgets them."""
    form = ("--format=%i|%T|%r", "--noheader", "--array", "--states=all")
    lines = ask("squeue", *form, f"--name={','.join(names)}").splitlines()
    rows = [line.split("|", 2) for line in lines if line]
    return {job.strip(): State(state.strip(), reason.strip()) for job, state, reason in rows}


def accounted(job: str) -> State | None:
    """How a job that the controller forgot ended, in a cluster with accounting."""
    said = ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "State").split()
    return State(said[0]) if said and said[0] in ENDED else None  # "CANCELLED by 1000"


def settings() -> dict[str, str]:
    """The cluster's configuration by its keys."""
    lines = [line.split("=", 1) for line in ask("scontrol", "show", "config").splitlines()]
    return {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}


def has_accounting(configured: dict[str, str]) -> bool:
    """Whether the cluster keeps what became of its jobs (slurmdbd)."""
    return configured.get("AccountingStorageType", "").endswith("slurmdbd")
