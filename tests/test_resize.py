"""The resize in front of an extractor: what Pillow does, computed otherwise."""

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from eval.resize import bicubic_matrix, resize

BOUND = 1e-4  # grey levels, of 255
SIZES = [
    (64, 64, 299),
    (32, 48, 299),
    (299, 299, 64),
    (512, 400, 299),
    (7, 300, 100),
    (300, 301, 299),
    (64, 64, 64),
    (1, 2, 5),
    (5, 3, 1),
]


def noise(*shape: int) -> Tensor:
    """Noise of all grey levels: it overshoots at both ends."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()


def pillow(image: Tensor, size: int) -> Tensor:
    """[H, W] through Pillow's float mode, clipped."""
    resized = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).clamp(0, 255)


@pytest.mark.parametrize(("height", "width", "size"), SIZES)
def test_it_is_pillows(height: int, width: int, size: int) -> None:
    image = noise(height, width)
    found = resize(image[None, None], size)[0, 0]
    assert found.shape == (size, size)
    assert (found - pillow(image, size)).abs().max() < BOUND


def test_it_is_clean_fids() -> None:
    images = noise(2, 3, 64, 64)
    clean = build_resizer("clean")
    theirs = np.stack([clean(image.permute(1, 2, 0).byte().numpy()) for image in images])
    ours = resize(images, 299)
    assert ours.dtype == torch.float32
    assert (ours - torch.from_numpy(theirs).permute(0, 3, 1, 2)).abs().max() < BOUND


@pytest.mark.parametrize(("size", "antialias"), [(299, False), (32, False), (299, True)])
def test_torchs_own_is_another(size: int, antialias: bool) -> None:
    image = noise(64, 64)
    torchs = F.interpolate(image[None, None], size, mode="bicubic", antialias=antialias)
    off = (torchs[0, 0].clamp(0, 255) - pillow(image, size)).abs().max()
    assert off > (BOUND if antialias else 10)


@pytest.mark.parametrize(("source", "target"), [(64, 299), (299, 64), (10, 7), (3, 1), (1, 3)])
def test_a_matrix_keeps_brightness_and_mirrors(source: int, target: int) -> None:
    matrix = bicubic_matrix(source, target, torch.device("cpu"))
    assert matrix.shape == (target, source)
    torch.testing.assert_close(matrix.sum(1), torch.ones(target))
    torch.testing.assert_close(matrix, matrix.flip(0, 1))


def test_parabolas_are_kept_away_from_the_border() -> None:
    # Keys' cubic with a = -1/2 is exact for them; with any other a it is not.
    centres = (torch.arange(299) + 0.5) * 64 / 299
    found = bicubic_matrix(64, 299, torch.device("cpu")) @ ((torch.arange(64) + 0.5) ** 2)
    torch.testing.assert_close(found[20:-20], centres[20:-20] ** 2, atol=1e-3, rtol=1e-5)


def test_nothing_leaves_the_range() -> None:
    found = resize(noise(1, 1, 64, 64).gt(127) * 255.0, 299)
    assert found.min() == 0
    assert found.max() == 255
