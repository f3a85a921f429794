"""Hue, saturation and lightness of tensors, as `data.faces.colours.hsl` understands them.

Colours are [N, 3, ...] from 0 to 255, hues are degrees.
"""

import torch
from torch import Tensor

# Below this chroma (the greatest channel less the least, as a share of 255) nobody names a hue.
MIN_CHROMA = 0.06


def hue_chroma(colours: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue [N, ...] in degrees, chroma [N, ...] and the least channel [N, ...], both 0 to 255."""
    high, top = colours.max(dim=1)
    low = colours.amin(dim=1)
    chroma = high - low
    # The two channels after the greatest one, round the circle of red, green and blue.
    second = colours.gather(1, ((top + 1) % 3).unsqueeze(1)).squeeze(1)
    third = colours.gather(1, ((top + 2) % 3).unsqueeze(1)).squeeze(1)
    hue = 60.0 * (2.0 * top + (second - third) / chroma.clamp(min=1e-6))
    return hue.remainder(360.0), chroma, low


def from_hue(hue: Tensor, chroma: Tensor, low: Tensor) -> Tensor:
    """The inverse of `hue_chroma`: colours [N, 3, ...]."""
    return torch.stack(
        [
            low + chroma * (((hue / 60.0 + turn) % 6.0 - 3.0).abs() - 1.0).clamp(0.0, 1.0)
            for turn in (0.0, 4.0, 2.0)
        ],
        dim=1,
    )


def to_hsl(colours: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in degrees, saturation and lightness from 0 to 1, [N, ...] each."""
    hue, chroma, low = hue_chroma(colours)
    lightness = (2.0 * low + chroma) / 510.0
    room = 1.0 - (2.0 * lightness - 1.0).abs()
    return hue, (chroma / 255.0 / room.clamp(min=1e-4)).clamp(max=1.0), lightness


def from_hsl(hue: Tensor, saturation: Tensor, lightness: Tensor) -> Tensor:
    """Colours [N, 3, ...] from hue in degrees, saturation and lightness from 0 to 1."""
    chroma = 255.0 * saturation * (1.0 - (2.0 * lightness - 1.0).abs())
    return from_hue(hue, chroma, 255.0 * lightness - chroma / 2.0)
