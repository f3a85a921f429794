"""Animations: the one place that writes them."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from benchmarks.grids import LABEL, PAPER, enlarged, line, write
from data.files import write_atomic


def write_webp(path: Path, frames: Tensor, fps: float, labels: Sequence[str] = ()) -> None:
    """Write an animated WebP, lossless, that starts again for ever.

    A pixel becomes a square of equal ones, as in a grid. Of equal frames in a row, the file keeps
    one that stands for as long as they all would.

    Args:
        frames: uint8 [T, 3, H, W].
        labels: a line above each frame.

    Raises:
        MissingError: the disk is full or not writable.
    """
    first, *others = (enlarged(frame) for frame in frames)
    if labels:
        first, *others = map(_labelled, [first, *others], labels)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=round(1000 / fps),  # milliseconds
        loop=0,
        lossless=True,
    )
    write_atomic(path, buffer.getvalue())


def _labelled(image: Image.Image, label: str) -> Image.Image:
    """An image below a line of text."""
    canvas = Image.new("RGB", (image.width, image.height + line(LABEL)), PAPER)
    canvas.paste(image, (0, line(LABEL)))
    write(canvas, label, LABEL, (LABEL // 2, line(LABEL) // 2), "lm")
    return canvas
