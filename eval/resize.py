"""Pillow's antialiased bicubic, in float, as two matrix products on the images' own device.

clean-fid resizes each channel with it (Parmar et al., "On Aliased Resizing and Surprising
Subtleties in GAN Evaluation", arXiv:2104.11222). Resampling is linear and separable, so a matrix
for the rows and one for the columns say it all. Another kernel is another metric: torch's own
bicubic has a = -0.75 unless it is told to antialias, and is off by 24 grey levels.
"""

from functools import lru_cache

import torch
from torch import Tensor

A = -0.5  # Keys (1981): of his family of cubics, the one exact for parabolas
RADIUS = 2.0  # of the kernel, in source pixels when enlarging and in target pixels when shrinking


def resize(images: Tensor, size: int) -> Tensor:
    """Images, float32 [N, C, H, W] in 0..255, as [N, C, size, size], clipped to 0..255.

    Within 1e-4 of Pillow's `F` mode from 64 pixels to 299, as long as products of float32 matrices
    are made in float32 (torch's default; TF32 has ten bits).
    """
    height, width = images.shape[2:]
    rows = bicubic_matrix(height, size, images.device)
    columns = bicubic_matrix(width, size, images.device)
    return torch.matmul(rows, images @ columns.T).clamp_(0, 255)


@lru_cache(maxsize=64)
def bicubic_matrix(source: int, target: int, device: torch.device) -> Tensor:
    """What makes `target` samples of `source`: float32 [target, source], each row adding up to 1.

    Computed in float64. The kernel is as wide as Pillow's: stretched when shrinking, so that no
    source pixel is passed over; what reaches beyond the border is left out.
    """
    scale = source / target
    stretch = max(scale, 1.0)
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * scale  # [target]
    pixels = torch.arange(source, dtype=torch.float64) + 0.5  # [source]
    weights = _cubic((pixels - centres[:, None]) / stretch)  # [target, source]
    return (weights / weights.sum(1, keepdim=True)).to(device, torch.float32)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    inner = ((A + 2) * x - (A + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * A
    return torch.where(x < 1, inner, torch.where(x < RADIUS, outer, 0.0))
