"""Latents from N(mean, std) for other means and spreads than in training: what faces become.

z is std times a draw from N(0, 1), plus mean in every variable: a step along the direction of ones.
That direction means nothing to a network, so whatever it does is held against random directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from eval.attributes import read_attributes, standing
from eval.effects import Effect, Floats, frame, mean_effect
from eval.extractors import Extractor
from eval.features import Features, Progress, Watch, reference, unwatched
from eval.frechet import Moments, frechet_distance
from eval.images import Drawn, Images, Pictures
from eval.manifold import manifold
from models.registry import GAN

STDS = (0.2, 0.4, 0.7, 1.0)
MEANS = (-1.0, -0.5, 0.0, 0.5, 1.0)
TREND_STD = 0.4  # where the means are compared
TREND_BASES = 25  # latents at each mean in each direction
GROUPS, TREND_GROUPS = 10, 5
REALS = 1000
ROUNDING = 1e-9  # of trends: equal ones are ties
DISTANCES = ("fd", "precision", "recall")

ORANGE = 30.0  # degrees: the middle of the warm hues, from red to yellow
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

# What two eyes can differ in, and by how much.
EYES: dict[str, float] = {"hue": 180.0, "size": 0.4, "openness": 1.0, "height": 2.0}

# What the source's words are taken for. Ranges are those of `data.faces`.
QUALITIES: dict[str, Callable[[dict[str, Floats]], Floats]] = {
    # The hue's nearness to orange, from -1 to 1, times the saturation: grey is neither.
    "hair warmth": lambda a: a["hair_saturation"] * np.cos(np.deg2rad(a["hair_hue"] - ORANGE)),
    # Height over width, as openness has it; size changes both.
    "eye roundness": lambda a: (a["eye_left_openness"] + a["eye_right_openness"]) / 2,
    # 1 less the mean difference in hue, size, openness and height, as shares of what can be.
    "eye symmetry": lambda a: 1 - np.mean([_apart(a, *each) for each in EYES.items()], axis=0),
    # The contrast of the mouth with the skin.
    "mouth clarity": lambda a: a["mouth_clarity"],
}
DARKNESS = "darkness"  # 1 less the mean luma of all pixels: no network is asked
READ_FROM = {
    "hair warmth": ("hair_hue", "hair_saturation"),
    "eye roundness": ("eye_left_openness", "eye_right_openness"),
    "eye symmetry": tuple(f"eye_{side}_{what}" for what in EYES for side in ("left", "right")),
    "mouth clarity": ("mouth_clarity",),
}


@dataclass(frozen=True)
class Seen:
    """What is known of N images.

    Attributes:
        features: of `faces`, float32 [N, D].
        qualities: each of QUALITIES and DARKNESS, [N].
    """

    features: Features
    qualities: dict[str, Floats]


@dataclass(frozen=True)
class RealFaces:
    """Real images as `faces` sees them.

    Attributes:
        features: of at most REALS of them, [N, D]: they make the balls of precision and recall.
        moments: of all of them.
    """

    features: Features
    moments: Moments

    @classmethod
    def of(cls, extractor: Extractor, pictures: Pictures, watch: Watch = unwatched) -> "RealFaces":
        found = reference(extractor, pictures, watch)
        order = np.random.default_rng(0).permutation(len(found.features))
        return cls(found.features[order[:REALS]], found.moments)


Look = Callable[[Images], Seen]


def unit_noise(seeds: Sequence[int], z_dim: int) -> Tensor:
    """A draw from N(0, 1) for each seed, [N, z_dim]: that of `seeded_z`, before any scaling."""
    draws = [torch.randn(1, z_dim, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.cat(draws)


def gaussian(noise: Tensor, std: float, mean: float, direction: Tensor | None = None) -> Tensor:
    """Latents [N, z_dim] from N(mean, std), of noise [N, z_dim].

    Args:
        direction: where to the mean goes, [z_dim], as long as the ones it stands for.
    """
    ones = torch.ones_like(noise[0])
    return std * noise + mean * (ones if direction is None else direction)


def random_directions(count: int, z_dim: int, seed: int) -> Tensor:
    """Directions [count, z_dim], uniform on the sphere and as long as the vector of ones."""
    draws = torch.randn(count, z_dim, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(draws) * z_dim**0.5


def look(extractor: Extractor, images: Images, watch: Watch = unwatched) -> Seen:
    """See images through the `faces` extractor, and how dark they are."""
    features, lumas = [], []
    weights = torch.tensor(LUMA)[:, None, None]
    with watch("images", len(images)) as progress:
        for batch in images.batches():
            features.append(extractor.embed(batch).cpu().numpy())
            lumas.append((batch.cpu() * weights).sum(1).mean((1, 2)).double().numpy() / 255)
            progress(len(batch))
    found = np.concatenate(features)
    return Seen(found, qualities(read_attributes(found)) | {DARKNESS: 1 - np.concatenate(lumas)})


def qualities(attributes: dict[str, Floats]) -> dict[str, Floats]:
    """Each of QUALITIES, [N], of attributes as `read_attributes` gives them."""
    return {name: of(attributes) for name, of in QUALITIES.items()}


def setting_effects(
    gan: GAN, noise: Tensor, look: Look, real: RealFaces, seed: int = 0, watch: Watch = unwatched
) -> pd.DataFrame:
    """Qualities, distance, precision and recall at each std and mean, of noise [N, z_dim].

    Intervals of qualities are by bootstrap over latents, those of distances by jackknife.

    Args:
        seed: of the bootstrap.
        watch: looks on at the distances; `look` has its own.
    """
    settings = [(std, mean) for std in STDS for mean in MEANS]
    seen = look(Drawn(gan.G, torch.cat([gaussian(noise, *setting) for setting in settings])))
    count = len(noise)
    tables = []
    with watch("distances", len(settings) * count * GROUPS) as progress:
        for place, (std, mean) in enumerate(settings):
            rows = slice(place * count, (place + 1) * count)
            effects = mean_effect({name: of[rows] for name, of in seen.qualities.items()}, seed)
            effects += jackknife(_distances_of(seen.features[rows], real, progress), count, GROUPS)
            table = frame(effects, kind="setting", std=std, mean=mean, trend="")
            tables.append(table.assign(effect="level"))  # neither yes nor none: nothing changed
    return _with_trust(pd.concat(tables, ignore_index=True))


def trend_effects(
    gan: GAN,
    noise: Tensor,
    look: Look,
    real: RealFaces,
    directions: Tensor,
    seed: int = 0,
    watch: Watch = unwatched,
) -> pd.DataFrame:
    """How each number changes with the mean, at TREND_STD, beside the same in random directions.

    A parabola through the means gives each number's `slope` and `bend` (the change per unit of the
    mean, and per unit squared: above 0, the middle has the least). `p` is the share of directions
    whose trend is at least as large: for a slope from 0, as a direction's sign is arbitrary, for a
    bend from the median. All directions have the same noise, so that under the hypothesis that ones
    are a direction like any other, p is exact. `count` says how many latents each mean has, which
    is at most TREND_BASES: the more directions, the more images.

    Args:
        noise: [N, z_dim]; the first TREND_BASES are used.
        directions: [D, z_dim] as `random_directions` draws them.
        seed: of the bootstrap.
        watch: looks on at the distances; `look` has its own.
    """
    noise = noise[:TREND_BASES]
    every = torch.cat([torch.ones_like(directions[:1]), directions])
    latents = [gaussian(noise, TREND_STD, mean, each) for each in every for mean in MEANS]
    seen = look(Drawn(gan.G, torch.cat(latents)))
    shape = (len(every), len(MEANS), len(noise))

    # Of each direction, [1 + D, S, B]; the first is that of ones.
    apart = {name: values.reshape(shape) for name, values in seen.qualities.items()}
    features = seen.features.reshape(*shape, -1)
    names = [*apart, *DISTANCES]
    tables = []
    images = len(MEANS) * len(noise)
    with watch("distances", images * (len(every) + 2 * TREND_GROUPS)) as progress:
        distances = np.array(
            [[_distances(each, real, progress) for each in one] for one in features]
        )
        averages = np.concatenate(
            [np.stack([values.mean(2) for values in apart.values()], axis=2), distances], axis=2
        )
        for degree, trend in ((1, "slope"), (2, "bend")):
            effects = mean_effect(
                {name: parabola(values[0], degree) for name, values in apart.items()}, seed
            )
            of_ones = _trends_of(features[0], real, degree, progress)
            effects += jackknife(of_ones, len(noise), TREND_GROUPS)
            table = frame(effects, kind="trend", std=TREND_STD, trend=trend)
            found = pd.DataFrame(parabola(averages.swapaxes(0, 1), degree), columns=names)
            beside = _against_random(found, trend).assign(directions=len(directions))
            tables.append(table.join(beside, on="attribute"))
    return _with_trust(pd.concat(tables, ignore_index=True))


def parabola(values: Floats, degree: int) -> Floats:
    """The coefficient of that degree of parabolas through values [S, ...] at MEANS: [...]."""
    across = values.reshape(len(MEANS), -1)
    found: Floats = np.polyfit(MEANS, across, 2)[2 - degree].reshape(values.shape[1:])
    return found


def rank_p(values: Floats, centre: float) -> float:
    """The share of values that are as far from the centre as the first, or farther, with itself.

    1 where all but the first are alike: what never varies is no measure of what chance does.
    """
    if np.ptp(values[1:]) <= ROUNDING:
        return 1.0
    far = np.abs(values - centre)
    return float((far >= far[0] - ROUNDING).mean())


def jackknife(
    statistic: Callable[[NDArray[np.int64]], dict[str, float]], count: int, groups: int
) -> list[Effect]:
    """Numbers of some of `count` images: of all, with intervals from leaving out groups in turn.

    The delete-a-group jackknife with Student's t (Kott 2001). A bootstrap will not do for distances
    of distributions: images that it takes twice make covariances and balls smaller.
    """
    rows = np.arange(count)
    whole = statistic(rows)
    without = pd.DataFrame([statistic(rows[rows % groups != group]) for group in range(groups)])
    errors = np.sqrt((groups - 1) * without.var(ddof=0))
    reach = stats.t.ppf(0.975, groups - 1) * errors
    return [
        Effect(name, value, value - reach[name], value + reach[name], count)
        for name, value in whole.items()
    ]


def std_at_mean_0(gan: GAN, noise: Tensor) -> int:
    """The most by which a pixel changes, of 255, when latents of mean 0 change their std alone."""
    images = [
        torch.cat(list(Drawn(gan.G, gaussian(noise, std, 0.0)).batches())).int() for std in STDS
    ]
    return int((torch.stack(images).amax(0) - torch.stack(images).amin(0)).max())


def _apart(attributes: dict[str, Floats], what: str, most: float) -> Floats:
    """How different the two eyes are, as a share of the most they can be."""
    found = np.abs(attributes[f"eye_left_{what}"] - attributes[f"eye_right_{what}"])
    return (np.minimum(found, 360 - found) if what == "hue" else found) / most


def _distances(features: Features, real: RealFaces, progress: Progress) -> list[float]:
    near = manifold(reals=real.features, fakes=features)
    distance = frechet_distance(Moments.of(features), real.moments)
    progress(len(features))
    return [distance, near.precision, near.recall]


def _distances_of(
    features: Features, real: RealFaces, progress: Progress
) -> Callable[[NDArray[np.int64]], dict[str, float]]:
    return lambda rows: dict(
        zip(DISTANCES, _distances(features[rows], real, progress), strict=True)
    )


def _trends_of(
    features: Features, real: RealFaces, degree: int, progress: Progress
) -> Callable[[NDArray[np.int64]], dict[str, float]]:
    """Trends of distances, of features [S, B, D] at each mean."""

    def trends(rows: NDArray[np.int64]) -> dict[str, float]:
        values = np.array([_distances(each[rows], real, progress) for each in features])
        return dict(zip(DISTANCES, parabola(values, degree), strict=True))

    return trends


def _against_random(found: pd.DataFrame, trend: str) -> pd.DataFrame:
    """What random directions' trends are like, by number, and where that of ones lies.

    Args:
        found: a row for each direction, the first that of ones.
    """
    sizes, centres = (
        (found.abs(), 0 * found.iloc[0]) if trend == "slope" else (found, found.median())
    )
    random = sizes[1:].quantile([0.025, 0.5, 0.975]).T
    random.columns = pd.Index(["random_low", "random_median", "random_high"])
    return random.assign(
        p=[rank_p(found[name].to_numpy(), float(centres[name])) for name in random.index]
    )


def _with_trust(table: pd.DataFrame) -> pd.DataFrame:
    """Beside each quality, what the worst of the heads that it is read from is worth."""
    trust = standing()
    worst = {
        quality: min((trust[name] for name in names), key=lambda each: each["head_score"])
        for quality, names in READ_FROM.items()
    }
    beside = pd.DataFrame.from_dict(worst, orient="index")
    read_from = {quality: ", ".join(names) for quality, names in READ_FROM.items()}
    return table.assign(read_from=table["attribute"].map(read_from)).join(beside, on="attribute")
