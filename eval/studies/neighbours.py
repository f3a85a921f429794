"""Generated images beside the nearest training images: is it a memory, or is it new?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap, rankdata
from torch import Tensor

from eval.effects import RESAMPLES, Floats
from eval.features import Features
from eval.images import Pictures

BLOCK = 2048  # training images at a time: 100 MB of pixels
LEAST = 1e-9  # distance
CLOSEST = 0.01  # what is nearer than this share of held-out images is called close

Found = tuple[Floats, NDArray[np.int64]]


def nearest_features(queries: Features, among: Features, k: int) -> Found:
    """Distances [N, k], the least first, and places of the k nearest of M features to each of N."""
    blocks = (torch.from_numpy(block) for block in _blocks(among))
    return _nearest(torch.from_numpy(queries), blocks, min(k, len(among)))


def nearest_pixels(images: Tensor, pictures: Pictures, k: int = 1) -> Found:
    """The same for uint8 images [N, 3, H, W] and pictures, of pixels from 0 to 255.

    A distance is the root of the mean square over all of an image's numbers.
    """
    size = images[0].numel()
    blocks = (
        torch.from_numpy(pictures.store.images[rows]).flatten(1).float()
        for rows in _blocks(pictures.rows)
    )
    distances, places = _nearest(images.cpu().flatten(1).float(), blocks, k)
    return distances / size**0.5, places


def _blocks(rows: NDArray) -> Iterator[NDArray]:
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def _nearest(queries: Tensor, blocks: Iterator[Tensor], k: int) -> Found:
    best = torch.full((len(queries), k), torch.inf)
    places = torch.full((len(queries), k), -1)
    seen = 0
    for block in blocks:
        # By differences, not by a product of matrices: a copy is at 0, and not at its rounding.
        apart = torch.cdist(queries, block, compute_mode="donot_use_mm_for_euclid_dist")
        here = torch.arange(seen, seen + len(block)).expand(len(queries), -1)
        both = torch.cat([best, apart], 1)
        best, chosen = both.topk(k, largest=False)
        places = torch.cat([places, here], 1).gather(1, chosen)
        seen += len(block)
    return best.double().numpy(), places.numpy()


def memorisation(fakes: ArrayLike, heldout: ArrayLike, seed: int = 0) -> pd.DataFrame:
    """Are fakes nearer to the training set than new real images are? From distances [N], [M].

    Each is the distance of an image to its nearest training image (Meehan et al. 2020, arXiv
    2004.05675, who test the first number below). A row for each measure:
    - `auc`: how often a fake is nearer than a held-out image, of a pair drawn at random; ties count
      half. 0.5: as new as real images are; 1: copies. Below 0.5, fakes are off the data.
    - `median_ratio`: the fakes' median distance over that of held-out images.
    - `close`: fakes that are nearer than all but the nearest CLOSEST of held-out images: a few
      copies among many new faces show here.

    Intervals by bootstrap over both sets; the training set is what it is. `effect` is `none` where
    an interval holds `if_new`, which as new images as the held-out ones would have.
    """
    near, new = np.asarray(fakes, float), np.asarray(heldout, float)

    def statistics(a: Floats, b: Floats, axis: int = -1) -> Floats:
        ranks = rankdata(np.concatenate([a, b], axis=-1), axis=-1)[..., a.shape[-1] :]
        less = ranks.sum(-1) - b.shape[-1] * (b.shape[-1] + 1) / 2  # Mann and Whitney's U
        # Not by 0, where most of what was held out is in the training set.
        medians = np.median(a, axis=-1) / np.maximum(np.median(b, axis=-1), LEAST)
        limit = np.quantile(b, CLOSEST, axis=-1, keepdims=True)
        return np.stack([less / (a.shape[-1] * b.shape[-1]), medians, (a < limit).mean(-1)])

    found = bootstrap(
        (near, new),
        statistics,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        batch=100,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    table = pd.DataFrame(
        {
            "measure": ["auc", "median_ratio", "close"],
            "value": statistics(near, new),
            "low": found.low,
            "high": found.high,
            "if_new": [0.5, 1.0, CLOSEST],
            "fakes": len(near),
            "heldout": len(new),
        }
    )
    none = table["if_new"].between(table["low"], table["high"])
    return table.assign(effect=np.where(none, "none", "yes"))
