"""Contact sheets."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.files import write_atomic

COLUMNS = 8


def to_uint8(images: Tensor) -> Tensor:
    """Float [N, 3, H, W] in [-1, 1] to the uint8 that is stored, rounded to the nearest."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def write_sheet(path: Path, images: Tensor) -> None:
    """Write uint8 [N, 3, H, W] as a PNG grid of eight columns; N is a multiple of eight."""
    count, channels, height, width = images.shape
    grid = images.cpu().view(count // COLUMNS, COLUMNS, channels, height, width)
    pixels = grid.permute(0, 3, 1, 4, 2).reshape(-1, COLUMNS * width, channels)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
