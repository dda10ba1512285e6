"""The logit lens (nostalgebraist, 2020) on disk: final norm and unembedding, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from taskvectors.base.files import read_json, write_json
from taskvectors.base.tensors import read_tensors, write_tensors


@dataclass(frozen=True)
class Lens:
    """The final norm and the unembedding.

    ``kind`` is ``rms`` or ``layer``; ``scale`` (width,), ``shift`` (width,) and
    ``unembedding`` (vocabulary, width) are as the model multiplies and adds them.
    """

    kind: str
    epsilon: float
    scale: Tensor
    shift: Tensor
    unembedding: Tensor

    def logits(self, residual: Tensor) -> Tensor:
        """Residual streams (..., width) to logits (..., vocabulary), float32."""
        hidden = residual.float()
        if self.kind == "layer":
            normed = F.layer_norm(hidden, hidden.shape[-1:], eps=self.epsilon)
        else:
            normed = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return (normed * self.scale.float() + self.shift.float()) @ self.unembedding.float().T

    def probabilities(self, residual: Tensor) -> Tensor:
        """Residual streams (..., width) to next-token probabilities (..., vocabulary), float32."""
        return torch.softmax(self.logits(residual), dim=-1)


def save_lens(lens: Lens, path: Path) -> None:
    """Write ``path`` (safetensors) and its sidecar ``.json``."""
    tensors = {"scale": lens.scale, "shift": lens.shift, "unembedding": lens.unembedding}
    write_tensors(path, tensors)
    write_json(path.with_suffix(".json"), {"kind": lens.kind, "epsilon": lens.epsilon})


def read_lens(path: Path) -> Lens:
    """Read what `save_lens` wrote. Raises `UserError` where a file is missing or truncated."""
    return Lens(**read_json(path.with_suffix(".json")), **read_tensors(path))
