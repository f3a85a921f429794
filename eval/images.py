"""What is measured: pictures of a data set, and samples of a generator, as uint8 batches."""

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.errors import UserError
from data.store import Store
from eval.extractors import float32_without_tf32
from models.registry import GAN
from models.stylegan.generator import Generator
from training.sheet import to_uint8

# A constant: with batch norm in train mode, and for drawn noise, a batch is a part of the protocol.
BATCH = 64
DIVERGED = "the generator makes numbers that are not finite: it has diverged"


class Images(Protocol):
    """A finite set of images in a fixed order."""

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[Tensor]:
        """All of them, uint8 [n, 3, H, W] with n <= BATCH."""


@dataclass(frozen=True)
class Pictures:
    """Rows of a data set.

    Attributes:
        name: what a result calls them, such as "anime19k heldout".
        rows: which, int64 [N].
    """

    name: str
    store: Store
    rows: NDArray[np.int64]

    @classmethod
    def part(cls, store: Store, part: str) -> "Pictures":
        """All of a part: `train` or `heldout`."""
        return cls(f"{store.name} {part}", store, store.rows(part))

    @classmethod
    def whole(cls, store: Store) -> "Pictures":
        """All of a data set."""
        return cls(store.name, store, np.arange(len(store)))

    def sample(self, count: int, seed: int) -> "Pictures":
        """At most `count` of them, drawn without replacement; the order of the rows stays."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(self.rows, count, replace=False)
        return Pictures(self.name, self.store, np.sort(chosen))

    @property
    def sha256(self) -> str:
        """Of the pixels and of which of them are meant."""
        digest = hashlib.sha256(self.store.card["sha256"].encode())
        digest.update(self.rows.tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self) -> Iterator[Tensor]:
        for start in range(0, len(self), BATCH):
            yield torch.from_numpy(self.store.images[self.rows[start : start + BATCH]])


@dataclass(frozen=True)
class Samples:
    """What a generator makes of seeded latents: the same images on every machine.

    A StyleGAN's noise is drawn anew for each image, as in training: layer after layer for a whole
    batch, so that it depends on BATCH.

    Attributes:
        gan: with its generator in eval mode.
        psi: truncation, which only a StyleGAN has: 1 is none.
        cutoff: truncate the first so many layers; all by default.
        train_mode: let batch norm use each batch's own statistics.

    Raises:
        UserError: psi for a generator without a mean w; train mode for one without batch norm.
    """

    gan: GAN
    count: int
    seed: int
    psi: float = 1.0
    train_mode: bool = False
    cutoff: int | None = None

    def __post_init__(self) -> None:
        if self.psi != 1 and not isinstance(self.gan.G, Generator):
            raise UserError(f"--psi {self.psi:g}: this is no StyleGAN, it has no mean w to pull to")
        if self.train_mode and not has_batch_norm(self.gan.G):
            raise UserError("--batch-norm train: this generator has no batch norm")

    def __len__(self) -> int:
        return self.count

    @torch.no_grad()
    def batches(self) -> Iterator[Tensor]:
        """Raises UserError where the generator makes numbers that are not finite."""
        draws = torch.Generator().manual_seed(self.seed)
        latents = self.gan.sample_z(self.count, draws)
        generator = self.gan.G
        if self.train_mode:  # a copy: its running statistics move
            generator = copy.deepcopy(generator).train()
        for z in latents.split(BATCH):
            images = self._images(generator, z, draws)
            if not images.isfinite().all():
                raise UserError(DIVERGED)
            yield to_uint8(images)

    @float32_without_tf32()
    def _images(self, generator: nn.Module, z: Tensor, draws: torch.Generator) -> Tensor:
        if isinstance(generator, Generator):
            return generator.synthesize(generator.map(z, self.psi, self.cutoff), draws)
        images: Tensor = generator(z)
        return images


@dataclass(frozen=True)
class Drawn:
    """What a generator makes of latents [N, ...]: with constant noise."""

    generate: Callable[[Tensor], Tensor]
    latents: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    @torch.no_grad()
    def batches(self) -> Iterator[Tensor]:
        for latents in self.latents.split(BATCH):
            with float32_without_tf32():
                images = self.generate(latents)
            yield to_uint8(images.float())


def has_batch_norm(module: nn.Module) -> bool:
    return any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in module.modules())
