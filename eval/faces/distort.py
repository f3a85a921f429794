"""Distortions of images in a known strength: they widen the training set, and test a distance.

An `amount` is one number an image, float32 [N], from 0 (untouched) to 1; a signed distortion goes
both ways, from -1. Images are float32 [N, 3, H, W] from 0 to 255. Randomness comes from the
generator alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from eval.faces.colours import from_hue, hue_chroma
from eval.faces.targets import COLUMN, has_hue, palette, relabel

MAX_TURN_DEGREES = 30.0
CLEAN = 0.3  # of the images that training leaves alone in the end

Apply = Callable[[Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Distortion:
    """One way to change images.

    Attributes:
        apply: (images, amounts, generator) -> images; a "place" maps sampling grids instead.
        kind: "place" (where pixels come from), "content", "colour" (each pixel for itself, so it
            can be asked what becomes of one colour) or "detail".
        chance: how often training applies it.
        signed: whether amounts go from -1 rather than from 0.
    """

    apply: Apply
    kind: str
    chance: float
    signed: bool = False

    @property
    def variance(self) -> float:
        """Of the amounts that training draws."""
        chance = (1.0 - CLEAN) * self.chance
        return chance / 3.0 - (0.0 if self.signed else (chance / 2.0) ** 2)


def distort(name: str, images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Images [N, 3, H, W] under one distortion; amount 0 changes nothing."""
    distortion = DISTORTIONS[name]
    if distortion.kind == "place":
        grid = _identity_grid(len(images), images.shape[-1])
        return _sample(images, distortion.apply(grid, amounts, generator))
    return distortion.apply(images, amounts, generator)


def sample_amounts(count: int, generator: torch.Generator, clean: float = CLEAN) -> Tensor:
    """Amounts [N, K] for training: several distortions an image, none for a share of them."""
    shape = (count, len(DISTORTIONS))
    chances = torch.tensor([each.chance for each in DISTORTIONS.values()])
    chosen = torch.rand(shape, generator=generator) < chances
    chosen &= torch.rand((count, 1), generator=generator) >= clean
    signed = torch.tensor([each.signed for each in DISTORTIONS.values()])
    negative = signed & (torch.rand(shape, generator=generator) < 0.5)
    return chosen * torch.rand(shape, generator=generator) * torch.where(negative, -1.0, 1.0)


def compose(
    images: Tensor,
    labels: Tensor,
    seen: Tensor,
    amounts: Tensor,
    generator: torch.Generator,
    size: int = 64,
) -> tuple[Tensor, Tensor, Tensor]:
    """All distortions in their amounts [N, K]: images [N, 3, size, size], labels, what is seen.

    Labels follow what is to be seen: turned faces lean further, and recoloured hair has the hue,
    saturation and lightness that its colour came to. Of two mirrored halves nothing is asked.
    """
    amount = dict(zip(DISTORTIONS, amounts.unbind(1), strict=True))
    grid = _identity_grid(len(images), size)
    for name in _of_kind("place"):
        grid = _on_rows(DISTORTIONS[name].apply, grid, amount[name], generator)
    images = _sample(images, grid)
    labels = labels.clone()
    labels[:, COLUMN["head_tilt"]] += MAX_TURN_DEGREES * amount["turn"]
    for name in _of_kind("content"):
        images = _on_rows(DISTORTIONS[name].apply, images, amount[name], generator)
    # The named colours ride along as further pixels.
    pixels = torch.cat([images.flatten(2), palette(labels)], dim=2)
    for name in _of_kind("colour"):
        pixels = _on_rows(DISTORTIONS[name].apply, pixels, amount[name], generator)
    images = pixels[:, :, : size * size].unflatten(2, (size, size))
    labels = relabel(labels, pixels[:, :, size * size :])
    for name in _of_kind("detail"):
        images = _on_rows(DISTORTIONS[name].apply, images, amount[name], generator)
    seen = seen & has_hue(labels) & (amount["halves"] == 0)[:, None]
    return images.round().clamp(0, 255), labels, seen


def _of_kind(kind: str) -> list[str]:
    return [name for name, distortion in DISTORTIONS.items() if distortion.kind == kind]


def _on_rows(apply: Apply, values: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    (rows,) = amounts.nonzero(as_tuple=True)
    if len(rows):
        values = values.index_copy(0, rows, apply(values[rows], amounts[rows], generator))
    return values


def _each(amounts: Tensor, values: Tensor) -> Tensor:
    """Amounts [N], shaped to broadcast against values [N, ...]."""
    return amounts.reshape(-1, *[1] * (values.dim() - 1))


# Where pixels come from: grids [N, H, W, 2] of x and y from -1 to 1, as grid_sample has them.


def _identity_grid(count: int, size: int) -> Tensor:
    return functional.affine_grid(
        torch.eye(2, 3).expand(count, 2, 3), [count, 3, size, size], False
    )


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _zoom(grid: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Up to 1.9 times nearer, about the point between the eyes and the nose."""
    middle = torch.tensor([0.0, 0.15])
    return middle + (grid - middle) / (1.0 + 0.9 * _each(amounts, grid))


def _shift(grid: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """In any direction by up to 10 of 64 pixels."""
    angle = 2.0 * math.pi * torch.rand(len(grid), generator=generator)
    way = torch.stack([angle.cos(), angle.sin()], dim=1)[:, None, None]
    return grid + 20.0 / 64.0 * _each(amounts, grid) * way


def _turn(grid: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Clockwise by up to 30 degrees."""
    angle = torch.deg2rad(MAX_TURN_DEGREES * amounts)[:, None, None]
    x, y = grid.unbind(3)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=3)


def _stretch(grid: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Wider, or (negative) taller, by up to a quarter of an octave each way."""
    ratio = torch.exp2(0.25 * amounts)
    return grid * torch.stack([1.0 / ratio, ratio], dim=1)[:, None, None]


def _warp(grid: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth random bends, of up to about 4 of 64 pixels."""
    coarse = torch.rand((len(grid), 2, 5, 5), generator=generator) - 0.5
    bend = functional.interpolate(coarse, grid.shape[1:3], mode="bicubic", align_corners=True)
    return grid + 0.25 * _each(amounts, grid) * bend.permute(0, 2, 3, 1)


# What is to be seen.


def _halves(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """One half of the picture laid mirrored over the other one; an amount below 1 lets it shine."""
    left = torch.rand(len(images), generator=generator) < 0.5
    column = torch.arange(images.shape[-1])
    covered = (column < images.shape[-1] // 2) != left[:, None]  # [N, W]
    return images + _each(amounts, images) * covered[:, None, None] * (images.flip(3) - images)


def _blend(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Another image of the batch shines through, up to half."""
    return images + 0.5 * _each(amounts, images) * (images.roll(1, 0) - images)


def _occlude(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """A rectangle of one colour over a share of the picture, up to half."""
    count, size = len(images), images.shape[-1]
    share = 0.5 * amounts
    ratio = torch.exp2(torch.rand(count, generator=generator) - 0.5)
    sides = torch.stack([share.sqrt() * ratio, share.sqrt() / ratio])  # [2, N]
    starts = (1.0 - sides) * torch.rand((2, count), generator=generator)
    place = (torch.arange(size) + 0.5) / size
    inside = (place > starts[..., None]) & (place < (starts + sides)[..., None])  # [2, N, size]
    colour = 255.0 * torch.rand((count, 3, 1, 1), generator=generator)
    return torch.where((inside[1, :, :, None] & inside[0, :, None, :])[:, None], colour, images)


# Colours: [N, 3, ...], each pixel for itself.


def shift_hue(colours: Tensor, degrees: Tensor) -> Tensor:
    """Colours [N, 3, ...] with hues moved by degrees [N], at the same saturation and lightness."""
    hue, chroma, low = hue_chroma(colours)
    return from_hue((hue + _each(degrees, hue)) % 360.0, chroma, low)


def _hue(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Round the circle of hues, either way, by up to 180 degrees."""
    way = torch.where(torch.rand(len(colours), generator=generator) < 0.5, -180.0, 180.0)
    return shift_hue(colours, way * amounts)


def _saturate(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """More colourful, up to twice; or (negative) less, down to grey."""
    grey = (colours.amax(1, keepdim=True) + colours.amin(1, keepdim=True)) / 2.0
    return (grey + (1.0 + _each(amounts, colours)) * (colours - grey)).clamp(0, 255)


def _darken(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Darker or (negative) lighter, black and white excepted: a power of up to 2.4."""
    return 255.0 * (colours / 255.0) ** torch.exp2(1.25 * _each(amounts, colours))


def _contrast(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Farther from middle grey, or (negative) nearer to it, by up to 2.3 times."""
    gain = torch.exp2(1.2 * _each(amounts, colours))
    return (127.5 + gain * (colours - 127.5)).clamp(0, 255)


def _tint(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Each channel lighter or darker in its own way."""
    way = 2.0 * torch.rand((len(colours), 3), generator=generator) - 1.0
    power = torch.exp2(amounts[:, None] * way).reshape(-1, 3, *[1] * (colours.dim() - 2))
    return 255.0 * (colours / 255.0) ** power


def _posterise(colours: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Fewer levels a channel, down to four."""
    step = (85.0 * _each(amounts, colours)).clamp(min=1e-3)
    return ((colours / step).round() * step).clamp(0, 255)


# Detail.


def _thicken(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Towards the darkest neighbour, so that lines grow, or (negative) towards the lightest."""
    dark = -functional.max_pool2d(-images, 3, 1, padding=1)
    light = functional.max_pool2d(images, 3, 1, padding=1)
    share = _each(amounts, images)
    return images + share.abs() * (torch.where(share > 0, dark, light) - images)


def _blur(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """A Gaussian of up to 3 pixels (standard deviation)."""
    at = torch.arange(images.shape[-1], dtype=torch.float32)
    variance = (3.0 * amounts[:, None, None]) ** 2 + 1e-3
    return _separable(images, (-((at - at[:, None]) ** 2) / (2.0 * variance)).exp())


def _pixelate(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Means of squares of up to 8 pixels a side."""
    cell = torch.arange(images.shape[-1]) // (1.0 + 7.0 * amounts[:, None, None])  # [N, 1, W]
    return _separable(images, (cell == cell.transpose(1, 2)).float())


def _separable(images: Tensor, weights: Tensor) -> Tensor:
    """Means with weights [N, W, W] along rows, then along columns; the picture is square."""
    weights = (weights / weights.sum(2, keepdim=True))[:, None]
    return weights @ images @ weights.transpose(2, 3)


def _noise(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of up to 50 of 255 (standard deviation), clipped."""
    noise = torch.randn(images.shape, generator=generator)
    return (images + 50.0 * _each(amounts, images) * noise).clamp(0, 255)


# ITU T.81, tables K.1 and K.2.
_LUMA = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]
_CHROMA = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    *[[99] * 8] * 4,
]
_STEPS = torch.tensor([_LUMA, _CHROMA, _CHROMA], dtype=torch.float32)[:, None, :, None]
# JFIF: RGB to YCbCr.
_YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_FREQUENCY = torch.arange(8)[:, None]
_DCT = (math.pi / 8 * (torch.arange(8) + 0.5) * _FREQUENCY).cos() * torch.where(
    _FREQUENCY == 0, math.sqrt(1 / 8), 0.5
)


def _jpeg(images: Tensor, amounts: Tensor, generator: torch.Generator) -> Tensor:
    """What JPEG does to 8x8 blocks: 0.2 is a quality of 50 and 1 of 10, colours not subsampled."""
    ycc = torch.einsum("dc,nchw->ndhw", _YCC, images - torch.tensor([128.0])[:, None, None])
    blocks = ycc.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))  # [N, 3, H/8, 8, W/8, 8]
    waves = torch.einsum("uy,vx,ncaybx->ncaubv", _DCT, _DCT, blocks)
    step = (5.0 * _each(amounts, waves) * _STEPS).clamp(min=1e-3)
    waves = (waves / step).round() * step
    blocks = torch.einsum("uy,vx,ncaubv->ncaybx", _DCT, _DCT, waves)
    ycc = blocks.flatten(4).flatten(2, 3)
    return (torch.einsum("dc,nchw->ndhw", _YCC.inverse(), ycc) + 128.0).clamp(0, 255)


DISTORTIONS = {
    "zoom": Distortion(_zoom, "place", 0.6),
    "shift": Distortion(_shift, "place", 0.5),
    "turn": Distortion(_turn, "place", 0.5, signed=True),
    "stretch": Distortion(_stretch, "place", 0.3, signed=True),
    "warp": Distortion(_warp, "place", 0.3),
    "halves": Distortion(_halves, "content", 0.05),
    "blend": Distortion(_blend, "content", 0.05),
    "occlusion": Distortion(_occlude, "content", 0.15),
    "hue": Distortion(_hue, "colour", 0.2),
    "saturation": Distortion(_saturate, "colour", 0.2, signed=True),
    "darkness": Distortion(_darken, "colour", 0.25, signed=True),
    "contrast": Distortion(_contrast, "colour", 0.25, signed=True),
    "tint": Distortion(_tint, "colour", 0.2),
    "posterise": Distortion(_posterise, "colour", 0.05),
    "lines": Distortion(_thicken, "detail", 0.2, signed=True),
    "blur": Distortion(_blur, "detail", 0.15),
    "pixelate": Distortion(_pixelate, "detail", 0.05),
    "noise": Distortion(_noise, "detail", 0.15),
    "jpeg": Distortion(_jpeg, "detail", 0.25),
}
