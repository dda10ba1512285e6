"""Parquet files of one schema, written whole and refused where they are not as it says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole


def write_rows(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all."""
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_rows(path: Path, schema: pa.Schema, owner: str) -> pa.Table:
    """Read one file. Raises `UserError` naming it where its columns are not the schema's;
    ``owner`` says whose they are, e.g. ``predictions have``."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet ({error}); delete it and run again."
        ) from error
    if table.schema.names != schema.names:
        raise UserError(f"{path} has other columns than {owner}; make it again.")
    return table
