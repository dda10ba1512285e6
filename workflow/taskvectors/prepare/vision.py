"""``python -m taskvectors.prepare.vision``: train the embedded model's vision tower.

The language model and the convolutional backbone stay frozen. The vision tower learns each image's
*name* and never a label of any task, and they are tested on a rendering that training never
saw. Every choice here was made on that held-out naming alone, so it is slightly optimistic;
nothing was chosen by looking at transfer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import folder_written_whole, write_json
from taskvectors.base.images import open_rgba
from taskvectors.base.progress import track
from taskvectors.models.efficientnet import EfficientNetLite0
from taskvectors.models.embedded import (
    EmbeddedConfig,
    EmbeddedForConditionalGeneration,
    EmbeddedImageProcessor,
    EmbeddedProcessor,
    VisionTower,
    fit_to_square,
    normalised,
    on_background,
)
from taskvectors.prepare.augment import augment
from taskvectors.prepare.backbone import load_backbone
from taskvectors.record.loaded import LoadedModel, report_loaded

log = logging.getLogger("taskvectors")
IMAGE_TOKENS = 5
IMAGES_PER_PASS = 16  # larger buffers than this are given back to the system after each use
BATCH, LEARNING_RATE, DECAY, SMOOTHING, WARM_UP = 256, 2e-3, 0.05, 0.1, 20


@dataclass(frozen=True)
class Drawings:
    """Images of one or more renderings.

    squares (images, 4, 160, 160) premultiplied, names (images,) as indices into the list
    of names, and the entity set of each.
    """

    squares: Tensor
    names: Tensor
    entity_sets: list[str]


def load_drawings(manifests: list[Path], names: list[str] | None) -> tuple[Drawings, list[str]]:
    """Read images by their manifests. ``names`` None collects the names from these images.

    Images whose name is unknown are left out: the vision tower cannot name them.
    """
    rows = pd.concat(
        [
            pd.read_csv(path, keep_default_na=False).assign(folder=str(path.parent))
            for path in manifests
        ]
    )
    known = sorted(set(rows["entity"])) if names is None else names
    rows = rows[rows["entity"].isin(known)]
    paths = [Path(folder) / file for folder, file in zip(rows["folder"], rows["file"], strict=True)]
    squares = torch.stack([fit_to_square(open_rgba(path)) for path in paths])
    labels = torch.tensor([known.index(name) for name in rows["entity"]])
    return Drawings(squares, labels, list(rows["entity_set"])), known


@torch.inference_mode()
def backbone_features(backbone: EfficientNetLite0, rgb: Tensor) -> Tensor:
    """RGB (images, 3, 160, 160) in [0, 1] to features (images, 5624)."""
    return backbone(normalised(rgb.contiguous(memory_format=torch.channels_last)))


def training_features(
    backbone: EfficientNetLite0, drawings: Drawings, copies: int, rng: Generator
) -> Tensor:
    """One clean and ``copies`` varied versions: (copies + 1, images, features).

    Images are mirrored half of the time, except flags, whose mirror image is another flag.
    They are varied here, one batch after the other, while other threads compute features:
    convolutions this small do not gain from threads of their own.
    """
    may_mirror = torch.tensor([entity_set != "countries" for entity_set in drawings.entity_sets])
    clean = on_background(drawings.squares, 1.0).split(IMAGES_PER_PASS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads) as pool:

        def features_of(parts: Iterable[Tensor]) -> Tensor:
            waiting = [pool.submit(backbone_features, backbone, part) for part in parts]
            return torch.cat([part.result() for part in waiting])

        versions = [features_of(clean)]
        for _ in track(range(copies), copies, "features of varied images"):
            mirrored = may_mirror & (torch.rand(len(may_mirror), generator=rng) < 0.5)
            squares = torch.where(
                mirrored.view(-1, 1, 1, 1), drawings.squares.flip(3), drawings.squares
            )
            varied = (augment(part, rng) for part in squares.split(IMAGES_PER_PASS))
            versions.append(features_of(varied))
    torch.set_num_threads(threads)
    return torch.stack(versions)


def _rate(step: int, steps: int) -> float:
    warm_up = min(WARM_UP, max(1, steps // 10))
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def train_heads(
    tower: VisionTower, features: Tensor, drawings: Drawings, steps: int, rng: Generator
):
    """Fit the classifiers, each on its own batches: half flags, half the rest."""
    flags = torch.tensor([entity_set == "countries" for entity_set in drawings.entity_sets])
    groups = [indices for mask in (flags, ~flags) if len(indices := mask.nonzero()[:, 0])]
    optimizer = torch.optim.AdamW(
        tower.heads.parameters(), lr=LEARNING_RATE, weight_decay=DECAY, fused=True
    )
    tower.train()
    features = (features - tower.mean) / tower.deviation
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


def name_table(embeddings: Tensor, tokenizer, names: list[str]) -> Tensor:
    """The language model's embeddings of " " + name: (names, IMAGE_TOKENS, width).

    Shorter names are filled up with newlines on the left; longer ones lose their end.
    """
    newline = tokenizer("\n")["input_ids"]
    rows = []
    for name in names:
        ids = tokenizer(" " + name)["input_ids"][:IMAGE_TOKENS]
        rows.append(newline * (IMAGE_TOKENS - len(ids)) + ids)
    return embeddings[torch.tensor(rows)].detach().clone()


@torch.inference_mode()
def naming(model: EmbeddedForConditionalGeneration, held_out: Drawings) -> dict[str, dict]:
    """Share of held-out images whose likeliest name is right, by entity set."""
    rgb = on_background(held_out.squares, 1.0)
    logits = torch.cat(
        [model.vision_tower(normalised(part)) for part in rgb.split(IMAGES_PER_PASS)]
    )
    right = (logits.argmax(1) == held_out.names).tolist()
    table = pd.DataFrame({"entity_set": held_out.entity_sets, "right": right})
    return {
        entity_set: {"accuracy": float(group.mean()), "images": len(group)}
        for entity_set, group in table.groupby("entity_set")["right"]
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--language-model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--training", required=True, type=Path, nargs="+", help="manifests")
    parser.add_argument("--held-out", required=True, type=Path, help="manifest")
    parser.add_argument("--copies", required=True, type=int, help="varied copies of each image")
    parser.add_argument("--steps", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    rng = Generator().manual_seed(args.seed)
    drawings, names = load_drawings(args.training, None)
    held_out, _ = load_drawings([args.held_out], names)
    log.info("%d training images of %d names", len(drawings.names), len(names))
    language_model = AutoModelForCausalLM.from_pretrained(args.language_model)
    tokenizer = AutoTokenizer.from_pretrained(args.language_model)
    processor = EmbeddedProcessor(EmbeddedImageProcessor(), tokenizer, IMAGE_TOKENS)
    config = EmbeddedConfig(
        text_config=language_model.config,
        names=names,
        tokens_per_image=IMAGE_TOKENS,
        image_token_id=tokenizer.convert_tokens_to_ids(processor.image_token),
        architectures=["EmbeddedForConditionalGeneration"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        model = EmbeddedForConditionalGeneration(config)
        model.vision_tower.backbone = load_backbone()
        model.language_model.load_state_dict(language_model.state_dict())
        features = training_features(model.vision_tower.backbone, drawings, args.copies, rng)
        model.vision_tower.mean.copy_(features.flatten(0, 1).mean(0))
        model.vision_tower.deviation.copy_(features.flatten(0, 1).std(0) + 1e-3)
        train_heads(model.vision_tower, features, drawings, args.steps, rng)
    table = name_table(model.get_input_embeddings().weight, tokenizer, names)
    model.projector.table.copy_(table)
    accuracy = naming(model, held_out)
    for entity_set, found in accuracy.items():
        log.info("held-out naming, %s: %.3f", entity_set, found["accuracy"])
    model.to(memory_format=torch.contiguous_format)
    report_loaded(
        LoadedModel(args.language_model.name, None, "float32", None, "pil", []), str(model.device)
    )
    with folder_written_whole(args.out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_json(
            folder / "naming.json",
            {"vision_tower": "closed-set lookup", "names": len(names), "held_out": accuracy},
        )


if __name__ == "__main__":
    run_command(main)
