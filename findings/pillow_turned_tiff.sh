#!/usr/bin/env bash
# Pillow 13.0.0 maps an uncompressed TIFF that it opens by its path into memory. If the file says by
# its orientation that it lies on its side (5 to 8), the map is laid out by the turned size: grey,
# 16-bit, RGBA and CMYK pictures that are not square come out scrambled, without an error. From an
# open file, or as PNG, the same picture is right. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
import PIL
from PIL import Image, ImageOps

print("Pillow", PIL.__version__)
values = np.arange(30, dtype=np.uint8).reshape(6, 5)
wrong = []
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for form in ("png", "tiff"):
        Image.fromarray(values).save(f"one.{form}", exif=exif)
    right = np.asarray(ImageOps.exif_transpose(Image.open("one.png")))
    by_path = np.asarray(ImageOps.exif_transpose(Image.open("one.tiff")))
    with open("one.tiff", "rb") as file:
        by_file = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    same = [np.array_equal(one, right) for one in (by_path, by_file)]
    print(f"orientation {orientation}: by path {same[0]}, by open file {same[1]}")
    assert same[1]
    wrong += [] if same[0] else [orientation]
assert wrong == [5, 6, 7, 8], wrong
PY
