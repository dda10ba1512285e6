"""``python -m taskvectors.score.lens``: what the logit lens needs, saved once per model.

The final norm and the unembedding (nostalgebraist, 2020), so that every later figure that
decodes residual streams needs no model. The saved form is checked against the model itself.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.engine.lens import Lens, save_lens
from taskvectors.engine.load import load_adapter
from taskvectors.models.base import Adapter
from taskvectors.models.weights import DTYPES

log = logging.getLogger("taskvectors")
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@torch.inference_mode()
def take_lens(adapter: Adapter) -> Lens:
    """The lens of a loaded model. Raises `UserError` where it does not decode as the model does."""
    norm = adapter.final_norm
    layered = isinstance(norm, nn.LayerNorm)
    epsilon = float(norm.eps if hasattr(norm, "eps") else norm.variance_epsilon)
    bias = getattr(norm, "bias", None)
    weight = norm.weight.detach().cpu()
    scales = [weight] if layered else [weight, 1 + weight]  # Gemma's norms add one
    shift = torch.zeros_like(weight) if bias is None else bias.detach().cpu()
    unembedding = adapter.unembedding.weight.detach().cpu()
    probe = torch.randn(4, adapter.width, generator=torch.Generator().manual_seed(0))
    wanted = adapter.logits(probe.to(adapter.device, adapter.dtype)).float().cpu()
    for scale in scales:
        kind = "layer" if layered else "rms"
        lens = Lens(kind, epsilon, scale.clone(), shift.clone(), unembedding.clone())
        far = (lens.logits(probe.to(adapter.dtype)) - wanted).abs().max() / wanted.abs().max()
        if far <= TOLERANCE[adapter.dtype]:
            return lens
    raise UserError(
        f"the logit lens of {adapter.name} does not decode as the model does (its final norm is "
        f"{type(norm).__name__}); teach workflow/taskvectors/lens.py that norm."
    )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--name", required=True)
    parser.add_argument("--dtype", required=True, choices=sorted(DTYPES))
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    save_lens(take_lens(load_adapter(args.model, args.name, args.dtype)), args.out)
    log.info("wrote %s", args.out)


if __name__ == "__main__":
    run_command(main)
