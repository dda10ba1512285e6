"""Images of every mode and kind that Pillow reads: upright, in 8 bits, transparent on white."""

from __future__ import annotations

import contextlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from taskvectors.base.errors import UserError
from taskvectors.base.images import (
    RESIZES,
    decoded,
    fault_of,
    from_array,
    kept,
    open_rgb,
    open_rgba,
    save_png,
)

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
@pytest.mark.parametrize(
    ("form", "mode"), [("png", "RGB"), ("tiff", "RGB"), ("tiff", "L"), ("webp", "RGB")]
)
def test_images_are_upright(tmp_path, orientation, form, mode):
    image = Image.new(mode, (4, 2), "white")
    image.putpixel((0, 0), 0 if mode == "L" else (0, 0, 0))
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


def profile_with_red_and_blue_exchanged() -> bytes:
    """Colours of a device whose red is sRGB's blue, and whose blue is its red."""
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for one, other in ((b"rXYZ", b"bXYZ"), (b"rTRC", b"bTRC")):
        whole = whole.replace(one, b"....").replace(other, one).replace(b"....", other)
    return whole


@pytest.mark.parametrize("form", ["png", "tiff", "webp", "jpeg"])
def test_colours_of_another_profile_are_shown_as_they_look(tmp_path, form):
    path = tmp_path / f"other.{form}"
    how = {"lossless": True} if form == "webp" else {"quality": 100} if form == "jpeg" else {}
    image = Image.new("RGB", (16, 16), (250, 60, 10))
    image.save(path, icc_profile=profile_with_red_and_blue_exchanged(), **how)
    shown = open_rgb(path)
    off = [abs(a - b) for a, b in zip(shown.getpixel((3, 3)), (10, 60, 250), strict=True)]
    assert max(off) <= 3
    # What is written no longer says that its colours are others.
    save_png(open_rgba(path), tmp_path / "again.png")
    assert open_rgb(tmp_path / "again.png").getpixel((3, 3)) == shown.getpixel((3, 3))
    image.quantize(4).save(tmp_path / "few.png", icc_profile=profile_with_red_and_blue_exchanged())
    assert open_rgb(tmp_path / "few.png").getpixel((3, 3)) == (10, 60, 250)


@pytest.mark.parametrize("mode", ["RGBA", "L", "1", "LA"])
def test_a_profile_leaves_grey_and_what_is_transparent_as_they_are(tmp_path, mode):
    path = tmp_path / "grey.png"
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 255)).convert(mode)
    image.putpixel((1, 0), 0 if mode not in ("RGBA", "LA") else (0,) * len(mode))
    image.save(path, icc_profile=profile_with_red_and_blue_exchanged())
    shown = open_rgba(path)
    assert shown.getpixel((0, 0)) == (255, 255, 255, 255)
    assert shown.getpixel((1, 0))[3] == (0 if "A" in mode else 255)
    assert sum(shown.getpixel((1, 0))[:3]) <= 3


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    path = tmp_path / "same.png"
    values = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(values).save(path, icc_profile=srgb)
    assert np.abs(np.asarray(open_rgb(path)).astype(int) - values).max() <= 1


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200])
def test_a_profile_that_says_nothing_is_refused(tmp_path, profile):
    path = tmp_path / "odd.png"
    Image.new("RGB", (2, 2)).save(path, icc_profile=profile)
    with pytest.raises(UserError, match=r"odd\.png is corrupt \("):
        open_rgb(path)


FORMS = ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what it passes over
@given(st.sampled_from(FORMS), st.randoms(use_true_random=False))
def test_no_broken_bytes_end_in_a_traceback(form, random):
    whole = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, form)
    broken = bytearray(whole.getvalue())
    for _ in range(random.choice([1, 2, 5])):
        broken[random.randrange(len(broken))] = random.randrange(256)
    if random.random() < 0.4:
        broken = broken[: random.randrange(len(broken))]
    with contextlib.suppress(UserError):
        assert open_rgba(bytes(broken), "broken").mode == "RGBA"


def test_a_broken_avif_is_named(tmp_path):
    path = tmp_path / "broken.avif"
    Image.effect_noise((16, 16), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes().replace(b"pitm", b"pit?"))
    with pytest.raises(UserError, match=r"broken\.avif is corrupt"):
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


def test_the_released_code_drops_transparency_rounds_down_and_is_bicubic():
    """As its ``image.convert("RGB")`` and ``resize((224, int((224 / width) * height)))`` do."""
    noise = np.random.default_rng(0).integers(0, 256, (101, 150, 4), dtype=np.uint8)
    noise[..., 3] = 0  # transparent, over colours that nobody was meant to see
    image = Image.fromarray(noise)
    found = RESIZES["released"](image)
    assert (found.mode, found.size) == ("RGB", (224, 150))  # 150.83
    assert RESIZES["lanczos"](image).size == (224, 151)
    by_hand = Image.fromarray(noise[..., :3]).resize((224, 150))  # Pillow's default
    assert np.array_equal(np.asarray(found), np.asarray(by_hand))


def colours(mode: str) -> Image.Image:
    """Noise of a mode, some of it transparent where the mode can be."""
    random = np.random.default_rng(3)
    if mode in ("I;16", "I", "F"):
        deep = random.integers(0, 2**16, (6, 5))
        return image_of(deep / (2**16 - 1) if mode == "F" else deep, mode)
    image = Image.fromarray(random.integers(0, 256, (6, 5, 4), dtype=np.uint8))
    if mode == "P":
        few = image.convert("RGB").quantize(8)
        few.info["transparency"] = 3
        return few
    return image.convert("RGB").convert(mode) if mode == "CMYK" else image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *((mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "tiff") for mode in ("I", "F", "CMYK", "LAB", "YCbCr", "I;16")),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_opened_image_is_kept_as_its_file_is(tmp_path, mode, form, orientation):
    path, exif = tmp_path / f"one.{form}", Image.Exif()
    exif[0x0112] = orientation
    image = colours("RGB" if mode in ("LAB", "YCbCr") else mode)
    image = image.convert(mode) if mode == "YCbCr" else image
    image.save(path, exif=exif)
    by_path = kept(path, tmp_path / "kept", "it", "")
    with Image.open(path) as opened:
        assert kept(opened, tmp_path / "kept", "it", "") == by_path
    assert open_rgba(by_path).tobytes() == open_rgba(path).tobytes()
    assert open_rgba(by_path).size == ((5, 6) if orientation == 1 else (6, 5))
    assert by_path.name == path.name


def test_an_image_is_kept_under_its_pixels_and_a_short_name(tmp_path):
    first = kept(colours("L"), tmp_path, "it", "")
    assert first == kept(colours("L"), tmp_path, "it", "") and first.name == "image"
    assert first != kept(colours("RGB"), tmp_path, "it", "")
    turned = np.zeros((2, 6, 3), np.uint8)
    assert kept(turned, tmp_path, "it", "") != kept(turned.reshape(6, 2, 3), tmp_path, "it", "")
    long = tmp_path / f"{'é' * 100}.png"
    colours("L").save(long)
    assert kept(long, tmp_path, "it", "").name.endswith("éé.png")


RGB = np.random.default_rng(4).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREYS = RGB[:, :, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RGB, RGB),
        (RGB.transpose(2, 0, 1), RGB),
        (RGB / 255, RGB),
        ((RGB / 255).astype(np.float16), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(">i4"), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (RGB.astype(">u2") * 257, RGB),
        (GREYS, GREYS),
        (GREYS[:, :, None] / 255, GREYS),
        (GREYS[None].astype(np.float32) / 255, GREYS),
        (GREYS > 127, 255 * (GREYS > 127)),
        (GREYS[:, :, None] > 127, 255 * (GREYS > 127)),
        (np.zeros((6, 5), np.float32), 0 * GREYS),
        (np.asfortranarray(RGB)[::-1], RGB[::-1]),
    ],
)
def test_an_array_is_the_image_whose_values_it_has(values, expected):
    shown = np.asarray(from_array(values).convert("RGB")).astype(int)
    wanted = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, axis=2)
    assert np.array_equal(shown, wanted)


@pytest.mark.parametrize("alpha", [2, 4])
def test_an_arrays_last_channel_is_transparency(tmp_path, alpha):
    values = np.zeros((6, 5, alpha), np.uint8)
    path = kept(values, tmp_path, "it", "")
    assert open_rgb(path).getpixel((0, 0)) == (255, 255, 255)
    if alpha == 4:
        assert kept(values.transpose(2, 0, 1), tmp_path, "it", "") == path


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (RGB.astype(float), "float64 are not between 0 and 1"),
        (RGB / 255 - 0.5, "are not between 0 and 1"),
        (np.where(RGB > 250, np.nan, RGB / 255), "are not between"),
        (np.full((6, 5), np.inf), "are not between"),
        (RGB.astype(int) - 100, "int64 are not between 0 and 255"),
        (RGB.astype(np.int32) * 256, "int32 are not between 0 and 255"),
        (RGB.astype(np.uint16), "uint16 between 0 and 65535 are 25. at most: all black"),
        (RGB / 255 / 255, "all black"),
        (RGB.astype(complex), "complex128 are no brightness"),
        (RGB.astype(str), "no brightness"),
        (RGB.astype(object), "object are no brightness"),
        (RGB[None], "it has 4 axes"),
        (RGB[0, :, 0], "it has 1 axes"),
        (np.zeros((6, 5, 7), np.uint8), "no axis is of 1 to 4 channels"),
        (np.zeros((2, 6, 5), np.uint8), "no axis is of 1 to 4 channels"),
        (np.zeros((3, 5, 3), np.uint8), "may be the first axis or the last"),
        (np.zeros((1, 1, 3), np.uint8), "may be the first axis or the last"),
        (np.zeros((0, 5, 3), np.uint8), "it is empty"),
    ],
)
def test_an_array_that_is_no_image_or_two_is_refused(tmp_path, values, complaint):
    with pytest.raises(UserError, match=f"this is no image .*{complaint}.*; give another"):
        kept(values, tmp_path, "this", "give another")
    assert not any(tmp_path.iterdir())


@given(
    st.sampled_from([np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.float16, np.float64]),
    st.lists(st.integers(0, 4), max_size=4),
    st.randoms(use_true_random=False),
)
def test_no_array_ends_in_a_traceback(dtype, shape, random):
    high = random.choice([1, 255, 70_000])
    values = np.array([random.uniform(-1, high) for _ in range(int(np.prod(shape)))])
    with contextlib.suppress(ValueError):
        assert from_array(values.astype(dtype).reshape(shape)).size


@pytest.mark.parametrize("side", [55, 71, 110, 220])
def test_the_released_code_makes_some_squares_a_pixel_less_high(side):
    assert RESIZES["released"](Image.new("RGB", (side, side))).size == (224, 223)
    assert RESIZES["lanczos"](Image.new("RGB", (side, side))).size == (224, 224)


@given(st.integers(1, 900), st.integers(1, 900))
def test_the_released_codes_height_is_its_formula_in_floats(width, height):
    assume(height <= 20 * width)
    found = RESIZES["released"](Image.new("L", (width, height)))
    assert found.size == (224, max(1, int((224 / width) * height)))
