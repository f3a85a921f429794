"""Our numbers beside torch-fidelity's, of the same features: a second, independent opinion."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from eval.frechet import Moments, frechet_distance
from eval.kernel import kernel_distance
from eval.manifold import manifold

Features = NDArray[np.float64]


@pytest.fixture
def features() -> tuple[Features, Features]:
    """Fakes [300, 20] and reals [500, 20], with means and spreads of their own."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(20, 20))
    fakes = rng.normal(0.3, 1.1, (300, 20)) @ mixing
    return fakes, rng.normal(0.0, 1.0, (500, 20)) @ mixing


def tensors(features: tuple[Features, Features]) -> tuple[torch.Tensor, torch.Tensor]:
    fakes, reals = features
    return torch.from_numpy(fakes), torch.from_numpy(reals)


def test_frechet_distance(features: tuple[Features, Features]) -> None:
    statistics = [fid_features_to_statistics(each) for each in tensors(features)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    ours = frechet_distance(*(Moments.of(each) for each in features))
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_kernel_distance(features: tuple[Features, Features]) -> None:
    theirs = kid_features_to_metric(
        *tensors(features), kid_subsets=20, kid_subset_size=200, rng_seed=7, verbose=False
    )["kernel_inception_distance_mean"]
    fakes, reals = features
    ours = kernel_distance(reals=reals, fakes=fakes, seed=7, subsets=20, subset_size=200)
    assert ours.value == pytest.approx(theirs, rel=1e-9)


def test_precision_and_recall(features: tuple[Features, Features]) -> None:
    theirs = prc_features_to_metric(
        *tensors(features), prc_neighborhood=3, save_cpu_ram=False, verbose=False
    )
    fakes, reals = features
    ours = manifold(reals=reals, fakes=fakes)
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-6)
    assert ours.precision != pytest.approx(ours.recall, abs=0.01), "nothing tells them apart"
