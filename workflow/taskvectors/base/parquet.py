"""Parquet files whose columns are a dataclass's fields, refused where they differ."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole

TYPES = {str: pa.string(), int: pa.int32(), float: pa.float32(), bool: pa.bool_()}


def schema_of(kind: type) -> pa.Schema:
    """The schema of a dataclass of texts, numbers and booleans; ``int | None`` may be null."""
    hints = get_type_hints(kind)
    columns = []
    for field in fields(kind):
        options = get_args(hints[field.name]) or (hints[field.name],)
        (stated,) = (option for option in options if option is not type(None))
        columns.append(pa.field(field.name, TYPES[stated], nullable=type(None) in options))
    return pa.schema(columns)


def write_rows(path: Path, kind: type, rows: Sequence[Any]) -> None:
    """Write rows, each a ``kind``, whole or not at all."""
    schema = schema_of(kind)
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    with written_whole(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


def read_rows(paths: Sequence[Path], kind: type) -> pd.DataFrame:
    """Read and join files of rows. Raises `UserError` naming one that has other columns."""
    schema, tables = schema_of(kind), []
    for path in paths:
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path} cannot be read as Parquet ({reason}); delete it and run again."
            ) from error
        if table.schema.names != schema.names:
            raise UserError(f"{path} has other columns than a {kind.__name__}; make it again.")
        tables.append(table)
    return pa.concat_tables(tables).to_pandas()
