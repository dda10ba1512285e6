"""Images: how they are opened, from files and from memory, and how they are written."""

import hashlib
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole

WIDTH = 224  # pixels; the paper resizes all images to this width (section 3)
LONGEST_NAME = 40  # characters, of which none is longer in a file's name than four bytes


# What Pillow raises of a file that it cannot decode, or will not, being a bomb. The RuntimeError is
# its AVIF decoder's.
FAULTS = (
    *(UnidentifiedImageError, OSError, SyntaxError, ValueError, RuntimeError),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
# The mode of an image whose colours a profile of this colour space describes.
OF_PROFILE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def open_rgba(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Decode an image fully as RGBA. Raises `UserError` naming it where it is corrupt."""
    name = name or str(source)
    try:
        return decoded(source)
    except FileNotFoundError as error:
        raise UserError(f"the image {name} is missing; collect it again.") from error
    except FAULTS as error:
        raise UserError(
            f"the image {name} is corrupt ({error}); delete it and collect it again."
        ) from error


def decoded(source: Path | bytes) -> Image.Image:
    """An image as RGBA, as `as_seen` has it. Raises one of `FAULTS` where it cannot be decoded."""
    with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
        return as_seen(image)


def as_seen(image: Image.Image) -> Image.Image:
    """An open image as RGBA, upright as its EXIF data says, its values scaled to 8 bits and its
    colours those of sRGB, where it says of which others they are.

    Raises one of `FAULTS` where it cannot be decoded.
    """
    if not (image.width and image.height):
        raise ValueError("it has no pixels")
    _load(image)
    upright = ImageOps.exif_transpose(image)
    profile = upright.info.get("icc_profile")
    if upright.mode in DEEP:
        most = 1 if upright.mode == "F" else 2**16 - 1
        grey = _eight_bits(np.asarray(upright), most, f"grey values of mode {upright.mode}")
        upright = Image.fromarray(grey)
    return _in_srgb(upright, profile) if profile else upright.convert("RGBA")


def _load(image: Image.Image) -> None:
    """Have an image's values, which are read when they are first asked for.

    Without its name, since Pillow 13 maps a file that it knows by name into memory, and scrambles a
    TIFF of those that lies on its side. Raises ValueError where the file was closed before.
    """
    if not (isinstance(image, ImageFile) and image.tile):
        return
    if image.fp is None:
        raise ValueError("its file was closed before it was read")
    name, image.filename = image.filename, ""
    try:
        image.load()
    finally:
        image.filename = name


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The image as RGBA in sRGB, which no longer carries its ``profile``.

    Raises ValueError where the profile is of no kind that an image here has.
    """
    own = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = own.profile.xcolor_space
    if space not in OF_PROFILE or (space == "CMYK") != (image.mode == "CMYK"):
        raise ValueError(f"a colour profile of {space.strip()} in an image of mode {image.mode}")
    colours = image.convert(OF_PROFILE[space])
    srgb = ImageCms.createProfile("sRGB")
    seen = ImageCms.profileToProfile(colours, own, srgb, outputMode="RGB")
    assert seen is not None  # as it is where the image is changed in place
    seen.putalpha(image.convert("RGBA").getchannel("A"))
    del seen.info["icc_profile"]
    return seen


def _eight_bits(values: np.ndarray, most: int, what: str) -> np.ndarray:
    """Values from 0 to ``most`` as 8 bits: Pillow itself would cut them off.

    Raises ValueError where values lie outside, or so low that all would be black, as those of 8
    bits do that were stored in 16.
    """
    wide = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(wide).all() and wide.min() >= 0 and wide.max() <= most):
        raise ValueError(f"{what} are not between 0 and {most}")
    eight = np.rint(wide * 255 / most).astype(np.uint8)
    if most != 255 and eight.max() <= 1 and wide.any():
        raise ValueError(f"{what} between 0 and {most} are {wide.max():g} at most: all black")
    return eight


def from_array(values: np.ndarray) -> Image.Image:
    """An array as an image: (height, width), (height, width, channels) or (channels, height,
    width), of 1 to 4 channels (grey, grey and alpha, RGB, RGBA); its values are bool, integers up
    to 255, uint16, or floats up to 1.

    Raises ValueError where it is another array, or one that could be two images.
    """
    if not values.size:
        raise ValueError("it is empty")
    kind, what = values.dtype.kind, f"values of type {values.dtype}"
    if kind not in "buif":
        raise ValueError(f"{what} are no brightness")
    most = 2**16 - 1 if values.dtype == np.uint16 else 1 if kind in "bf" else 255
    eight = _channels_last(_eight_bits(values, most, what))
    return Image.fromarray(eight[:, :, 0] if eight.shape[2] == 1 else eight)


def _channels_last(values: np.ndarray) -> np.ndarray:
    """An image's values (height, width, channels), however they are laid out."""
    if values.ndim == 2:
        return values[:, :, np.newaxis]
    if values.ndim != 3:
        raise ValueError(f"it has {values.ndim} axes, not 2 or 3")
    last, first = values.shape[2] in (1, 2, 3, 4), values.shape[0] in (1, 3)
    if last and first:
        raise ValueError("its channels may be the first axis or the last")
    if not last and values.shape[0] not in (1, 3, 4):
        raise ValueError("no axis is of 1 to 4 channels")
    return np.ascontiguousarray(values if last else np.moveaxis(values, 0, 2))


def kept(shown: Path | Image.Image | np.ndarray, folder: Path, what: str, remedy: str) -> Path:
    """An image as it is seen, in a file of its own below ``folder`` that is known by its pixels:
    what becomes of the original changes nothing. The file bears the original's name, where it has
    one.

    Raises `UserError` of ``what`` and with the ``remedy`` where it is missing, corrupt or no image.
    """
    name = shown if isinstance(shown, Path) else getattr(shown, "filename", "")
    try:
        image = _seen(shown)
    except FAULTS as error:
        fault = f"is no image ({error})" if isinstance(shown, np.ndarray) else _fault(error)
        raise UserError(f"{what} {fault}; {remedy}.") from error
    digest = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
    path = folder / digest / (Path(os.fsdecode(name)).name[-LONGEST_NAME:] or "image")
    if not path.exists():
        save_png(image, path, compress_level=1)
    return path


def _seen(shown: Path | Image.Image | np.ndarray) -> Image.Image:
    if isinstance(shown, Path):
        return decoded(shown)
    return as_seen(from_array(shown) if isinstance(shown, np.ndarray) else shown)


def _fault(error: Exception) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"is corrupt ({error})"


def fault_of(path: Path) -> str | None:
    """What is wrong with a person's own image, in a few words; None where nothing is."""
    try:
        decoded(path)
    except FAULTS as error:
        return _fault(error)
    return None


def open_rgb(path: Path) -> Image.Image:
    """Decode an image as RGB; what is transparent becomes white."""
    image = open_rgba(path)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def resize_to_width(image: Image.Image) -> Image.Image:
    """Resize to 224 pixels wide, the height in proportion."""
    height = max(1, round(image.height * WIDTH / image.width))
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def resize_as_released(image: Image.Image) -> Image.Image:
    """The same as the paper's released code: bicubic, the height rounded down after its own order
    of multiplying floats (a square of 55 pixels is 223 high), and transparency dropped before, so
    that whatever colour lies below it is seen."""
    opaque = image.convert("RGB")
    height = max(1, int((WIDTH / opaque.width) * opaque.height))
    return opaque.resize((WIDTH, height), Image.Resampling.BICUBIC)


#: What an image becomes before it is kept.
Resize = Callable[[Image.Image], Image.Image]
RESIZES: dict[str, Resize] = {"lanczos": resize_to_width, "released": resize_as_released}


def save_png(image: Image.Image, path: Path, **options: int) -> None:
    """Write a PNG whole or not at all; ``options`` are Pillow's."""
    with written_whole(path) as temporary:
        image.save(temporary, format="PNG", **options)
