#!/usr/bin/env bash
# The imagefolder of Hugging Face's datasets takes `val` or `test` in the names of images for a
# split, and then leaves metadata.csv beside them out, in silence: images named as COCO names them
# (COCO_val2014_000000000042.jpg) lose their labels. Under other names they keep them.
# Seen with datasets 5.2.0, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0
cd "$folder"
cat > shown.py <<'PYTHON'
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()
EXPECTED = {
    "COCO_val2014_000000000042.jpg": {"validation": ["image"]},
    "000000000042.jpg": {"train": ["image", "label"]},
}

print("datasets", datasets.__version__)
for number, (name, expected) in enumerate(EXPECTED.items()):
    folder = Path(f"photographs-{number}")
    folder.mkdir()
    Image.new("RGB", (4, 3)).save(folder / name)
    (folder / "metadata.csv").write_text(f"file_name,label\n{name},pizza\n")
    read = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir="cache")
    found = {split: rows.column_names for split, rows in read.items()}
    print(f"{name}: {found}")
    assert found == expected, f"another behaviour than was seen: {expected}"
PYTHON
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" shown.py
