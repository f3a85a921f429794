"""Tiles as data URIs, in the best quality that a page has room for."""

import base64
import io
from collections.abc import Iterable, Iterator

from PIL import Image as Pixels

from benchmarks.report.parts import Columns, Gallery, Image, Part

BUDGET = 1_450_000  # characters that all pictures take, the explorer's apart
QUALITIES = (*range(85, 10, -10), 5)


def images_in(parts: Iterable[Part]) -> Iterator[Image]:
    """The images of galleries, wherever they are."""
    for part in parts:
        if isinstance(part, Columns):
            yield from images_in(part.parts)
        elif isinstance(part, Gallery):
            yield from (strip.image for strip in part.strips)


def encoded(images: Iterable[Image]) -> dict[Image, str]:
    """A data URI of each image, of one quality: the best of QUALITIES that keeps to BUDGET, or the
    least.
    """
    images = list(images)
    found: dict[Image, str] = {}
    for quality in QUALITIES:
        found = {image: jpeg(image, quality) for image in images}
        if sum(map(len, found.values())) <= BUDGET:
            break
    return found


def jpeg(image: Image, quality: int) -> str:
    """A JPEG with all of its colour: its blocks of 8 x 8 pixels end where tiles do, so that no tile
    bleeds into the next.

    Not `optimize`d: Pillow has too small a buffer for that where an image is noise.
    """
    pixels = image.tiles.permute(2, 0, 3, 1).flatten(1, 2)  # [H, N * W, 3]
    buffer = io.BytesIO()
    Pixels.fromarray(pixels.contiguous().cpu().numpy()).save(
        buffer, "JPEG", quality=quality, subsampling="4:4:4"
    )
    return data_uri("image/jpeg", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
