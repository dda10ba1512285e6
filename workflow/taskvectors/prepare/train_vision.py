"""``python -m taskvectors.prepare.train_vision``: train the open vision tower and its projector.

The language model and the backbone stay frozen. First, images are drawn to the embeddings of
their written names, beside a classifier of names that is thrown away; then the whole is distilled:
in contexts that are no task's, what the language model writes after an image is drawn to what it
writes after the name. Training knows *names* and never a label of any task. Every choice here was
made on naming and on neutral questions (`taskvectors.score.sight`), none by looking at transfer.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from transformers import get_cosine_schedule_with_warmup

from taskvectors.base.command import parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.progress import track
from taskvectors.base.tensors import write_tensors
from taskvectors.models.weights import best_device
from taskvectors.prepare.assemble import load_language_model, name_table
from taskvectors.prepare.distil import SURROUNDINGS, FrozenModel, Lesson
from taskvectors.prepare.drawings import Drawings, load_drawings, training_parser
from taskvectors.prepare.features import standardise, training_features
from taskvectors.prepare.open_vision import FEATURES, OpenVision, assemble_open, nearest_names

log = logging.getLogger("taskvectors")
BATCH, LEARNING_RATE, DECAY, SMOOTHING, WARM_UP = 256, 2e-3, 0.05, 0.1, 20
REGRESSION = 5.0  # weight of the distance from the name's embeddings, beside the classifier's loss
DISTIL_BATCH, DISTIL_RATE = 128, 5e-4
ANCHOR = 0.3  # weight of the distance from the name's embeddings, beside the distillation's loss
LEAST_NAMING = 0.5  # share of training images, below which training has failed


def check_naming(found: dict[str, dict[str, float]]) -> None:
    """Raise `UserError` where too few training images are named rightly."""
    images = sum(one["images"] for one in found.values())
    right = sum(one["accuracy"] * one["images"] for one in found.values()) / images
    if right < LEAST_NAMING:
        raise UserError(
            f"the open vision tower names only {right:.2f} of its own training images rightly (at "
            f"least {LEAST_NAMING} are asked for); nothing was written. Train for more steps."
        )


class Draw:
    """Draws of training images, half flags and half the rest, each in a random version, and every
    other one mixed with another rendering of the same name."""

    def __init__(self, features: Tensor, drawings: Drawings, rng: Generator):
        """``features`` are (versions, images, FEATURES), standardised; what is drawn is on their
        device."""
        flags = torch.tensor([entity_set == "countries" for entity_set in drawings.entity_sets])
        self.groups = [found for mask in (flags, ~flags) if len(found := mask.nonzero()[:, 0])]
        self.features, self.names, self.rng = features, drawings.names, rng
        numbers = torch.arange(1 + int(drawings.names.max()))
        self.of_name = [(drawings.names == number).nonzero()[:, 0] for number in numbers]

    def __call__(self, size: int) -> tuple[Tensor, Tensor]:
        """Features (images, FEATURES) of about ``size`` images, and their names' indices."""
        each = size // len(self.groups)
        drawn = torch.cat(
            [group[torch.randint(len(group), (each,), generator=self.rng)] for group in self.groups]
        )
        names = self.names[drawn]
        return self.mixed(self.some_version(drawn), names), names.to(self.features.device)

    def some_version(self, images: Tensor) -> Tensor:
        """Each image's features in a random version."""
        version = torch.randint(len(self.features), (len(images),), generator=self.rng)
        return self.features[version, images]

    def mixed(self, features: Tensor, names: Tensor) -> Tensor:
        """Half of the features, each mixed with those of a rendering of the same name."""
        other = self.some_version(torch.stack([self.mate(name) for name in names]))
        share = torch.rand((len(names), 1), generator=self.rng)
        mixed = torch.rand((len(names), 1), generator=self.rng) < 0.5
        share = torch.where(mixed, share, 1).to(features.device)
        return torch.lerp(other, features, share)

    def mate(self, name: Tensor) -> Tensor:
        """A random image of a name."""
        images = self.of_name[int(name)]
        return images[torch.randint(len(images), (), generator=self.rng)]


class Steps:
    """Steps of AdamW under a warm-up and a cosine."""

    def __init__(self, trained: Sequence[nn.Parameter], rate: float, steps: int):
        self.optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=DECAY, fused=True)
        self.schedule = get_cosine_schedule_with_warmup(self.optimizer, WARM_UP, steps)

    def take(self, loss: Tensor) -> None:
        """One step. Raises `UserError` where the loss is not finite."""
        if not torch.isfinite(loss):
            raise UserError(
                "training the open vision tower has diverged (its loss is not finite); nothing "
                "was written. Take another seed, or fewer steps."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()


def distance(tokens: Tensor, names: Tensor, table: Tensor) -> Tensor:
    """Mean squared distance of image tokens from the embeddings of their names, (names, tokens,
    width), in units of the embeddings' spread: their norm and spread are held to those of text."""
    spread = table.flatten(0, 1).std(0).mean()
    return ((tokens - table[names]) / spread).square().mean()


def train_naming(vision: OpenVision, table: Tensor, draw: Draw, steps: int) -> None:
    """Draw images to the embeddings of their names, ``table`` (names, tokens, width), beside a
    classifier of names that is thrown away."""
    nn.init.zeros_(vision.projector.last.weight)
    vision.projector.last.bias.data.copy_(table.mean(0).flatten())
    classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(FEATURES, len(table))).to(table.device)
    optimizer = Steps([*vision.trained(), *classifier.parameters()], LEARNING_RATE, steps)
    vision.train()
    for _ in track(range(steps), steps, "draw images to their names"):
        features, names = draw(BATCH)
        seen = vision.vision_tower.seen(features)
        away = distance(vision.projector(seen), names, table)
        named = F.cross_entropy(classifier(seen), names, label_smoothing=SMOOTHING)
        optimizer.take(REGRESSION * away + named)
    vision.eval()


def distil(
    vision: OpenVision,
    lessons: Sequence[Lesson],
    teacher: FrozenModel,
    table: Tensor,
    draw: Draw,
    steps: int,
) -> None:
    """Draw what the language model writes after images to what it writes after names, whose
    embeddings are ``table`` (names, tokens, width)."""
    optimizer = Steps(vision.trained(), DISTIL_RATE, steps)
    for module in vision.modules():
        module.train(isinstance(module, nn.Dropout))  # batches are too small for batch norm
    turns = torch.randint(len(lessons), (steps,), generator=draw.rng).tolist()
    for step in track(range(steps), steps, "distil"):
        features, names = draw(DISTIL_BATCH)
        tokens = vision(features)
        loss = teacher.loss(lessons[turns[step]], tokens, names)
        optimizer.take(loss + ANCHOR * distance(tokens, names, table))
    vision.eval()


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--language-model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--copies", required=True, type=int, help="varied copies of each image")
    parser.add_argument("--distil", required=True, type=int, help="steps of distillation")
    args = parse(parser)
    torch.set_float32_matmul_precision("high")  # of a GPU's products, as the weights were trained
    rng = Generator().manual_seed(args.seed)
    drawings, names = load_drawings(args.training, None)
    held_out, _ = load_drawings(args.held_out, names)
    log.info("%d training images of %d names", len(drawings.names), len(names))
    language_model, processor = load_language_model(args.language_model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)  # of the first weights and of dropout
        model = assemble_open(language_model, processor)
        table = name_table(model.get_input_embeddings(), processor.tokenizer, names)
        vision = OpenVision(model).to(best_device())
        table = table.to(vision.projector.last.weight.device)
        tower = model.vision_tower
        features = training_features(tower.backbone, drawings, args.copies, rng)
        draw = Draw(standardise(tower, features), drawings, rng)
        train_naming(vision, table, draw, args.steps)
        log.info("held-out naming: %s", nearest_names(model, table, held_out))
        teacher = FrozenModel(language_model, processor.tokenizer, table.device)
        lessons = [teacher.lesson(around, names) for around in SURROUNDINGS]
        distil(vision, lessons, teacher, table, draw, args.distil)
    log.info("held-out naming: %s", nearest_names(model, table, held_out))
    check_naming(nearest_names(model, table, drawings))
    write_tensors(args.out, {name: w.half() for name, w in vision.own_weights().items()})


if __name__ == "__main__":
    run_command(main)
