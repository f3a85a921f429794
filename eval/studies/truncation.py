"""What truncation does: attributes, distance, precision and recall against psi."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eval.effects import Effect, Vectors, frame, read, share_moved
from eval.extractors import Extractor
from eval.features import Features, Progress, Reference, Watch, extract, reference, unwatched
from eval.frechet import Moments, frechet_distance
from eval.images import Drawn, Samples
from eval.manifold import manifold
from eval.measure import Real
from eval.metrics import value_name
from eval.studies.gaussian import GROUPS, jackknife
from models.registry import GAN
from models.stylegan.generator import Generator

BASES = 200
FAKES = 1000


def truncation_effects(
    gan: GAN,
    psis: Sequence[float],
    cutoff: int | None,
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> pd.DataFrame:
    """How far attributes are from the mean face's, as a share of the way to the plain face's.

    Over BASES seeded latents. 1 is the plain face and 0 the mean one; below 0 an attribute is
    opposite to the plain face's. A row for each psi and attribute.
    """
    mean, plain, truncated = truncated_attributes(gan, psis, cutoff, extractor, seed, watch)
    return pd.concat(
        frame(share_moved(mean, plain, found, seed), psi=psi)
        for psi, found in zip(psis, truncated, strict=True)
    )


def truncated_attributes(
    gan: GAN,
    psis: Sequence[float],
    cutoff: int | None,
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> tuple[Vectors, Vectors, list[Vectors]]:
    """The attributes of BASES faces at psi 0, at psi 1, and at each of `psis`."""
    generator = gan.G
    assert isinstance(generator, Generator)
    z = gan.sample_z(BASES, torch.Generator().manual_seed(seed))

    def look(psi: float) -> Vectors:
        def generate(batch: torch.Tensor) -> torch.Tensor:
            return generator.synthesize(generator.map(batch, psi, cutoff))

        return read(extractor, Drawn(generate, z), f"psi {psi:g}", watch)

    return look(0.0), look(1.0), [look(psi) for psi in psis]


def truncation_quality(
    gan: GAN,
    psis: Sequence[float],
    cutoff: int | None,
    real: Real,
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> pd.DataFrame:
    """Distance, precision, recall, density and coverage of FAKES images: rows for each psi.

    Intervals by jackknife over the images. `floor` is what as many other real images get.
    """
    references = {part: reference(extractor, each, watch) for part, each in real.parts.items()}
    floors: dict[str, dict[str, float]] = {}
    if real.spare and len(real.spare) >= FAKES:
        spare = reference(extractor, real.spare.sample(FAKES, seed), watch).features
        floors = {part: values(spare, known) for part, known in references.items()}
    tables = []
    for psi in psis:
        fakes = Samples(gan, FAKES, seed, psi, cutoff=cutoff)
        features = extract(extractor, fakes, f"psi {psi:g}", watch)
        for part, known in references.items():
            with watch(f"psi {psi:g}, {part}: intervals", FAKES * GROUPS) as progress:
                found = pd.DataFrame(quality(features, known, progress))
            named = [f"{value_name(name, extractor, FAKES)}_{part}" for name in found["attribute"]]
            table = found.assign(
                psi=psi,
                metric=named,
                floor=found["attribute"].map(floors.get(part, {})),
                reference=known.pictures.name,
                reference_sha256=known.pictures.sha256,
                reference_images=len(known.pictures),
                note=real.note,
            )
            tables.append(table.drop(columns="attribute").rename(columns={"count": "fakes"}))
    return pd.concat(tables, ignore_index=True)


def quality(fakes: Features, real: Reference, progress: Progress) -> list[Effect]:
    """Each of `values` of fakes [N, D], with its interval; after N * GROUPS images seen."""

    def of_some(rows: NDArray[np.int64]) -> dict[str, float]:
        progress(len(rows))
        return values(fakes[rows], real)

    return jackknife(of_some, len(fakes), GROUPS)


def values(fakes: Features, real: Reference) -> dict[str, float]:
    """The distance of fakes [N, D], by the name of its metric, and where they lie."""
    distance = frechet_distance(Moments.of(fakes), real.moments)
    return {"fd": distance, **asdict(manifold(reals=real.features, fakes=fakes))}
