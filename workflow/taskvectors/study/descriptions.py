"""Dense descriptions of entities, which stand in text prompts in place of names."""

from pathlib import Path

from taskvectors.base.schemas import check, read_yaml


def read_descriptions(path: Path) -> dict[str, dict[str, str]]:
    """Entity set to entity to description. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "descriptions", str(path))
    return raw
