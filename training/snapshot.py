"""Snapshots: a generator's weights, raw and averaged, in one file that explains itself."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import safetensors
import torch

from data.errors import UserError
from data.files import matches_digest, write_with_digest
from models.registry import GAN, family
from training.checkpoint import serialise
from training.config import RunConfig
from training.world import by_writer

if TYPE_CHECKING:
    from training.loop import Trainer

Weights = Literal["raw", "ema"]


@by_writer
def save_snapshot(folder: Path, trainer: "Trainer") -> None:
    """Write `<nimg>.safetensors` and its SHA-256, as `sha256sum --check` reads it.

    The averaged G's batch-norm statistics must have been refreshed.

    Raises:
        MissingError: the disk is full, not writable or faulty.
    """
    # One entry: safetensors writes several in no particular order.
    metadata = {"run": json.dumps({"nimg": trainer.nimg, "config": trainer.config.to_dict()})}
    content = serialise(trainer.generator_weights(), metadata)
    write_with_digest(folder / f"{trainer.nimg:09d}.safetensors", content)


def load_snapshot(path: Path, weights: Weights = "ema") -> GAN:
    """A GAN with a snapshot's generator in eval mode; its D is untrained.

    Args:
        weights: as trained, or averaged.

    Raises:
        UserError: the file is missing or does not match its SHA-256.
    """
    try:
        intact = matches_digest(path)
    except (OSError, IndexError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not intact:
        raise UserError(f"{path} does not match its SHA-256: it is damaged; use another snapshot")
    prefix = {"raw": "G.", "ema": "G_ema."}[weights]
    with safetensors.safe_open(path, framework="pt") as file:
        config = RunConfig.from_dict(json.loads(file.metadata()["run"])["config"])
        tensors = {
            name.removeprefix(prefix): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118 - it is no mapping
            if name.startswith(prefix)
        }
    with torch.random.fork_rng():
        gan = family(config.model).build(config.options)
    gan.G.load_state_dict(tensors)
    gan.G.eval()
    return gan


def is_averaged(path: Path) -> bool:
    """Whether the averaged weights of a snapshot, or their statistics, are others than the raw."""
    with safetensors.safe_open(path, framework="pt") as file:
        return not all(
            torch.equal(file.get_tensor(name), file.get_tensor(f"G_ema.{name.removeprefix('G.')}"))
            for name in file.keys()  # noqa: SIM118 - it is no mapping
            if name.startswith("G.")
        )
