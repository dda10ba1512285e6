"""Reading, patching and comparing task vectors of vision-and-language models.

The package knows nothing of Snakemake. Each stage is a command,
``python -m taskvectors.<stage>``, and the workflow's rules call those commands. For notebooks there
is `taskvectors.api`, whose names are had from here: ``from taskvectors import load, read, patch``.
(Who imports the modules of the stages `read` and `average` takes those two from the API itself.)
"""

from importlib import import_module
from typing import Any

__all__ = [
    "Model", "ModelReply", "Sweep", "TaskVector", "ask", "average", "compare", "lens", "load",
    "open_vector", "patch", "read", "sweep", "sweep_heads",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The names of the API when they are asked for: commands start without torch."""
    if name in __all__:
        return getattr(import_module("taskvectors.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
