"""Batches from a store: a function of (seed, images seen) and of nothing else."""

import numpy as np
import torch
from torch import Tensor

from data.augment import Augmentation
from data.shard import mine
from data.store import Store


class Batches:
    """Real images in the order that a seed gives: every image once an epoch, epochs on end.

    On a GPU the whole set is copied there once (19,000 images take 233 MB); on a CPU batches are
    gathered from the memory-mapped file.
    """

    def __init__(
        self,
        store: Store,
        device: torch.device,
        *,
        mirror: bool = False,
        augmentations: tuple[Augmentation, ...] = (),
    ) -> None:
        """`mirror` flips each image with probability 1/2; augmentations follow it."""
        self.device = device
        self.mirror = mirror
        self.augmentations = augmentations
        self._rows = store.rows("train")
        self._images = torch.from_numpy(store.images)
        if device.type != "cpu":
            self._images = torch.from_numpy(store.images[self._rows]).to(device)
            self._rows = np.arange(len(self._rows))
        self._epoch: tuple[int, int] | None = None
        self._order = torch.empty(0, dtype=torch.int64)

    def at(self, seed: int, nimg: int, count: int) -> Tensor:
        """This process's part of the `count` images that follow `nimg` others: float
        [count / processes, 3, 64, 64] in [-1, 1].

        Mirror and augmentations draw from torch's global generator, for all of the images: how
        much an augmentation draws depends on what it draws.
        """
        # Several times as fast as indexing: [count, 3, 64, 64], uint8.
        images = torch.index_select(self._images, 0, self.rows(seed, nimg, count))
        if self.mirror:
            flip = torch.rand(count, 1, 1, 1, device=self.device) < 0.5
            images = torch.where(flip, images.flip(3), images)
        for augmentation in self.augmentations:
            images = augmentation(images)
        return mine(images).float().div_(127.5).sub_(1)

    def rows(self, seed: int, nimg: int, count: int) -> Tensor:
        """The rows of the `count` images after `nimg` others, int64 [count]; epochs may meet."""
        parts: list[Tensor] = []
        while count:
            epoch, offset = divmod(nimg, len(self._rows))
            part = self._permuted(seed, epoch)[offset : offset + count]
            parts.append(part)
            nimg += len(part)
            count -= len(part)
        return torch.cat(parts)

    def _permuted(self, seed: int, epoch: int) -> Tensor:
        """An epoch's order, on the device: steps only slice it, and wait for no copy."""
        if self._epoch != (seed, epoch):
            self._epoch = seed, epoch
            order = np.random.default_rng([seed, epoch]).permutation(self._rows)
            self._order = torch.from_numpy(order).to(self.device)
        return self._order
