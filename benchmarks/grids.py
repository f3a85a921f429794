"""Labelled grids of images: the one place that draws them.

A pixel of an image becomes a square of equal ones: nothing is interpolated, and the picture shows
what the network made.
"""

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from data.files import write_atomic

SCALE = 2
GAP = 4
APART = 16  # between sources and what is made of them
MARGIN = 20
TITLE, HEADING, LABEL = 18, 16, 13  # sizes of letters
PAPER, INK, GREY = (255, 255, 255), (24, 24, 24), (96, 96, 96)


@dataclass(frozen=True)
class Panel:
    """A grid of images with its labels.

    Attributes:
        images: uint8 [R, C, 3, H, W].
        heading: a line above.
        rows: a label to the left of each row.
        cols: a label above each column.
        captions: a label below each image, row by row.
        sources: the first row and the first column stand apart from the rest.
    """

    images: Tensor
    heading: str = ""
    rows: Sequence[str] = ()
    cols: Sequence[str] = ()
    captions: Sequence[str] = ()
    sources: bool = False

    @property
    def cell(self) -> tuple[int, int]:
        """An image's width and height in the picture."""
        height, width = self.images.shape[-2:]
        return width * SCALE, height * SCALE

    @property
    def size(self) -> tuple[int, int]:
        """Its width and height in the picture."""
        last_x, last_y = self.place(self.images.shape[0] - 1, self.images.shape[1] - 1)
        width = max(last_x + self.cell[0], text_width(self.heading, HEADING))
        return width, last_y + self.cell[1] + self._below

    def place(self, row: int, col: int) -> tuple[int, int]:
        """Where an image begins, x and y, from the panel's upper left corner."""
        left = max((text_width(label, LABEL) + LABEL for label in self.rows), default=0)
        top = (line(HEADING) if self.heading else 0) + (line(LABEL) if self.cols else 0)
        x = left + col * (self.cell[0] + GAP) + (APART if self.sources and col else 0)
        y = top + row * (self.cell[1] + self._below + GAP) + (APART if self.sources and row else 0)
        return x, y

    @property
    def _below(self) -> int:
        return line(LABEL) if self.captions else 0


def write_grids(path: Path, title: Sequence[str], panels: Sequence[Panel]) -> None:
    """Write a PNG: the title's lines, and below them the panels.

    Raises:
        MissingError: the disk is full or not writable.
    """
    heads = [(text, TITLE if i == 0 else LABEL) for i, text in enumerate(title)]
    widths = [text_width(*head) for head in heads] + [panel.size[0] for panel in panels]
    height = sum(line(size) for _, size in heads) + sum(p.size[1] + MARGIN for p in panels)
    canvas = Image.new("RGB", (max(widths) + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    y = MARGIN
    for text, size in heads:
        write(canvas, text, size, (MARGIN, y + line(size) // 2), "lm")
        y += line(size)
    for panel in panels:
        draw_panel(canvas, panel, MARGIN, y + MARGIN // 2)
        y += panel.size[1] + MARGIN
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def draw_panel(canvas: Image.Image, panel: Panel, left: int, top: int) -> None:
    """Draw a panel with its upper left corner at (left, top)."""
    width, height = panel.cell
    write(canvas, panel.heading, HEADING, (left, top + line(HEADING) // 2), "lm")
    for row, label in enumerate(panel.rows):
        x, y = panel.place(row, 0)
        write(canvas, label, LABEL, (left + x - LABEL // 2, top + y + height // 2), "rm")
    for col, label in enumerate(panel.cols):
        x, y = panel.place(0, col)
        write(canvas, label, LABEL, (left + x + width // 2, top + y - line(LABEL) // 2), "mm")
    for index, image in enumerate(panel.images.flatten(0, 1)):
        x, y = panel.place(*divmod(index, panel.images.shape[1]))
        canvas.paste(enlarged(image), (left + x, top + y))
        if index < len(panel.captions):
            middle = (left + x + width // 2, top + y + height + line(LABEL) // 2)
            write(canvas, panel.captions[index], LABEL, middle, "mm")


def in_rows(images: Tensor, cols: int) -> Tensor:
    """Images [N, 3, H, W] in rows of `cols`, [R, cols, 3, H, W]; what is left over is paper."""
    rows = -(-len(images) // cols)
    blank = torch.full_like(images[:1], PAPER[0]).expand(rows * cols - len(images), -1, -1, -1)
    return torch.cat([images, blank]).unflatten(0, (rows, cols))


def with_sources(rows: Tensor, cols: Tensor, images: Tensor) -> Tensor:
    """Images [R, C, 3, H, W] with the sources of their rows on the left, [R, 3, H, W], and of
    their columns above, [C, 3, H, W]: [R + 1, C + 1, 3, H, W], the corner paper.
    """
    corner = torch.full_like(cols[:1], PAPER[0])
    above = torch.cat([corner, cols])[None]
    return torch.cat([above, torch.cat([rows[:, None], images], 1)])


def enlarged(image: Tensor) -> Image.Image:
    """A uint8 image [3, H, W], SCALE times as large."""
    pixels = image.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())


def write(canvas: Image.Image, text: str, size: int, place: tuple[int, int], anchor: str) -> None:
    """Write a line of text; `anchor` says which point of it is at `place`, in Pillow's letters."""
    colour = GREY if size == LABEL else INK
    ImageDraw.Draw(canvas).text(place, text, colour, font(size), anchor)


@functools.cache
def font(size: int) -> Any:
    """Pillow's own, so that a picture looks the same everywhere."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> int:
    """Pixels that a line of text takes."""
    return math.ceil(font(size).getlength(text))


def line(size: int) -> int:
    """The height of a line of text in pixels."""
    return round(size * 1.6)
