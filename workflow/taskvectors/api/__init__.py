"""Task vectors in a notebook: the same code as the stages, in ten functions.

>>> model = load(tiny_folder)
>>> vector = read(model, [("France", "Paris"), ("Japan", "Tokyo")])
>>> patch(model, "Italy", vector, layer=1).text == patch(model, "Italy", vector, layer=1).text
True
"""

from taskvectors.api.asking import ask, patch, read
from taskvectors.api.comparing import compare, lens
from taskvectors.api.model import Model, load
from taskvectors.api.replies import ModelReply, Sweep
from taskvectors.api.sweeping import sweep, sweep_heads
from taskvectors.api.vectors import TaskVector, average, open_vector

__all__ = [
    "Model", "ModelReply", "Sweep", "TaskVector", "ask", "average", "compare", "lens", "load",
    "open_vector", "patch", "read", "sweep", "sweep_heads",
]  # fmt: skip
