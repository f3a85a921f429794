"""Differentiable augmentation of what D sees, reals and fakes alike (Zhao et al. 2020, 2006.10738).

Unlike real-only augmentations it does not leak into the samples, and G learns through it.
"""

import torch
from torch import Tensor

from data.shard import mine, whole

SHIFT = 1 / 8  # of the image's size, at most


def diffaug(images: Tensor) -> Tensor:
    """Change colours, then translate: float images [N, 3, H, W] in [-1, 1], each on its own."""
    return translate(change_colours(images))


def change_colours(images: Tensor) -> Tensor:
    """Brightness +- 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    shape = (3, whole(len(images)), 1, 1, 1)
    drawn = map(mine, torch.rand(shape, dtype=images.dtype, device=images.device))
    brightness, saturation, contrast = drawn  # [N, 1, 1, 1] each, in [0, 1)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Tensor) -> Tensor:
    """Shift by up to an eighth of the size along both axes; grey, 0, comes in."""
    with torch.autocast(images.device.type, enabled=False):
        down, right = (_shift_matrices(images, size) for size in images.shape[2:])
        return down @ images @ right.mT


def _shift_matrices(images: Tensor, size: int) -> Tensor:
    """A drawn shift for each image as a matrix of zeros and ones, [N, 1, size, size].

    A product with it copies exactly, and its gradient, unlike an index's, adds in a fixed order.
    """
    most = round(size * SHIFT)
    shape = (whole(len(images)), 1, 1, 1)
    shift = mine(torch.randint(-most, most + 1, shape, device=images.device))
    place = torch.arange(size, device=images.device)
    return (place[:, None] == place + shift).to(images.dtype)
