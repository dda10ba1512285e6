"""Images of every mode and kind that Pillow reads: upright, in 8 bits, transparent on white."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.images import decoded, fault_of, open_rgb, open_rgba

GREY = (120, 120, 120)


def image_of(values: np.ndarray, mode: str) -> Image.Image:
    return Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))


@pytest.mark.parametrize(
    ("mode", "form", "value", "grey"),
    [
        ("I;16", "png", 20_000, 78),
        ("I;16", "tiff", 65_535, 255),
        ("I;16", "png", 0, 0),
        ("I", "tiff", 20_000, 78),
        ("F", "tiff", 0.5, 128),
        ("F", "tiff", 1.0, 255),
    ],
)
def test_deep_greys_are_scaled_and_not_cut_off(tmp_path, mode, form, value, grey):
    path = tmp_path / f"deep.{form}"
    image_of(np.full((2, 3), value), mode).save(path)
    assert open_rgb(path).getpixel((1, 1)) == (grey, grey, grey)


@pytest.mark.parametrize(("mode", "value"), [("I", 70_000), ("I", -1), ("F", 7.5), ("F", np.nan)])
def test_values_that_no_rule_scales_are_refused(tmp_path, mode, value):
    path = tmp_path / "deep.tiff"
    image_of(np.full((2, 3), value), mode).save(path)
    with pytest.raises(UserError, match=rf"deep\.tiff is corrupt \(grey values of mode {mode}"):
        open_rgb(path)


# Where the top left corner of the picture is shown, by EXIF orientation.
TURNED = {1: (0, 0), 2: (3, 0), 3: (3, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 3), 8: (0, 3)}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["png", "tiff", "webp"])
def test_images_are_upright(tmp_path, orientation, form):
    image = Image.new("RGB", (4, 2), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{form}"
    image.save(path, exif=exif, **({"lossless": True} if form == "webp" else {}))
    shown = open_rgb(path)
    assert shown.size == ((4, 2) if orientation < 5 else (2, 4))
    assert shown.getpixel(TURNED[orientation]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("mode", "form", "colour", "shown"),
    [
        ("1", "png", 1, (255, 255, 255)),
        ("L", "bmp", 120, GREY),
        ("LA", "png", (0, 0), (255, 255, 255)),
        ("P", "gif", 0, (0, 0, 0)),
        ("RGB", "png", (1, 2, 3), (1, 2, 3)),
        ("RGBA", "webp", (9, 9, 9, 0), (255, 255, 255)),
        ("CMYK", "jpeg", (0, 0, 0, 255), (0, 0, 0)),
        ("CMYK", "tiff", (0, 0, 0, 0), (255, 255, 255)),
    ],
)
def test_every_mode_is_shown_on_white(tmp_path, mode, form, colour, shown):
    path = tmp_path / f"one.{form}"
    Image.new(mode, (3, 2), colour).save(path)
    found = open_rgb(path).getpixel((1, 1))
    assert max(abs(a - b) for a, b in zip(found, shown, strict=True)) <= 1


@pytest.mark.parametrize("size", [(1, 1), (30_000, 10), (10, 30_000)])
def test_any_shape_is_read(tmp_path, size):
    path = tmp_path / "long.png"
    Image.new("L", size).save(path)
    assert open_rgba(path).size == size


@given(st.integers(0, 200))
def test_what_was_cut_off_is_named_and_never_shown(length):
    whole = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, format="PNG")
    with pytest.raises(UserError, match=r"the image cut is corrupt \(.*\)"):
        open_rgba(whole.getvalue()[:length], "cut")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("1", (400, 400)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match=r"bomb\.png is corrupt"):
        open_rgb(path)


def test_a_persons_own_image_is_never_said_to_be_collected(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("L", (2, 2)).save(good)
    bad.write_bytes(b"no image")
    assert fault_of(good) is None
    assert fault_of(tmp_path / "none.png") == "is missing"
    said = fault_of(bad)
    assert said is not None and said.startswith("is corrupt (") and "collect" not in said
    assert decoded(good).mode == "RGBA"
