"""How fast `audit verify` rehashes, as a ratio within one run.

Prints ``verify_vs_sha256sum: ratio``: the speed of verifying half a gigabyte of recorded output
over that of coreutils' ``sha256sum`` on the same files, both from the page cache.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES, SIZE, REPEATS = 8, 64 * 2**20, 3


def seconds(run: Callable[[], object]) -> float:
    """The median time of a call."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def recorded_folder(root: Path) -> Path:
    """A repository with one experiment whose only output is a folder of random bytes."""
    for name in ("config.yaml", "resources", "envs"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    output = root / "results/embedded/prepare/model"
    output.mkdir(parents=True)
    for number in range(FILES):
        (output / f"{number}.safetensors").write_bytes(os.urandom(SIZE))
    written = root / "results/embedded/run_config.yaml"
    shutil.copy(root / "config.yaml", written)
    command = [sys.executable, "-m", "taskvectors.record", "--rule", "none", "--code", "0"]
    made = ["--outputs", output.relative_to(root), "--", sys.executable, "-c", "pass"]
    subprocess.run([*command, *made], cwd=root, check=True)
    return output


def main() -> None:
    verify = [sys.executable, "-m", "taskvectors.audit", "verify", "results/embedded"]
    with tempfile.TemporaryDirectory() as scratch:
        output = recorded_folder(Path(scratch))
        plain = ["sha256sum", *sorted(map(str, output.iterdir()))]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": scratch}
        theirs = seconds(lambda: subprocess.run(plain, check=True, **quiet))
        ours = seconds(lambda: subprocess.run(verify, check=False, **quiet))
    print(f"verify_vs_sha256sum: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
