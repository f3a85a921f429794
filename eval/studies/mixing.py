"""What each group of a StyleGAN's layers decides: how far attributes move from A's to B's."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from eval.effects import Vectors, frame, read, share_moved
from eval.extractors import Extractor
from eval.features import Watch, unwatched
from eval.images import Drawn
from models.registry import GAN
from models.stylegan.generator import Generator

PAIRS = 200


def mixing_effects(
    gan: GAN,
    groups: Mapping[str, Sequence[int]],
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> pd.DataFrame:
    """Each attribute's share of the way from A to B, when B gives the layers of a group.

    Over PAIRS pairs of seeded latents: 0 is none of the way and 1 all of it. A row for each group
    and attribute.
    """
    a, b, mixed = mixed_attributes(gan, groups, extractor, seed, watch)
    return pd.concat(
        frame(share_moved(a, b, found, seed), group=name) for name, found in mixed.items()
    )


def mixed_attributes(
    gan: GAN,
    groups: Mapping[str, Sequence[int]],
    extractor: Extractor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> tuple[Vectors, Vectors, dict[str, Vectors]]:
    """The attributes of A, of B, and of A with each group's layers from B: PAIRS of each."""
    generator = gan.G
    assert isinstance(generator, Generator)
    draws = torch.Generator().manual_seed(seed)
    ws_a, ws_b = (generator.map(gan.sample_z(PAIRS, draws)) for _ in range(2))

    def look(what: str, ws: torch.Tensor) -> Vectors:
        return read(extractor, Drawn(generator.synthesize, ws), what, watch)

    a, b = look("A", ws_a), look("B", ws_b)
    mixed = {name: look(name, generator.mix(ws_a, ws_b, groups[name])) for name in groups}
    return a, b, mixed
