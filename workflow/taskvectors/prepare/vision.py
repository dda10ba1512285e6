"""``python -m taskvectors.prepare.vision``: train the embedded model's vision tower.

The language model and the convolutional backbone stay frozen. The vision tower learns each
image's *name* and never a label of any task, and it is tested on a rendering that training never
saw. Every choice here was made on that held-out naming alone, so it is slightly optimistic;
nothing was chosen by looking at transfer.
"""

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from taskvectors.base.command import parse, run_command
from taskvectors.base.files import folder_written_whole, write_json
from taskvectors.base.progress import track
from taskvectors.models.efficientnet import EfficientNetLite0
from taskvectors.models.embedded import (
    EmbeddedConfig,
    EmbeddedForConditionalGeneration,
    EmbeddedImageProcessor,
    EmbeddedProcessor,
    VisionTower,
    normalised,
    on_background,
)
from taskvectors.prepare.augment import augment
from taskvectors.prepare.backbone import load_backbone
from taskvectors.prepare.drawings import (
    IMAGES_PER_PASS,
    Drawings,
    in_passes,
    load_drawings,
    training_parser,
)
from taskvectors.record.loaded import LoadedModel, report_loaded

log = logging.getLogger("taskvectors")
IMAGE_TOKENS = 5
BATCH, LEARNING_RATE, DECAY, SMOOTHING, WARM_UP = 256, 2e-3, 0.05, 0.1, 20


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
        features_of = partial(pool.map, partial(backbone_features, backbone))
        versions = [torch.cat(list(features_of(clean)))]
        for _ in track(range(copies), copies, "features of varied images"):
            mirrored = may_mirror & (torch.rand(len(may_mirror), generator=rng) < 0.5)
            squares = torch.where(
                mirrored.view(-1, 1, 1, 1), drawings.squares.flip(3), drawings.squares
            )
            varied = (augment(part, rng) for part in squares.split(IMAGES_PER_PASS))
            versions.append(torch.cat(list(features_of(varied))))
    torch.set_num_threads(threads)
    return torch.stack(versions)


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


def name_table(embed: nn.Module, tokenizer: PreTrainedTokenizerBase, names: list[str]) -> Tensor:
    """The language model's embeddings of " " + name: (names, IMAGE_TOKENS, width).

    Shorter names are filled up with newlines on the left; longer ones lose their end.
    """
    newline = tokenizer("\n")["input_ids"]
    rows = []
    for name in names:
        ids = tokenizer(" " + name)["input_ids"][:IMAGE_TOKENS]
        rows.append(newline * (IMAGE_TOKENS - len(ids)) + ids)
    return embed(torch.tensor(rows)).detach()


def naming(tower: VisionTower, held_out: Drawings) -> dict[str, dict[str, float | int]]:
    """Share of held-out images whose likeliest name is right, by entity set."""
    right = in_passes(tower, held_out.squares).argmax(1) == held_out.names
    table = pd.DataFrame({"entity_set": held_out.entity_sets, "right": right.tolist()})
    return {
        str(entity_set): {"accuracy": float(group.mean()), "images": len(group)}
        for entity_set, group in table.groupby("entity_set")["right"]
    }


def assemble(
    language_model: PreTrainedModel, processor: EmbeddedProcessor, names: list[str]
) -> EmbeddedForConditionalGeneration:
    """The language model with a vision tower of these names, whose classifiers are untrained."""
    config = EmbeddedConfig(
        text_config=language_model.config,
        names=names,
        tokens_per_image=IMAGE_TOKENS,
        image_token_id=processor.tokenizer.get_vocab()[processor.image_token],
        architectures=["EmbeddedForConditionalGeneration"],
    )
    model = EmbeddedForConditionalGeneration(config)
    model.vision_tower.backbone = load_backbone()
    model.language_model.load_state_dict(language_model.state_dict())
    table = name_table(model.get_input_embeddings(), processor.tokenizer, names)
    model.projector.table.copy_(table)
    return model


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--language-model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--copies", required=True, type=int, help="varied copies of each image")
    args = parse(parser)
    rng = Generator().manual_seed(args.seed)
    drawings, names = load_drawings(args.training, None)
    held_out, _ = load_drawings([args.held_out], names)
    log.info("%d training images of %d names", len(drawings.names), len(names))
    language_model = AutoModelForCausalLM.from_pretrained(args.language_model)
    tokenizer = AutoTokenizer.from_pretrained(args.language_model)
    processor = EmbeddedProcessor(EmbeddedImageProcessor(), tokenizer, IMAGE_TOKENS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)  # of the classifiers' first weights and of dropout
        model = assemble(language_model, processor, names)
        tower = model.vision_tower
        features = training_features(tower.backbone, drawings, args.copies, rng)
        tower.mean.copy_(features.flatten(0, 1).mean(0))
        tower.deviation.copy_(features.flatten(0, 1).std(0) + 1e-3)
        train_heads(tower, features, drawings, args.steps, rng)
    accuracy = naming(tower, held_out)
    for entity_set, found in accuracy.items():
        log.info("held-out naming, %s: %.3f", entity_set, found["accuracy"])
    tower.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
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
