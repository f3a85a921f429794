"""From seed to seed and back: the frames on the way, and how evenly faces change along it."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.errors import UserError
from eval.effects import mean_effect
from eval.extractors import Extractor
from eval.features import Watch, unwatched
from eval.images import BATCH, Samples
from eval.latents import images_of, seeded_z
from eval.measure import Row
from eval.metrics import PATH_LENGTH, value_name
from eval.path_length import path_lengths, slerp
from models.registry import GAN
from models.stylegan.generator import Generator

Space = Literal["z", "w"]
Floats = NDArray[np.float64]
PATHS = 1000  # for the generator's own path length
FEWEST = 3  # ways that an interval can be had from
STILL = 1e-3  # features have a variance of 1: what moves less is rounding


def closed_path(
    points: Tensor, frames: int, between: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """Latents [N * frames, ...] from each point [N, ...] to the next, and back to the first.

    Each way begins with its point, bit for bit, and ends one step before the next.

    Args:
        between: points at t, [M, 1, ...], of the ways from starts to ends, [M, ...].
    """
    starts, ends = (each.repeat_interleave(frames, 0) for each in (points, points.roll(-1, 0)))
    t = (torch.arange(frames).to(points) / frames).repeat(len(points))
    path = between(starts, ends, t.reshape(-1, *[1] * (points.ndim - 1)))
    path[::frames] = points  # a slerp only comes close
    return path


def path_images(
    gan: GAN, seeds: Sequence[int], frames: int, psi: float = 1.0, space: Space = "z"
) -> Tensor:
    """Images [N * frames, 3, H, W] from each of N seeds to the next, and back to the first.

    Args:
        psi: truncation of a StyleGAN.
        space: along the sphere in z, or straight in w, which only a StyleGAN has.
    """
    generator, z = gan.G, seeded_z(gan, seeds)
    if not isinstance(generator, Generator):
        return images_of(generator, closed_path(z, frames, slerp))
    if space == "z":
        path = closed_path(z, frames, slerp)
        return images_of(lambda batch: generator.synthesize(generator.map(batch, psi)), path)
    return images_of(generator.synthesize, closed_path(generator.map(z, psi), frames, torch.lerp))


def path_features(extractor: Extractor, images: Tensor, watch: Watch = unwatched) -> Floats:
    """Features [N, D] of images [N, 3, H, W] in [-1, 1], not rounded: steps are small."""
    found = []
    with watch(f"frames, {extractor.name}", len(images)) as progress:
        for batch in images.split(BATCH):
            found.append(extractor.embed(((batch + 1) * 127.5).clamp(0, 255)).cpu().numpy())
            progress(len(batch))
    return np.concatenate(found).astype(np.float64)


def smoothness(features: Floats, seeds: Sequence[int], seed: int = 0) -> list[Row]:
    """How evenly faces change: a row for each measure of each way, and of their mean.

    length  the sum of the distances between features of frames that follow each other
    detour  the length over the distance between the two seeds' own images; 1 is straight
    jump    the largest step over the mean step; 1 is perfectly even

    There and back is one way. Intervals of the means are by bootstrap over ways, of which
    neighbours share a seed: they are a little narrow. Fewer than three ways have none.

    Args:
        features: [len(seeds) * frames, D], as `closed_path` orders them.
        seed: of the bootstrap.

    Raises:
        UserError: two seeds that follow each other give the same face.
    """
    pairs = list(pairwise([*seeds, seeds[0]]))
    direct = _steps(features[:: len(features) // len(seeds)])  # [N]
    if direct.min() < STILL:
        raise UserError(
            "--measure: seeds {} and {} give the same face, and nothing changes on the way".format(
                *pairs[int(direct.argmin())]
            )
        )
    steps = _steps(features).reshape(len(seeds), -1)  # [N, frames]
    length = steps.sum(1)
    found = {"length": length, "detour": length / direct, "jump": steps.max(1) / steps.mean(1)}
    ways = [i for i, pair in enumerate(pairs) if not {pair, pair[::-1]} & set(pairs[:i])]
    rows: list[Row] = [
        {"measure": name, "way": "seed {} to {}".format(*pairs[i]), "value": values[i]}
        for i in ways
        for name, values in found.items()
    ]
    if len(ways) < FEWEST:
        return rows
    return rows + [
        {"measure": mean.attribute, "way": f"mean of {mean.count}", "value": mean.value}
        | {"low": mean.low, "high": mean.high}
        for mean in mean_effect({name: values[ways] for name, values in found.items()}, seed)
    ]


def own_path_length(
    gan: GAN, psi: float, extractor: Extractor, seed: int = 0, watch: Watch = unwatched
) -> Row:
    """The path length of the generator, over PATHS random paths: a row like those of `smoothness`.

    Its paths are straight in w for a StyleGAN, whatever space was chosen here.
    """
    samples = Samples(gan, PATHS, seed, psi)
    space = "w" if isinstance(gan.G, Generator) else "z"
    with watch("paths", PATHS) as progress:
        lengths = path_lengths(samples, extractor, progress)
    name = value_name(PATH_LENGTH, extractor, PATHS, space)
    (mean,) = mean_effect({name: lengths.cpu().numpy()}, seed)
    interval = {"value": mean.value, "low": mean.low, "high": mean.high}
    return {"measure": name, "way": f"{PATHS:,} random paths", **interval}


def _steps(features: Floats) -> Floats:
    """Distances [N] from each of features [N, D] to the next, and from the last to the first."""
    found: Floats = np.linalg.norm(np.roll(features, -1, axis=0) - features, axis=1)
    return found
