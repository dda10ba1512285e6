"""How a file may be broken: what becomes of a good one's bytes, or of its place."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


def in_utf8(good: bytes, encoding: str) -> bytes:
    """The same text in another encoding; of what is no text, nothing."""
    return good.decode("utf-8", "ignore").encode(encoding)


#: Bytes to bytes. None of these is a good file of any kind, but where `HARMLESS` says so.
BYTES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda good: b"",
    "white space": lambda good: b" \n\t\r\n ",
    "one byte": lambda good: good[:1],
    "a zero byte": lambda good: b"\0",
    "cut in half": lambda good: good[: len(good) // 2] + b'"',
    "cut, and zeros": lambda good: good[:9].ljust(4096, b"\0"),
    "a zero byte in it": lambda good: good[:5] + b"\0" + good[5:],
    "every byte": lambda good: bytes(range(256)),
    "ends in latin-1": lambda good: good + b"\n\xe9",
    "ends in half of a character": lambda good: good + b"\n\xed\xa0\x80",
    "ends in an overlong slash": lambda good: good + b"\n\xc0\xaf",
    "in UTF-16": lambda good: in_utf8(good, "utf-16"),
    "in UTF-16 without a mark": lambda good: in_utf8(good, "utf-16-be"),
    "in UTF-32": lambda good: in_utf8(good, "utf-32"),
    "compressed": lambda good: gzip.compress(good, mtime=0),
    "a picture": lambda good: PNG,
    "a pickle": lambda good: pickle.dumps({"a": 1}),
    "a web page": lambda good: PAGE,
    "a pointer to a large file": lambda good: POINTER,
    "brackets": lambda good: b"[" * 10_000,
    "braces": lambda good: b'{"a":' * 10_000,
    "a number": lambda good: b"3\n",
    "a number of 5000 digits": lambda good: b"9" * 5000 + b"\n",
    "no number": lambda good: b"NaN\n",
    "null": lambda good: b"null\n",
    "true": lambda good: b"true\n",
    "a list of nothing": lambda good: b"[]\n",
    "an object of nothing": lambda good: b"{}\n",
    "a text": lambda good: b'"text"\n',
    "a list of lists": lambda good: b"[[[]]]\n",
    "a key of nothing": lambda good: b'{"": ""}\n',
    "twice": lambda good: good + good,
}


def _folder(path: Path, good: bytes) -> None:
    path.mkdir()
    (path / path.name).write_bytes(good)


def _circle(path: Path, good: bytes) -> None:
    path.with_name("circle").symlink_to(path.name)
    path.symlink_to("circle")


#: What is in the place of a file.
PLACES: dict[str, Callable[[Path, bytes], None]] = {
    "missing": lambda path, good: None,
    "a folder": _folder,
    "a link to nowhere": lambda path, good: path.symlink_to("nowhere"),
    "a link to itself": lambda path, good: path.symlink_to(path.name),
    "links in a circle": _circle,
    "a link to a folder": lambda path, good: path.symlink_to("."),
    "a link to no bytes": lambda path, good: path.symlink_to("/dev/null"),
}
ALL = [*BYTES, *PLACES]


def damage(path: Path, how: str) -> None:
    """Break the good file at ``path``."""
    good = path.read_bytes()
    if how in BYTES:
        path.write_bytes(BYTES[how](good))
        return
    path.unlink()
    PLACES[how](path, good)
