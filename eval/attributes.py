"""Attributes of faces: what the `faces` network reads in its own features, and how they spread."""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eval.divergence import binned, jensen_shannon
from eval.faces import FacesNet, load_faces
from eval.faces.targets import LABELLED, TARGETS, UNVALIDATED, Target
from eval.features import Features

BINS = 20  # of a scalar's range, and of the circle of hues


@torch.no_grad()
def read_attributes(features: Features) -> dict[str, NDArray[np.float64]]:
    """What features [N, D] of `faces` say of each factor of `data.faces`, in the factor's unit.

    Scalars and hues (in degrees) are [N], categories the probabilities of their values, [N, K].
    """
    read = _faces().factors(torch.from_numpy(features))
    return {name: values.double().numpy() for name, values in read.items()}


def standing() -> dict[str, dict[str, Any]]:
    """How far each attribute can be trusted, which every table of attributes has beside it.

    `head_score` is the head's R2 on drawn faces that it has not seen, or for categories and hues
    what corresponds (`eval.faces.train.heldout_scores`); `on_real` is whether real faces were
    labelled by eye to check it.
    """
    return {
        name: {"head_score": score, "on_real": LABELLED.get(name, UNVALIDATED)}
        for name, score in _faces().card["heldout"].items()
    }


@functools.cache
def _faces() -> FacesNet:
    return load_faces()


def divergences(fakes: Features, reals: Features) -> dict[str, float]:
    """The Jensen-Shannon divergence of each attribute, in bits, of features of `faces` [N, D]."""
    fake, real = read_attributes(fakes), read_attributes(reals)
    return {
        target.name: jensen_shannon(
            _spread(target, fake[target.name]), _spread(target, real[target.name])
        )
        for target in TARGETS
    }


def _spread(target: Target, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often each value, or each bin of values, was read."""
    if target.kind == "category":
        return values.sum(0)
    low, high = (0.0, 360.0) if target.kind == "hue" else (target.low, target.high)
    return binned(values, np.linspace(low, high, BINS + 1)).astype(np.float64)
