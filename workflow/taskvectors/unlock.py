"""``python -m taskvectors.unlock``: remove the lock that a killed run left in this folder.

Snakemake locks the folder that it works in, and a process that is killed at once (kill -9, a
power cut) leaves the lock behind. It stays where a Snakemake process of this machine works here.
"""

import logging
import subprocess
import sys
from pathlib import Path

import psutil

from taskvectors.base.command import run_command
from taskvectors.base.errors import UserError
from taskvectors.base.progress import start_logging

log = logging.getLogger("taskvectors")
LOCKS = Path(".snakemake/locks")


def snakemake_here() -> list[int]:
    """Ids of the Snakemake processes whose working folder is this one, or cannot be told."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name == "snakemake" for word in words):
            continue
        if process.info["cwd"] in (None, str(Path.cwd())):
            found.append(process.info["pid"])
    return found


def main() -> None:
    start_logging(None)
    if not LOCKS.is_dir() or not any(LOCKS.iterdir()):
        return
    if running := snakemake_here():
        raise UserError(
            f"Snakemake (process {running[0]}) works in this folder already; wait until it is done."
        )
    log.info("a killed run left its lock here; it is removed")
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock", "--quiet"], check=True)


if __name__ == "__main__":
    run_command(main)
