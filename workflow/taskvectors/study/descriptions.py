"""The dense descriptions in ``resources/qualitative/descriptions.yaml``."""

from pathlib import Path

from taskvectors.base.schemas import check, read_yaml


def read_descriptions(path: Path) -> dict[str, dict[str, str]]:
    """Entity set to entity to description. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "descriptions", str(path))
    return raw
