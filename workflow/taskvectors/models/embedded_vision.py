"""The vision side of the embedded models: squares of pixels, the vision tower, two projectors.

The `NameLookup` is **closed**: a classifier over the names it was trained on, whose sharpened
probabilities weigh the language model's own embeddings of those names. It can see nothing but
those names, and its numbers must be read so. The `OpenProjector` is **open**: it holds no table
of names and chooses among none.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from taskvectors.models.efficientnet import FEATURES, EfficientNetLite0

SIDE, MARGIN = 160, 8  # pixels: side of the square that the vision tower sees, and its white margin
NEARLY_WHITE = 250


def content_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The box of what is not nearly white, (left, top, right, bottom); the whole if all is."""
    darkest = image.convert("RGB").convert("L").point(lambda v: 255 * (v < NEARLY_WHITE))
    return darkest.getbbox() or (0, 0, *image.size)


def fit_to_square(image: Image.Image) -> Tensor:
    """An RGBA image, cropped to its content and centred, as premultiplied (4, 160, 160).

    What is outside has alpha 0, so that a background can be chosen later.
    """
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    cropped = image.crop(content_box(white))
    scale = (SIDE - 2 * MARGIN) / max(cropped.size)
    size = [max(1, round(side * scale)) for side in cropped.size]
    small = cropped.convert("RGBa").resize(size, Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    pixels = pixels.view(small.height, small.width, 4).permute(2, 0, 1).float() / 255
    left, top = (SIDE - small.width) // 2, (SIDE - small.height) // 2
    return F.pad(pixels, (left, SIDE - small.width - left, top, SIDE - small.height - top))


def on_background(images: Tensor, background: Tensor | float) -> Tensor:
    """Premultiplied RGBA (n, 4, h, w) over an RGB background gives RGB (n, 3, h, w) in [0, 1]."""
    return images[:, :3] + (1 - images[:, 3:]) * background


def normalised(rgb: Tensor) -> Tensor:
    """RGB in [0, 1] to the backbone's input range [-1, 1]."""
    return rgb * 2 - 1


class VisionTower(nn.Module):
    """The vision tower: frozen backbone, standardised features, averaged heads.

    Each of ``heads`` heads goes through ``hidden`` units to ``outputs`` numbers: the logits of
    names for a `NameLookup`, the features of an image for an `OpenProjector`. ``dropout`` is that
    of the hidden units, in training.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, outputs: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.5),
                nn.Linear(FEATURES, hidden),
                nn.BatchNorm1d(hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, outputs),
            )
            for _ in range(heads)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (images, 3, 160, 160) to the heads' mean (images, outputs)."""
        return self.seen((self.backbone(pixels) - self.mean) / self.deviation)

    def seen(self, features: Tensor) -> Tensor:
        """Standardised features (images, FEATURES) to the heads' mean (images, outputs)."""
        return torch.stack([head(features) for head in self.heads]).mean(0)


class NameLookup(nn.Module):
    """The projector: name logits to ``tokens`` input embeddings, by the names' own embeddings."""

    table: Tensor

    def __init__(self, names: int, tokens: int, width: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.register_buffer("table", torch.zeros(names, tokens, width))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (images, names) to embeddings (images, tokens, width)."""
        weights = torch.softmax(logits / self.temperature, dim=-1)
        return torch.einsum("pn,ntw->ptw", weights.to(self.table.dtype), self.table)


class OpenProjector(nn.Module):
    """The projector of the open model: an image's features to ``tokens`` input embeddings.

    Two layers, as in LLaVA-1.5. It holds no name: what it has learned of them is in its weights.
    """

    def __init__(self, features: int, hidden: int, tokens: int, width: int):
        super().__init__()
        self.tokens = tokens
        self.norm = nn.LayerNorm(features)
        self.first = nn.Linear(features, hidden)
        self.last = nn.Linear(hidden, tokens * width)

    def forward(self, features: Tensor) -> Tensor:
        """Features (images, features) to embeddings (images, tokens, width)."""
        hidden = F.gelu(self.first(self.norm(features)))
        return self.last(hidden).unflatten(-1, (self.tokens, -1))
