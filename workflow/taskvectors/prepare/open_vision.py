"""``python -m taskvectors.prepare.open_vision``: the embedded model with the open vision tower.

The weights of the vision tower and its projector are committed (resources/vision);
`taskvectors.prepare.train_vision` trains them. Nothing is trained here.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.tensors import read_tensors
from taskvectors.models.embedded import EmbeddedForConditionalGeneration, EmbeddedProcessor
from taskvectors.models.embedded_vision import OpenProjector
from taskvectors.prepare.assemble import assemble, load_language_model, name_table, save
from taskvectors.prepare.drawings import Drawings, in_passes, load_drawings

log = logging.getLogger("taskvectors")
# As many weights as 8 MB hold. Dropout of the hidden units would have the projector learn from
# features that are noisier than those it gets.
FEATURES, HIDDEN, PROJECTOR_HIDDEN, DROPOUT = 384, 384, 448, 0.0
BACKBONE = "backbone."


def assemble_open(
    language_model: PreTrainedModel, processor: EmbeddedProcessor
) -> EmbeddedForConditionalGeneration:
    """The language model with an open vision side that has still to get its weights."""
    return assemble(
        language_model,
        processor,
        heads=1,
        hidden=HIDDEN,
        dropout=DROPOUT,
        features=FEATURES,
        projector_hidden=PROJECTOR_HIDDEN,
    )


class OpenVision(nn.Module):
    """The open vision side of a model: its vision tower and its projector."""

    def __init__(self, model: EmbeddedForConditionalGeneration):
        super().__init__()
        if not isinstance(model.projector, OpenProjector):
            raise ValueError("the model's projector is not an open one")
        self.vision_tower, self.projector = model.vision_tower, model.projector

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features (images, FEATURES) to image tokens (images, tokens, width)."""
        return self.projector(self.vision_tower.seen(features))

    def own_weights(self) -> dict[str, Tensor]:
        """What is committed: all tensors but the backbone's, which come from its package."""
        return {name: w for name, w in self.state_dict().items() if BACKBONE not in name}

    def trained(self) -> list[nn.Parameter]:
        """What is trained: all but the backbone."""
        return [*self.vision_tower.heads.parameters(), *self.projector.parameters()]


def put_weights(vision: OpenVision, weights: dict[str, Tensor], place: Path) -> None:
    """Put weights in their places. Raises `UserError` where they are not all that it has."""
    wanted = {name: tuple(weight.shape) for name, weight in vision.own_weights().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    if wanted != found:
        wrong = sorted(name for name, _ in wanted.items() ^ found.items())
        raise UserError(
            f"{place} does not have the weights of the open vision tower (wrong, missing or too "
            f"many: {wrong[0]}); train it anew with `snakemake train_vision`."
        )
    vision.load_state_dict(weights, strict=False)


def nearest_names(
    model: EmbeddedForConditionalGeneration, table: Tensor, held_out: Drawings
) -> dict[str, dict[str, Any]]:
    """Share of held-out images whose tokens are nearest to the embeddings of the right one of all
    held-out names, by entity set; ``table`` is (names, tokens, width)."""
    tokens = in_passes(model.get_image_features, held_out.squares.to(table.device))
    nearest = torch.cdist(tokens.flatten(1), table.flatten(1)).argmin(1).cpu()
    right = (nearest == held_out.names).tolist()
    found = pd.Series(right).groupby(held_out.entity_sets).agg(["mean", "size"])
    return {
        str(entity_set): {"accuracy": float(row["mean"]), "images": int(row["size"])}
        for entity_set, row in found.iterrows()
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--language-model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--weights", required=True, type=Path, help="a safetensors file")
    parser.add_argument("--held-out", required=True, type=Path, nargs="+", help="manifests")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    held_out, names = load_drawings(args.held_out, None)
    language_model, processor = load_language_model(args.language_model)
    model = assemble_open(language_model, processor).eval()
    put_weights(OpenVision(model), read_tensors(args.weights), args.weights)
    table = name_table(model.get_input_embeddings(), processor.tokenizer, names)
    accuracy = nearest_names(model, table, held_out)
    log.info("held-out naming: %s", accuracy)
    about = {"vision_tower": "open projector", "names": len(names), "held_out": accuracy}
    save(model, processor, args.language_model, about, args.out)


if __name__ == "__main__":
    run_command(main)
