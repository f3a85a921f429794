"""From images to features: extracted in batches, and kept for reference sets."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from data.cache import cache_folder
from data.files import matches_digest, storage_errors, write_with_digest
from eval.extractors import Extractor
from eval.frechet import Moments
from eval.images import Images, Pictures

Features = NDArray[np.float32]
Progress = Callable[[int], None]  # is told how many images have just been seen
Watch = Callable[[str, int], AbstractContextManager[Progress]]  # ... of which, and of how many
FORMAT = 1  # raised when what is kept changes its meaning


def unwatched(what: str, count: int) -> AbstractContextManager[Progress]:
    """Nobody looks on."""
    return nullcontext(lambda done: None)


@torch.no_grad()
def extract(
    extractor: Extractor, images: Images, what: str = "images", watch: Watch = unwatched
) -> Features:
    """The features of images, float32 [N, D], in their order.

    Raises:
        UserError: the extractor does not take such images, or its features are not finite.
    """
    found = []
    with watch(f"{what}, {extractor.name}", len(images)) as progress:
        for batch in images.batches():
            found.append(extractor.embed(batch).cpu().numpy())
            progress(len(batch))
    return np.concatenate(found)


@dataclass(frozen=True)
class Reference:
    """Real images as an extractor sees them.

    Attributes:
        pictures: which images.
        features: float32 [N, D].
        moments: of the features.
    """

    pictures: Pictures
    features: Features
    moments: Moments


def reference(extractor: Extractor, pictures: Pictures, watch: Watch = unwatched) -> Reference:
    """Features and moments of real images: found once, then read from the cache.

    The cache is keyed by a hash of all that they depend on, and a damaged file is made again.
    """
    path = cache_folder("features") / f"{_key(extractor, pictures)}.safetensors"
    if not _is_intact(path):
        with storage_errors(path):  # before the work, not after it
            path.parent.mkdir(parents=True, exist_ok=True)
        features = extract(extractor, pictures, pictures.name, watch)
        arrays = {"features": features, **Moments.of(features).arrays()}
        # safetensors transposes arrays in Fortran's order, and does not say so.
        write_with_digest(path, save({k: np.asarray(v, order="C") for k, v in arrays.items()}))
    arrays = load_file(path)
    return Reference(pictures, arrays["features"], Moments.from_arrays(arrays))


def _is_intact(path: Path) -> bool:
    try:
        return matches_digest(path)
    except (OSError, IndexError):
        return False


def _key(extractor: Extractor, pictures: Pictures) -> str:
    depends_on = (
        FORMAT,
        extractor.name,
        extractor.sha256,
        extractor.size,
        extractor.resize,
        extractor.precision,
        extractor.device.type,
        torch.__version__,
        pictures.sha256,
    )
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()
