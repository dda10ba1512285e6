"""``python -m taskvectors.prepare.vision``: train the embedded model's vision tower.

The language model and the convolutional backbone stay frozen. The vision tower learns each
image's *name* and never a label of any task, and it is tested on a rendering that training never
saw. Every choice here was made on that held-out naming alone, so it is slightly optimistic;
nothing was chosen by looking at transfer.
"""

import logging
import math
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from taskvectors.base.command import parse, run_command
from taskvectors.base.progress import track
from taskvectors.models.embedded_vision import VisionTower
from taskvectors.prepare.assemble import assemble, load_language_model, name_table, save
from taskvectors.prepare.drawings import (
    Drawings,
    in_passes,
    load_drawings,
    training_parser,
)
from taskvectors.prepare.features import standardise, training_features

log = logging.getLogger("taskvectors")
BATCH, LEARNING_RATE, DECAY, SMOOTHING, WARM_UP = 256, 2e-3, 0.05, 0.1, 20


def _rate(step: int, steps: int) -> float:
    warm_up = min(WARM_UP, max(1, steps // 10))
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def train_heads(
    tower: VisionTower, features: Tensor, drawings: Drawings, steps: int, rng: Generator
) -> None:
    """Fit the classifiers, each on its own batches: half flags, half the rest."""
    flags = torch.tensor([entity_set == "countries" for entity_set in drawings.entity_sets])
    groups = [indices for mask in (flags, ~flags) if len(indices := mask.nonzero()[:, 0])]
    optimizer = torch.optim.AdamW(
        tower.heads.parameters(), lr=LEARNING_RATE, weight_decay=DECAY, fused=True
    )
    tower.train()
    for step in track(range(steps), steps, "train the vision tower"):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _rate(step, steps)
        loss = torch.zeros(())
        for head in tower.heads:
            size = BATCH // len(groups)
            drawn = torch.cat(
                [group[torch.randint(len(group), (size,), generator=rng)] for group in groups]
            )
            version = torch.randint(len(features), (len(drawn),), generator=rng)
            logits = head(features[version, drawn])
            target = drawings.names[drawn]
            loss = loss + F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tower.eval()


def naming(tower: VisionTower, held_out: Drawings) -> dict[str, dict[str, float | int]]:
    """Share of held-out images whose likeliest name is right, by entity set."""
    right = in_passes(tower, held_out.squares).argmax(1) == held_out.names
    table = pd.DataFrame({"entity_set": held_out.entity_sets, "right": right.tolist()})
    return {
        str(entity_set): {"accuracy": float(group.mean()), "images": len(group)}
        for entity_set, group in table.groupby("entity_set")["right"]
    }


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--language-model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--copies", required=True, type=int, help="varied copies of each image")
    args = parse(parser)
    rng = Generator().manual_seed(args.seed)
    drawings, names = load_drawings(args.training, None)
    held_out, _ = load_drawings(args.held_out, names)
    log.info("%d training images of %d names", len(drawings.names), len(names))
    language_model, processor = load_language_model(args.language_model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)  # of the classifiers' first weights and of dropout
        model = assemble(language_model, processor, names=names)
        table = name_table(model.get_input_embeddings(), processor.tokenizer, names)
        model.projector.get_buffer("table").copy_(table)
        tower = model.vision_tower
        features = training_features(tower.backbone, drawings, args.copies, rng)
        train_heads(tower, standardise(tower, features), drawings, args.steps, rng)
    accuracy = naming(tower, held_out)
    for entity_set, found in accuracy.items():
        log.info("held-out naming, %s: %.3f", entity_set, found["accuracy"])
    about = {"vision_tower": "closed-set lookup", "names": len(names), "held_out": accuracy}
    save(model, processor, args.language_model, about, args.out)


if __name__ == "__main__":
    run_command(main)
