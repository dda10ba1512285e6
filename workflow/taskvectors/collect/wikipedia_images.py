"""From a file's address to an image: fetched once, checked as hostile, resized to 224."""

import hashlib
import warnings
from datetime import UTC, datetime
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from taskvectors.base.images import resize_to_width
from taskvectors.collect.wikipedia_cache import Cache, Download, WikiFile
from taskvectors.collect.wikipedia_client import Client, RefusedError, Reply

PIXELS = 4_000_000  # a thumbnail 330 pixels wide and 12,000 high
TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF"}


def fetch(client: Client, cache: Cache, file: WikiFile, again: bool = False) -> Download:
    """The file's thumbnail in the cache, fetched if it is not there.

    Bytes that are refused are remembered as such, and fetched another time only where
    ``again`` is set. Raises `RefusedError` where there are none.
    """
    kept = cache.read(Download, file.url, file.sha1)
    if kept is not None and kept.refused and not again:
        return kept
    if kept is not None and cache.bytes_path(file.url, file.sha1).is_file():
        return kept
    reply = client.image(file.url)
    digest = hashlib.sha256(reply.body).hexdigest()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        _check(reply, file)
        cache.write_bytes(file.url, file.sha1, reply.body)
        download = Download(file.url, file.sha1, now, sha256=digest)
    except RefusedError as error:
        download = Download(file.url, file.sha1, now, sha256=digest, refused=str(error))
    # The record is written after the bytes: a record without bytes cannot be.
    cache.write(download, file.url, file.sha1)
    return download


def _check(reply: Reply, file: WikiFile) -> None:
    """Raise `RefusedError` unless the bytes are one still image of the declared type."""
    declared = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared not in TYPES:
        raise RefusedError(f"the answer is {declared or 'of no type'}, not an image")
    if file.url == file.original_url and hashlib.sha1(reply.body).hexdigest() != file.sha1:
        raise RefusedError("the bytes do not have the SHA-1 that the API states")
    decode(reply.body, TYPES[declared])


def decode(body: bytes, declared: str | None = None) -> Image.Image:
    """The bytes as an RGBA image 224 pixels wide. Raises `RefusedError` saying what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(body), formats=tuple(TYPES.values())) as image:
                if declared is not None and image.format != declared:
                    raise RefusedError(f"the bytes are {image.format}, declared was {declared}")
                if image.width * image.height > PIXELS:
                    raise RefusedError(f"{image.width} x {image.height} pixels are too many")
                if getattr(image, "n_frames", 1) > 1:
                    raise RefusedError("the image is animated")
                return resize_to_width(image.convert("RGBA"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedError("the image unpacks to too many pixels") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise RefusedError(f"the bytes are no whole image ({error})") from error
