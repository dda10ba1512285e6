"""The backbone's features of training images, clean and varied, and how they are standardised."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Generator, Tensor

from taskvectors.base.progress import track
from taskvectors.models.efficientnet import EfficientNetLite0
from taskvectors.models.embedded_vision import VisionTower, normalised, on_background
from taskvectors.prepare.augment import augment
from taskvectors.prepare.drawings import IMAGES_PER_PASS, Drawings


@torch.inference_mode()
def backbone_features(backbone: EfficientNetLite0, rgb: Tensor) -> Tensor:
    """RGB (images, 3, 160, 160) in [0, 1] to features (images, 5624)."""
    pixels = normalised(rgb.contiguous(memory_format=torch.channels_last))
    return backbone(pixels.to(next(backbone.parameters()).device)).cpu()


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


def standardise(tower: VisionTower, features: Tensor) -> Tensor:
    """Have the tower standardise as these features (versions, images, features) want it, and return
    them standardised, on its device."""
    features = features.to(tower.mean.device)
    tower.mean.copy_(features.flatten(0, 1).mean(0))
    tower.deviation.copy_(features.flatten(0, 1).std(0) + 1e-3)
    return (features - tower.mean) / tower.deviation
