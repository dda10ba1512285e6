"""Images on disk: how they are opened, and how they are written."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole

WIDTH = 224  # pixels; the paper resizes all images to this width (section 3)


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
    upright = ImageOps.exif_transpose(image)
    profile = upright.info.get("icc_profile")
    if upright.mode in DEEP:
        upright = _eight_bits(upright)
    return _in_srgb(upright, profile) if profile else upright.convert("RGBA")


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


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits, or floats up to 1, as 8 bits: Pillow itself would cut them off.

    Raises ValueError where values lie outside.
    """
    values = np.asarray(image, dtype=np.float64)
    most = 1 if image.mode == "F" else 2**16 - 1
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= most):
        raise ValueError(f"grey values of mode {image.mode} are not between 0 and {most}")
    return Image.fromarray(np.rint(values * 255 / most).astype(np.uint8))


def fault_of(path: Path) -> str | None:
    """What is wrong with a person's own image, in a few words; None where nothing is."""
    try:
        decoded(path)
    except FileNotFoundError:
        return "is missing"
    except FAULTS as error:
        return f"is corrupt ({error})"
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


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    with written_whole(path) as temporary:
        image.save(temporary, format="PNG")
