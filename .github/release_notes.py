"""``python .github/release_notes.py v0.1.0``: that version's part of CHANGELOG.md.

Ends with an error where the tag is not the version of pyproject.toml, or has no part.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, version: str, changelog: str) -> str:
    """What the changelog says of ``version``. Raises ValueError where ``tag`` is not ``v`` and it,
    or nothing is said."""
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} is not v{version}, the version in pyproject.toml")
    parts = re.split(r"^## (.+)\n", changelog, flags=re.MULTILINE)[1:]
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        if heading.split()[0] == version and text.strip():
            return text.strip() + "\n"
    raise ValueError(f"CHANGELOG.md says nothing of {version}; its heading is `## {version} - day`")


if __name__ == "__main__":
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(notes(sys.argv[1], stated["project"]["version"], text), end="")
    except ValueError as error:
        sys.exit(f"error: {error}.")
