#!/usr/bin/env bash
# mlcroissant reads text fields of JSON lines and CSV as numbers where a whole column looks like
# numbers, although the description says sc:Text and JSON has quotes: "007" comes back as 7, "1e5"
# as 100000.0, "NaN" as nothing. The same column as Parquet comes back as it was.
# Seen with mlcroissant 1.1.1, pandas 3.1.1, pyarrow 26.0.1, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlcroissant==1.1.1 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
cat > shown.py <<'PYTHON'
import hashlib
import json
import logging
from importlib.metadata import version
from pathlib import Path

import mlcroissant as mlc
import pandas as pd

logging.disable(logging.WARNING)
TYPES = {
    "jsonl": "application/jsonlines",
    "csv": "text/csv",
    "parquet": "application/x-parquet",
}
WRITTEN = [["007", "08"], ["1e5", "2"], ["NaN", "NaN"]]
EXPECTED = {
    "jsonl": [[b"7", b"8"], [b"100000.0", b"2.0"], [None, None]],
    "csv": [[b"7", b"8"], [b"100000.0", b"2.0"], [None, None]],
    "parquet": [[text.encode() for text in texts] for texts in WRITTEN],
}


def read_back(kind: str, texts: list[str]) -> list:
    file = Path(f"rows.{kind}")
    frame = pd.DataFrame({"label": texts})
    if kind == "jsonl":
        file.write_text("".join(json.dumps({"label": text}) + "\n" for text in texts))
    elif kind == "csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file)
    source = mlc.Source(file_object="file", extract=mlc.Extract(column="label"))
    label = mlc.Field(id="rows/label", name="label", data_types=[mlc.DataType.TEXT], source=source)
    described = mlc.Metadata(
        name="rows",
        description="texts",
        license=["https://opensource.org/license/mit"],
        url="https://example.org",
        distribution=[
            mlc.FileObject(
                id="file",
                name="file",
                content_url=file.name,
                encoding_formats=[TYPES[kind]],
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            )
        ],
        record_sets=[mlc.RecordSet(id="rows", name="rows", fields=[label])],
    )
    Path("croissant.json").write_text(json.dumps(described.to_json()))
    return [row["rows/label"] for row in mlc.Dataset("croissant.json").records("rows")]


print("mlcroissant", version("mlcroissant"), "pandas", version("pandas"))
for kind, expected in EXPECTED.items():
    found = [read_back(kind, texts) for texts in WRITTEN]
    print(f"{kind}: {WRITTEN} read back as {found}")
    assert found == expected, f"another behaviour than was seen: {expected}"
PYTHON
"$folder/venv/bin/python" -W ignore shown.py
