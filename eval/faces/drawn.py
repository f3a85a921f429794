"""Drawn faces as tensors, with their labels; distorted ones, as the network is trained on."""

from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data.faces import sample_factors
from data.faces.draw import draw_large
from eval.faces.distort import CLEAN, compose, sample_amounts
from eval.faces.targets import mirror_labels, tabulate

# Not 0 and 1: those are what people draw their data sets with.
TRAINING_SEED = 1000
HELDOUT_SEED = 1001

# Trained on at twice the size at which they are seen, so that zooming in keeps them sharp.
TRAINING_REDUCTION = 2

# uint8 [N, 3, S, S], labels [N, F] and what can be seen of them, bool [N, F].
Drawn = tuple[Tensor, Tensor, Tensor]


def draw_faces(seed: int, count: int, reduction: int = 4) -> Drawn:
    """Faces 0 to count - 1 of a seed, 256 / reduction pixels a side."""
    faces = [sample_factors(seed, index) for index in range(count)]
    side = 256 // reduction
    images = np.empty((count, 3, side, side), dtype=np.uint8)
    progress = tqdm(faces, f"faces of seed {seed}", leave=False, mininterval=1.0)
    for image, face in zip(images, progress, strict=True):
        image[:] = np.asarray(draw_large(face).reduce(reduction)).transpose(2, 0, 1)
    return torch.from_numpy(images), *tabulate(faces)


def distorted_batches(
    drawn: Drawn, size: int, generator: torch.Generator, clean: Iterable[float] = repeat(CLEAN)
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Shuffled batches, half of them mirrored, distorted anew: one for each share of clean images.

    Yields images, labels, what is seen, and the amounts of the distortions, [n, K].
    """
    for share, rows in zip(clean, _shuffled_rows(len(drawn[0]), size, generator), strict=False):
        images, labels, seen = (part[rows] for part in drawn)
        flip = (torch.rand(size, generator=generator) < 0.5)[:, None]
        images = torch.where(flip[..., None, None], images.flip(3), images).float()
        labels = torch.where(flip, mirror_labels(labels), labels)
        seen = torch.where(flip, mirror_labels(seen), seen)
        amounts = sample_amounts(size, generator, share)
        yield *compose(images, labels, seen, amounts, generator), amounts


def _shuffled_rows(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of endless epochs, `size` at a time; what is left over of an epoch is left out."""
    assert size <= count, (size, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % size].split(size)
