"""Images on disk: how they are opened, and how they are written."""

from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole

WIDTH = 224  # pixels; the paper resizes all images to this width (section 3)


def open_rgba(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Decode an image fully as RGBA. Raises `UserError` naming it where it is corrupt."""
    name = name or str(source)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.convert("RGBA")
    except FileNotFoundError as error:
        raise UserError(f"the image {name} is missing; collect it again.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"the image {name} is corrupt ({error}); delete it and collect it again."
        ) from error


def open_rgb(path: Path) -> Image.Image:
    """Decode an image as RGB; what is transparent becomes white."""
    image = open_rgba(path)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def resize_to_width(image: Image.Image) -> Image.Image:
    """Resize to 224 pixels wide, the height in proportion."""
    height = max(1, round(image.height * WIDTH / image.width))
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    with written_whole(path) as temporary:
        image.save(temporary, format="PNG")
