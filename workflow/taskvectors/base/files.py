"""Files that are written whole or not at all, and hashes of what is on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.strict_json import parse_json


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success sync it and rename it to ``path``.

    Who may read it is left to the umask, whatever wrote it. If the body raises, the temporary file
    is removed and ``path`` stays as it was. Raises `UserError` where ``path`` is a folder.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes the place of ``path``.

    If the body raises, the temporary folder is removed and ``path`` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_writable(folder: Path) -> None:
    """Raise `UserError` naming the first folder, this one or one below, that takes no files."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder; move it away, so that one can be made.")
    for place, _, _ in os.walk(folder):
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(f"{place} takes no files; allow it with `chmod u+wx {place}`.")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON, indented, with sorted keys and a final newline."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_text(path: Path, missing: str = "make or restore it") -> str:
    """A file's text, without a mark that it is UTF-8.

    Raises `UserError` naming the file where it is none, or is ``missing``, with that remedy.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {missing}.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; put the file in its place.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8 ({error.reason}); save it in UTF-8.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be opened ({error.strerror}); put the file in its place."
        ) from error


def is_folder(name: str) -> bool:
    """Whether any text is the path of a folder; pathlib fails on a long one."""
    return os.path.isdir(name)  # noqa: PTH112


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path leads to a place in a folder, links followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a zero byte
        return False


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `UserError` as `read_text`, and where it is not JSON."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); make it again.") from error


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines.

    Raises `UserError` as `read_text`, and naming file and line where one is not JSON.
    """
    text = read_text(path)
    rows = []
    # Not by `splitlines`: a text in JSON may hold other ends of lines, such as U+2028.
    lines = text.rstrip().split("\n") if text.strip() else []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(parse_json(line))
        except ValueError as error:
            raise UserError(
                f"{path}, line {number} is not valid JSON ({error}); mend that line, or make the "
                "file again."
            ) from error
    return rows


def listing_hash(hashes: dict[str, str]) -> str:
    """The hash of a folder from its files' hashes by relative path."""
    lines = sorted(f"{digest}  {name}\n" for name, digest in hashes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
