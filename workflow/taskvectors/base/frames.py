"""Data frames as CSV files: whole or not at all, and read as they were written."""

from pathlib import Path

import pandas as pd

from taskvectors.base.files import write_text


def write_frame(path: Path, table: pd.DataFrame) -> None:
    """Write a table, without its index, in full precision."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_frame(path: Path) -> pd.DataFrame:
    """Read what `write_frame` wrote: every digit; "NA" is text, only an empty cell is missing."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_by_task(files: list[Path], tasks: list[str]) -> pd.DataFrame:
    """One frame of the frames of all tasks, one file each, with the column ``task``.

    Raises:
        ValueError: there are not as many files as tasks.
    """
    frames = zip(files, tasks, strict=True)
    return pd.concat([read_frame(path).assign(task=task) for path, task in frames])
