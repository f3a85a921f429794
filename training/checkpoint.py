"""Checkpoints that survive: written whole, read back, and checked before they are believed.

checkpoints/000020000/weights.safetensors   G, D and the average of G
                     /state.pt              optimisers and counters
                     /manifest.json         SHA-256 of both; healthy: no collapse was in sight
"""

import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from data.errors import MissingError
from data.files import (
    atomic_folder,
    partial_path,
    read_json,
    sha256_file,
    storage_errors,
    write_json,
)
from training.world import by_writer

KEPT = 2
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
STATE = "state.pt"
NAME = re.compile(r"\d{9,}(-\d+)?")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: weights by name, and the rest of the trainer's state."""

    weights: dict[str, Tensor]
    state: dict[str, Any]


@by_writer
def save_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], state: Mapping[str, Any], healthy: bool
) -> None:
    """Write a checkpoint, read it back, then remove all but the newest two.

    The newest one that was `healthy` stays too: it is where a rollback goes. A checkpoint is never
    written over: the same images after the same rollbacks are the same state, and after another
    rollback the name is another one.

    Args:
        state: with `nimg` and `rollbacks`, which make the name.

    Raises:
        MissingError: the disk is full or not writable; the checkpoints before are intact.
    """
    path = folder / _name(state["nimg"], state["rollbacks"])
    if path.exists():
        if damage(path) is None:
            return
        with storage_errors(path):
            remove(path)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    files = {WEIGHTS: serialise(weights), STATE: buffer.getvalue()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with atomic_folder(path, sum(len(content) for content in files.values())) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        write_json(partial / MANIFEST, {"healthy": healthy, "sha256": digests})
    if problem := damage(path):
        raise MissingError(f"{path} did not read back as it was written: {problem}; check the disk")
    with storage_errors(path):
        _prune(folder, path)


def load_checkpoint(
    folder: Path, warn: Callable[[str], None], *, healthy: bool = False
) -> Checkpoint:
    """The newest checkpoint that is whole; a damaged one is passed over, aloud.

    Args:
        healthy: pass over those saved while the collapse monitor was alarmed.

    Raises:
        MissingError: there is none.
    """
    for path in reversed(_paths(folder)):
        if problem := damage(path):
            warn(f"{path} is damaged ({problem}): going back to the checkpoint before it")
        elif read_json(path / MANIFEST)["healthy"] or not healthy:
            state = torch.load(path / STATE, weights_only=True, map_location="cpu")
            return Checkpoint(safetensors.torch.load_file(path / WEIGHTS), state)
    raise MissingError(f"{folder} holds no checkpoint to go on from; start a new run")


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None. Single flipped bits load without an error from
    both formats, so nothing but the digest can tell.
    """
    try:
        manifest = read_json(path / MANIFEST)
        if not isinstance(manifest["healthy"], bool):
            return f"{MANIFEST} is not as it was written"
        digests = manifest["sha256"]
        wrong = [n for n in (WEIGHTS, STATE) if sha256_file(path / n) != digests[n]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return f"{', '.join(wrong)} does not match its SHA-256" if wrong else None


def serialise(weights: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file. Weights in another memory format are laid out plainly."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, metadata
    )


def remove(path: Path) -> None:
    """Remove a checkpoint so that no kill leaves half of it under its own name."""
    os.replace(path, partial_path(path))
    shutil.rmtree(partial_path(path))


def _name(nimg: int, rollbacks: int) -> str:
    return f"{nimg:09d}-{rollbacks}" if rollbacks else f"{nimg:09d}"


def _age(path: Path) -> tuple[int, int]:
    """(rollbacks, images seen): what is later has more of the first, then of the second."""
    nimg, _, rollbacks = path.name.partition("-")
    return int(rollbacks or 0), int(nimg)


def _paths(folder: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted((p for p in folder.iterdir() if NAME.fullmatch(p.name)), key=_age)


def _prune(folder: Path, newest: Path) -> None:
    """Keep the newest ones that are whole, and the newest of these that is healthy."""
    whole = [path for path in _paths(folder) if damage(path) is None]
    healthy = [path for path in whole if read_json(path / MANIFEST)["healthy"]]
    kept = {newest, *whole[-KEPT:], *healthy[-1:]}
    for path in _paths(folder):
        if path not in kept:
            remove(path)
