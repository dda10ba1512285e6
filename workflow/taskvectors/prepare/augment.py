"""Random variations of training images, drawn from a passed generator only.

They bridge the drawing styles of different renderings of one thing: geometry, outline,
colour, background and occlusion all vary. Nothing is mirrored here, since a flag is not its
mirror image; `vision` mirrors what may be. Strengths were chosen on held-out naming alone.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from taskvectors.models.embedded_vision import on_background


def _uniform(low: float, high: float, shape: tuple[int, ...], rng: Generator) -> Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def _chosen(probability: float, count: int, rng: Generator) -> Tensor:
    """A mask (count, 1, 1, 1), True with ``probability``."""
    return (torch.rand(count, generator=rng) < probability).view(-1, 1, 1, 1)


def _warp(images: Tensor, rng: Generator) -> Tensor:
    count = len(images)
    angle = _uniform(-0.35, 0.35, (count,), rng)
    scale = _uniform(0.75, 1.25, (count, 1), rng) * _uniform(0.88, 1.14, (count, 2), rng)
    shear = _uniform(-0.15, 0.15, (count,), rng)
    rotation = torch.stack(
        [torch.cos(angle), -torch.sin(angle) + shear, torch.sin(angle), torch.cos(angle)], dim=1
    ).view(count, 2, 2)
    matrix = torch.cat(
        [rotation / scale.unsqueeze(1), _uniform(-0.15, 0.15, (count, 2, 1), rng)], dim=2
    )
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _some(
    probability: float, rgb: Tensor, rng: Generator, change: Callable[[Tensor], Tensor]
) -> None:
    """``rgb`` with ``change`` made to each image with ``probability``, in place."""
    chosen = torch.rand(len(rgb), generator=rng) < probability
    if chosen.any():
        rgb[chosen] = change(rgb[chosen])


def _darker_edges(rgb: Tensor) -> Tensor:
    edges = (F.max_pool2d(rgb, 3, 1, 1) + F.max_pool2d(-rgb, 3, 1, 1)).amax(1, keepdim=True)
    return rgb * (1 - edges)


def _redraw(rgb: Tensor, rng: Generator) -> Tensor:
    """Blur, thin or thicken outlines, or darken edges."""
    _some(0.3, rgb, rng, lambda some: F.avg_pool2d(some, 3, stride=1, padding=1))
    _some(0.15, rgb, rng, lambda some: F.max_pool2d(some, 3, 1, 1))
    _some(0.1, rgb, rng, lambda some: -F.max_pool2d(-some, 3, 1, 1))
    _some(0.2, rgb, rng, _darker_edges)
    return rgb


def _hue_matrix(angle: Tensor) -> Tensor:
    """Rotation about the grey axis, (n,) radians to (n, 3, 3)."""
    cos, sin = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return cos * torch.eye(3) + sin * cross + (1 - cos) * torch.full((3, 3), 1 / 3)


def _recolour(rgb: Tensor, rng: Generator) -> Tensor:
    count = len(rgb)
    grey = rgb.mean(1, keepdim=True)
    rgb = grey + (rgb - grey) * _uniform(0.5, 1.4, (count, 1, 1, 1), rng)
    turn = _hue_matrix(_uniform(-math.radians(18), math.radians(18), (count,), rng))
    rgb = torch.einsum("nij,njhw->nihw", turn, rgb)
    rgb = (rgb - 0.5) * _uniform(0.75, 1.25, (count, 1, 1, 1), rng) + 0.5
    rgb = rgb + _uniform(-0.12, 0.12, (count, 1, 1, 1), rng)
    rgb = rgb * _uniform(0.85, 1.15, (count, 3, 1, 1), rng)
    return torch.where(_chosen(0.06, count, rng), rgb.mean(1, keepdim=True).expand_as(rgb), rgb)


def _erase(rgb: Tensor, rng: Generator) -> Tensor:
    """Cover one square of 10 to 35 % of the side with a random colour, one time in four."""
    count, _, height, width = rgb.shape
    side = _uniform(0.1, 0.35, (count, 1, 1), rng)
    top, left = (_uniform(0, 1, (count, 1, 1), rng) * (1 - side) for _ in range(2))
    rows = (torch.arange(height) / height).view(1, -1, 1)
    columns = (torch.arange(width) / width).view(1, 1, -1)
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    colour = torch.rand((count, 3, 1, 1), generator=rng)
    return torch.where(inside.unsqueeze(1) & _chosen(0.25, count, rng), colour, rgb)


def augment(images: Tensor, rng: Generator) -> Tensor:
    """Premultiplied RGBA (n, 4, h, w) in [0, 1] to varied RGB (n, 3, h, w) in [0, 1], float32."""
    count = len(images)
    white = torch.ones(count, 3, 1, 1)
    colour = torch.rand((count, 3, 1, 1), generator=rng)
    background = torch.where(_chosen(0.4, count, rng), colour, white)
    rgb = on_background(_warp(images, rng), background)
    rgb = _erase(_recolour(_redraw(rgb, rng), rng), rng)
    noise = torch.randn(rgb.shape, generator=rng) * 0.03
    return (rgb + noise).clamp(0, 1)
