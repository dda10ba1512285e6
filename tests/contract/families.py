"""Every family that the contract holds."""

from __future__ import annotations

from . import paper_families, today_families

FAMILIES = {**paper_families.FAMILIES, **today_families.FAMILIES}
