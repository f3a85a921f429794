"""What truncation does: attributes, distance, precision and recall against psi."""

from collections.abc import Sequence

import pandas as pd
import torch

from eval.effects import frame, share_moved, vectors_of
from eval.extractors import Extractor
from eval.features import Watch, unwatched
from eval.images import Samples
from eval.latents import truncation_grid
from eval.measure import Gauge, Real
from models.registry import GAN
from models.stylegan.generator import Generator
from training.sheet import to_uint8

BASES = 200
FAKES = 1000


def truncation_effects(
    gan: GAN, psis: Sequence[float], cutoff: int | None, extractor: Extractor, seed: int = 0
) -> pd.DataFrame:
    """How far attributes are from the mean face's, as a share of the way to the plain face's.

    Over BASES seeded latents. 1 is the plain face and 0 the mean one; below 0 an attribute is
    opposite to the plain face's. A row for each psi and attribute.
    """
    generator = gan.G
    assert isinstance(generator, Generator)
    z = gan.sample_z(BASES, torch.Generator().manual_seed(seed))
    images = truncation_grid(generator, z, [0.0, 1.0, *psis], cutoff)
    mean, plain, *others = (vectors_of(to_uint8(each), extractor) for each in images)
    return pd.concat(
        frame(share_moved(mean, plain, each), psi=psi)
        for psi, each in zip(psis, others, strict=True)
    )


def truncation_quality(
    gan: GAN,
    psis: Sequence[float],
    cutoff: int | None,
    real: Real,
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> pd.DataFrame:
    """Distance, precision, recall, density and coverage of FAKES images: rows for each psi."""
    gauge = Gauge(extractor, real, watch)
    rows = []
    for psi in psis:
        fakes = Samples(gan, FAKES, seed, psi, cutoff=cutoff)
        rows += [{"psi": psi, **row} for row in gauge.rows(fakes, ["fd", "pr"], seed)]
    return pd.DataFrame(rows)
