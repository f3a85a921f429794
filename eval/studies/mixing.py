"""What each group of a StyleGAN's layers decides: how far attributes move from A's to B's."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from eval.effects import Vectors, frame, share_moved, vectors_of
from eval.extractors import Extractor
from eval.features import Watch, unwatched
from eval.latents import images_of
from models.registry import GAN
from models.stylegan.generator import Generator
from training.sheet import to_uint8

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
    generator = gan.G
    assert isinstance(generator, Generator)
    draws = torch.Generator().manual_seed(seed)
    ws_a, ws_b = (generator.map(gan.sample_z(PAIRS, draws)) for _ in range(2))

    def read(what: str, ws: torch.Tensor) -> Vectors:
        with watch(what, len(ws)) as progress:
            found = vectors_of(to_uint8(images_of(generator.synthesize, ws)), extractor)
            progress(len(ws))
        return found

    a, b = read("A", ws_a), read("B", ws_b)
    return pd.concat(
        frame(share_moved(a, b, read(name, generator.mix(ws_a, ws_b, layers))), group=name)
        for name, layers in groups.items()
    )
