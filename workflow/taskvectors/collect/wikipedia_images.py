"""From a file's address to an image: fetched once, checked as hostile, resized to 224."""

import hashlib
import logging
import warnings
from datetime import UTC, datetime
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from taskvectors.base.errors import UserError
from taskvectors.base.images import FAULTS, Resize, as_seen, resize_to_width
from taskvectors.collect.wikipedia_cache import Cache, Download, WikiFile
from taskvectors.collect.wikipedia_client import Client, RefusedError, Reply, TransientError

log = logging.getLogger("taskvectors")
PIXELS = 4_000_000  # a thumbnail 330 pixels wide and 12,000 high
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")  # of the types below
IN_A_ROW = 5  # fetched files without an image, before the run stops
TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF"}


class CutOffError(TransientError):
    """The bytes begin as an image and are not whole."""


class Images:
    """Thumbnails, from the cache or else fetched, each file once for all entities that show it.

    With ``again`` those that were refused are fetched another time.
    """

    def __init__(self, client: Client, cache: Cache, again: bool = False) -> None:
        self.client = client
        self.cache = cache
        self.again = again
        self._failed: dict[str, RefusedError] = {}
        self._in_a_row = 0

    def get(self, file: WikiFile) -> tuple[Download, bytes]:
        """The file's thumbnail and its bytes, which are those that were fetched, or fetched now.

        Raises `RefusedError` where there is none, `TransientError` where there is none now, and
        `UserError` after the fifth fetched file in a row without an image, whatever the reason.
        """
        if file.url in self._failed:
            raise self._failed[file.url]
        kept = self._kept(file)
        if kept is not None:
            return kept
        try:
            fetched = self._fetch(file)
        except RefusedError as error:
            self._failed[file.url] = error
            self._in_a_row += 1
            if self._in_a_row == IN_A_ROW:
                raise UserError(
                    f"the servers gave no image for {IN_A_ROW} images in a row, the last "
                    f"{file.name!r} ({error}); run the same command again later, what was fetched "
                    "is kept."
                ) from error
            raise
        self._in_a_row = 0
        return fetched

    def _kept(self, file: WikiFile) -> tuple[Download, bytes] | None:
        """What the cache has, held to the hash of what was fetched; None where it is not that."""
        download = self.cache.read(Download, file.url, file.sha1)
        if download is None or (download.refused and self.again):
            return None
        if download.refused:
            raise RefusedError(download.refused)
        path = self.cache.bytes_path(file.url, file.sha1)
        body = path.read_bytes() if path.is_file() else b""
        ours = (download.url, download.sha1) == (file.url, file.sha1)
        if ours and hashlib.sha256(body).hexdigest() == download.sha256:
            return download, body
        log.warning("%s: the cache does not hold what was fetched; fetched again", file.name)
        return None

    def _fetch(self, file: WikiFile) -> tuple[Download, bytes]:
        """Bytes that are refused are remembered as such; those that were cut off are not."""
        reply = self.client.image(file.url, lambda reply: _check_whole(reply, file))
        digest = hashlib.sha256(reply.body).hexdigest()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            _check(reply, file)
        except RefusedError as error:
            refused = Download(file.url, file.sha1, now, sha256=digest, refused=str(error))
            self.cache.write(refused, file.url, file.sha1)
            raise
        # The record is written after the bytes: a record without bytes cannot be.
        self.cache.write_bytes(file.url, file.sha1, reply.body)
        download = Download(file.url, file.sha1, now, sha256=digest)
        self.cache.write(download, file.url, file.sha1)
        return download, reply.body


def _check_whole(reply: Reply, file: WikiFile) -> None:
    """Raise `CutOffError` of an image that is not whole, unless it is so at its source."""
    if hashlib.sha1(reply.body).hexdigest() == file.sha1 or _type(reply) not in TYPES:
        return
    try:
        decode(reply.body)
    except CutOffError:
        raise
    except RefusedError:
        return  # looked at by `_check`, which says more


def _check(reply: Reply, file: WikiFile) -> None:
    """Raise `RefusedError` unless the bytes are one still image of the declared type."""
    declared = _type(reply)
    if declared not in TYPES:
        raise RefusedError(f"the answer is {declared or 'of no type'}, not an image")
    if file.url == file.original_url and hashlib.sha1(reply.body).hexdigest() != file.sha1:
        raise RefusedError("the bytes do not have the SHA-1 that the API states")
    decode(reply.body, TYPES[declared])


def _type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def decode(
    body: bytes, declared: str | None = None, resize: Resize = resize_to_width
) -> Image.Image:
    """The bytes as an image 224 pixels wide.

    Raises `RefusedError` saying what is wrong, which is `CutOffError` where it begins as an image.
    """
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
                return resize(as_seen(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedError("the image unpacks to too many pixels") from error
    except (*FAULTS, EOFError) as error:
        cut_off = any(body[: len(start)] == start[: len(body)] for start in STARTS)
        kind = CutOffError if cut_off else RefusedError
        # Pillow names the object in memory that it read from, which tells nobody anything.
        said = "not one that can be read" if isinstance(error, UnidentifiedImageError) else error
        raise kind(f"the bytes are no whole image ({said})") from error
