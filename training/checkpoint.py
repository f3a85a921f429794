"""Checkpoints that survive: written whole, read back, and checked before they are believed.

checkpoints/000020000/weights.safetensors   G, D and the average of G
                     /state.pt              optimisers and counters
                     /manifest.json         size and SHA-256 of both
"""

import io
import os
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
    sync,
    write_json,
)

KEPT = 2
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
STATE = "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: weights by name, and the rest of the trainer's state."""

    nimg: int
    weights: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path, nimg: int, weights: Mapping[str, Tensor], state: Mapping[str, Any], healthy: bool
) -> None:
    """Write `folder/<nimg>`, read it back, then remove all but the newest two.

    The newest one that was `healthy` stays too: it is where a rollback goes.

    Raises:
        MissingError: the disk is full or not writable; the checkpoints before are intact.
    """
    path = folder / f"{nimg:09d}"
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    files = {WEIGHTS: serialise(weights), STATE: buffer.getvalue()}
    if path.exists():
        remove(path)
    with atomic_folder(path, sum(len(content) for content in files.values())) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
            sync(partial / name)
        manifest = {name: sha256_file(partial / name) for name in files}
        write_json(partial / MANIFEST, {"nimg": nimg, "healthy": healthy, "sha256": manifest})
    assert damage(path) is None, f"{path} did not read back as written"
    _prune(folder)


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
        problem = damage(path)
        if problem:
            warn(f"{path} is damaged ({problem}): going back to the checkpoint before it")
            continue
        manifest = read_json(path / MANIFEST)
        if healthy and not manifest["healthy"]:
            continue
        state = torch.load(path / STATE, weights_only=True, map_location="cpu")
        return Checkpoint(manifest["nimg"], safetensors.torch.load_file(path / WEIGHTS), state)
    raise MissingError(f"{folder} holds no checkpoint to go on from; start a new run")


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None. Single flipped bits load without an error from
    both formats, so nothing but the digest can tell.
    """
    try:
        digests = read_json(path / MANIFEST)["sha256"]
        wrong = [name for name, digest in digests.items() if sha256_file(path / name) != digest]
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


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def _prune(folder: Path) -> None:
    paths = _paths(folder)
    kept = {*paths[-KEPT:], *[path for path in paths if _is_healthy(path)][-1:]}
    for path in paths:
        if path not in kept:
            remove(path)


def _is_healthy(path: Path) -> bool:
    return damage(path) is None and read_json(path / MANIFEST)["healthy"]
