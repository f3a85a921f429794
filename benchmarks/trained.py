"""A trained generator out of a run, ready to draw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from models.registry import GAN
from models.stylegan.generator import Generator
from training.environment import resolve_device
from training.run_dir import RunDir
from training.snapshot import Weights, load_snapshot

STYLEGAN = "stylegan"


@dataclass(frozen=True)
class Trained:
    """A run's GAN with its generator as it was after `nimg` images, in eval mode."""

    run: RunDir
    gan: GAN
    nimg: int
    weights: Weights

    @property
    def title(self) -> str:
        """What a picture must say of its origin."""
        weights = {"ema": "EMA", "raw": "raw"}[self.weights]
        return f"{self.run.id}, kimg {self.nimg / 1000:.10g}, {weights} weights"

    @property
    def about(self) -> dict[str, Any]:
        """The same for a program."""
        return {"run": self.run.id, "kimg": self.nimg / 1000, "weights": self.weights}

    @property
    def generator(self) -> Generator:
        """A StyleGAN's generator."""
        assert isinstance(self.gan.G, Generator)
        return self.gan.G


def load_trained(run: RunDir, kimg: float | None, raw: bool, device: str) -> Trained:
    """The generator of a snapshot, on a device.

    Args:
        kimg: as `RunDir.snapshot` takes it.
        raw: the weights as trained, and not their average.

    Raises:
        UserError: there is no such snapshot or device, or the snapshot is damaged.
    """
    path = run.snapshot(kimg)
    weights: Weights = "raw" if raw else "ema"
    gan = load_snapshot(path, weights)
    gan.G.to(resolve_device(device)).requires_grad_(False)
    return Trained(run, gan, int(path.stem), weights)


def find_stylegan(results: Path, run: str) -> RunDir:
    """A StyleGAN run, named as `RunDir.find` takes it.

    Raises:
        UserError: there is none of that name, or it is of another family.
    """
    found = RunDir.find(results, run, STYLEGAN)
    if found.config.model != STYLEGAN:
        raise UserError(
            f"{found.id} is no StyleGAN: a DCGAN turns z straight into an image, with no styles "
            "to swap and no mean w to pull to; it has `bench latents --study walk`, `bench latents "
            "--study gaussian`, `bench directions`, `bench interpolate` and `bench generate`"
        )
    return found
