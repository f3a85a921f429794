"""Batches from a store: a function of (seed, images seen) and of nothing else."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.augment import Augmentation
from data.store import Store


class Batches:
    """Real images in the order that a seed gives: every image once an epoch, epochs on end.

    On a GPU the whole set is copied there once (19,000 images take 233 MB); on a CPU batches are
    gathered from the memory-mapped file.
    """

    def __init__(
        self,
        store: Store,
        batch: int,
        device: torch.device,
        *,
        mirror: bool = False,
        augmentations: tuple[Augmentation, ...] = (),
    ) -> None:
        """`mirror` flips each image with probability 1/2; augmentations follow it."""
        self.batch = batch
        self.device = device
        self.mirror = mirror
        self.augmentations = augmentations
        self._rows = store.rows("train")
        self._images = torch.from_numpy(store.images)
        if device.type != "cpu":
            self._images = torch.from_numpy(store.images[self._rows]).to(device)
            self._rows = np.arange(len(self._rows))
        self._epoch: tuple[int, int] | None = None
        self._order: NDArray[np.int64] = self._rows

    def at(self, seed: int, nimg: int) -> Tensor:
        """The batch that follows `nimg` images: float [batch, 3, 64, 64] in [-1, 1].

        Mirror and augmentations draw from torch's global generator.
        """
        rows = torch.from_numpy(self.rows(seed, nimg)).to(self.device)
        images = self._images[rows]  # uint8 [batch, 3, 64, 64]
        if self.mirror:
            flip = torch.rand(self.batch, 1, 1, 1, device=self.device) < 0.5
            images = torch.where(flip, images.flip(3), images)
        for augmentation in self.augmentations:
            images = augmentation(images)
        return images.float() / 127.5 - 1

    def rows(self, seed: int, nimg: int) -> NDArray[np.int64]:
        """The rows of the batch that follows `nimg` images; it may span epochs."""
        rows: list[NDArray[np.int64]] = []
        wanted = self.batch
        while wanted:
            epoch, offset = divmod(nimg, len(self._rows))
            taken = self._permuted(seed, epoch)[offset : offset + wanted]
            rows.append(taken)
            nimg += len(taken)
            wanted -= len(taken)
        return np.concatenate(rows)

    def _permuted(self, seed: int, epoch: int) -> NDArray[np.int64]:
        if self._epoch != (seed, epoch):
            self._epoch = seed, epoch
            self._order = np.random.default_rng([seed, epoch]).permutation(self._rows)
        return self._order
