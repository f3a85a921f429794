"""Contact sheets."""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from data.files import write_atomic
from training.world import by_writer

COLUMNS = 8


def to_uint8(images: Tensor) -> Tensor:
    """Float [N, 3, H, W] in [-1, 1] to the uint8 that is stored, rounded to the nearest."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@by_writer
def write_sheet(path: Path, images: Tensor) -> None:
    """Write uint8 [N, 3, H, W] as a PNG grid of eight columns; what is left of a row is black."""
    count, channels, height, width = images.shape
    rows = -(-count // COLUMNS)
    grid = torch.zeros(rows * COLUMNS, channels, height, width, dtype=torch.uint8)
    grid[:count] = images.cpu()
    grid = grid.view(rows, COLUMNS, channels, height, width).permute(0, 3, 1, 4, 2)
    buffer = io.BytesIO()
    Image.fromarray(grid.reshape(rows * height, COLUMNS * width, channels).numpy()).save(
        buffer, "PNG"
    )
    write_atomic(path, buffer.getvalue())
