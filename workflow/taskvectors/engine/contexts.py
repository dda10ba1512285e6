"""The mean residual stream of a prompt's context, after every layer, read in any pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from taskvectors.engine.forward import layer_hooks
from taskvectors.models.base import Adapter


@dataclass
class ContextMeans:
    """Means over the first ``counts`` (rows) tokens of each row, gathered layer by layer and left
    on the device until the pass is over."""

    counts: Tensor
    gathered: list[Tensor] = field(default_factory=list)

    def visit(self, _layer: int, hidden: Tensor) -> None:
        # In float32: in float16 the sum of an image's tokens can be infinite.
        within = torch.arange(hidden.shape[1], device=hidden.device) < self.counts[:, None]
        total = torch.where(within[:, :, None], hidden.float(), 0).sum(1)
        self.gathered.append((total / self.counts[:, None]).to(hidden.dtype))

    def on_host(self) -> Tensor:
        """(rows, layers, width), in the model's dtype."""
        return torch.stack(self.gathered, dim=1).to("cpu")


@contextmanager
def read_contexts(adapter: Adapter, counts: Sequence[int]) -> Iterator[ContextMeans]:
    """Read the mean over the first ``counts`` tokens of every row of the pass within."""
    means = ContextMeans(torch.tensor(counts, device=adapter.device))
    with layer_hooks(adapter, means.visit):
        yield means
