"""Every table and figure by its name, and the module of this package that renders it.

A module is imported only for its own items, and the rules hash only that module's code, so
that a changed figure leaves the others as they are.
"""

from __future__ import annotations

MODULES = {
    "table_1": "overview",
    "table_2": "decodings",
    "table_2_instruction": "decodings",
    "table_3": "tables",
    "table_5": "overview",
    "table_8": "tables",
    "naming": "tables",
    "figure_3": "evolution",
    "figure_3_all": "evolution",
    "figure_3_instruction": "evolution",
    "figure_4": "evolution",
    "figure_4_all": "evolution",
    "figure_8": "samples",
    "figure_11": "figures",
    "figure_tsne": "tsne",
}


def module_of(item: str) -> str:
    """The dotted name of the module whose ``RENDERERS`` has ``item``."""
    return f"taskvectors.render.{MODULES[item]}"
