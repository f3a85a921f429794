"""Directions in a latent space: the principal ones, and one for each attribute; what each does.

The space is w of a StyleGAN, where directions are principal components (Harkonen et al. 2020, arXiv
2004.02546), and z of others: there they are singular vectors of the first layer's matrix (Shen &
Zhou 2021, arXiv 2007.06600), as z itself is as wide in one direction as in another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eval.effects import Effect, Floats, Vectors, frame
from eval.faces.targets import TARGETS
from eval.features import Progress, Watch, unwatched
from eval.images import Drawn
from eval.studies.gaussian import jackknife
from eval.studies.walk import Read, line_effects, on_lines
from models.registry import GAN
from models.stylegan.generator import Generator

STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations
SAMPLES = 10_000  # mapped z, whose principal directions are taken
HELDOUT = 0.2  # the share of samples that a regression is tested on
PENALTIES = np.logspace(-6, 2, 17)  # of ridge, relative to the largest squared singular value
GROUPS = 10
TURNS = 19  # of axes that mean nothing: another such lies beyond them all once in twenty times
FACTORS = "predicted by the heads of `faces`"  # a generator's own are unknown
ROUNDING = 1e-12  # of squares of numbers of about 1


@dataclass(frozen=True)
class Direction:
    """A way to go in a latent space.

    Attributes:
        name: what a picture calls it.
        step: one standard deviation along it, [D].
    """

    name: str
    step: Tensor


@dataclass(frozen=True)
class Space:
    """A latent space of a generator.

    Attributes:
        name: `w` or `z`.
    """

    gan: GAN
    name: str

    @classmethod
    def of(cls, gan: GAN) -> "Space":
        """The one that directions are sought in: w where there is one."""
        return cls(gan, "w" if isinstance(gan.G, Generator) else "z")

    def points(self, z: Tensor) -> Tensor:
        """Where latents z [N, z_dim] are in it, [N, D]."""
        return (
            self.gan.G.mapping(z) if isinstance(self.gan.G, Generator) and self.name == "w" else z
        )

    def images(self, points: Tensor) -> Tensor:
        """Images [N, 3, H, W] of points [N, D]."""
        generator = self.gan.G
        if isinstance(generator, Generator) and self.name == "w":
            ws = points[:, None].repeat(1, len(generator.resolutions), 1)
            return generator.synthesize(ws)
        return generator(points)


@torch.no_grad()
def principal(space: Space, count: int, seed: int = 0) -> list[Direction]:
    """The first `count` principal directions: those that change w, or the first layer, the most."""
    points = space.points(space.gan.sample_z(SAMPLES, torch.Generator().manual_seed(seed)))
    if isinstance(space.gan.G, Generator):
        _, singular, rows = torch.linalg.svd(points - points.mean(0), full_matrices=False)
        steps = rows * singular[:, None] / SAMPLES**0.5
    else:
        rows = torch.linalg.svd(first_layer(space.gan.G), full_matrices=False)[2]
        steps = rows * points.std()  # the same in all directions
    chosen = enumerate(signed(steps[:count]), start=1)
    return [Direction(f"principal {number}", step) for number, step in chosen]


def first_layer(generator: nn.Module) -> Tensor:
    """The matrix [F, z_dim] by which the first layer takes z to its features."""
    layers = (nn.Linear, nn.ConvTranspose2d)
    first = next(layer for layer in generator.modules() if isinstance(layer, layers))
    if isinstance(first, nn.Linear):
        return first.weight
    return first.weight.flatten(1).T  # from [z_dim, C, 4, 4]


def signed(directions: Tensor) -> Tensor:
    """Directions [N, D], turned so that each one's largest number is above 0: a sign means nothing,
    but it should be the same everywhere."""
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * largest.sign()


def strips(points: Tensor, directions: Sequence[Direction]) -> Tensor:
    """Points [L, B, S, D]: of points [B, D], each of L directions, each of STEPS along it."""
    steps = torch.stack([direction.step for direction in directions])  # [L, D]
    along = points.new_tensor(STEPS)[:, None] * steps[:, None]  # [L, S, D]
    return points[None, :, None] + along[:, None]


def direction_effects(
    space: Space, z: Tensor, directions: Sequence[Direction], read: Read, seed: int = 0
) -> pd.DataFrame:
    """The rows of `line_effects` for each direction, over the bases z [B, z_dim].

    A unit of length is a standard deviation.
    """
    lines = strips(space.points(z), directions)
    found = on_lines(read(Drawn(space.images, lines.flatten(0, 2))), lines.shape[:3])
    lengths, base = np.ones(len(z)), STEPS.index(0.0)
    tables = [
        line_effects(line, STEPS, base, lengths, seed).assign(direction=direction.name)
        for direction, line in zip(directions, found, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Linear:
    """A linear reading of targets [N, K] out of points [N, D], by ridge regression.

    Attributes:
        centre: mean [D] of the points.
        mean: mean [K] of the targets.
        weights: change of each target for each number of a point, [D, K].
    """

    centre: Floats
    mean: Floats
    weights: Floats

    def __call__(self, points: Floats) -> Floats:
        """What it reads of points [N, D]: [N, K]."""
        return self.mean + (points - self.centre) @ self.weights


def regress(points: Floats, targets: Floats) -> Linear:
    """Fit targets [N, K], each with the penalty that generalised cross-validation prefers.

    Golub, Heath & Wahba 1979, equation 1.4. Points are standardised for the penalty.
    """
    count = len(points)
    centre, mean, deviations = points.mean(0), targets.mean(0), points.std(0)
    deviations = np.where(deviations > 0, deviations, 1.0)
    u, singular, rows = np.linalg.svd((points - centre) / deviations, full_matrices=False)
    squares = np.square(singular)
    projected = u.T @ (targets - mean)  # [D, K]
    outside = np.square(targets - mean).sum(0) - np.square(projected).sum(0)
    shrunk = squares / (squares + PENALTIES[:, None] * squares.max())  # [P, D]
    errors = outside + np.square(1 - shrunk) @ np.square(projected)  # [P, K]
    freedom = count - 1 - shrunk.sum(1)
    scores = np.where(freedom[:, None] > 0, errors / np.square(freedom)[:, None], np.inf)
    best = shrunk[scores.argmin(0)].T  # [D, K]
    weights = rows.T @ (best / np.where(singular > 0, singular, np.inf)[:, None] * projected)
    return Linear(centre, mean, weights / deviations[:, None])


@dataclass(frozen=True)
class Component:
    """One number of an attribute: a scalar, the cosine or sine of a hue, the chance of a value."""

    attribute: str
    name: str
    column: int


def components() -> list[Component]:
    """All numbers of all attributes, in the order in which `side_by_side` puts them."""
    names: list[tuple[str, str]] = []
    for target in TARGETS:
        parts = {"scalar": [""], "hue": [" (cos)", " (sin)"]}.get(
            target.kind, [f": {value}" for value in target.values]
        )
        names += [(target.name, target.name + part) for part in parts]
    return [Component(*name, column) for column, name in enumerate(names)]


def columns() -> list[list[int]]:
    """The numbers of each attribute, by their places in that order."""
    numbers = components()
    return [[n.column for n in numbers if n.attribute == target.name] for target in TARGETS]


def side_by_side(vectors: Vectors) -> Floats:
    """Attributes as one matrix, [N, K]."""
    return np.concatenate([vectors[target.name] for target in TARGETS], axis=1)


@dataclass(frozen=True)
class Readings:
    """Seeded samples.

    Attributes:
        points: float64 [N, D].
        numbers: of their attributes, as `components` names them, [N, K].
        held: which of them regressions are tested on, bool [N].
    """

    points: Floats
    numbers: Floats
    held: NDArray[np.bool_]

    @classmethod
    def of(cls, space: Space, z: Tensor, numbers: Floats, seed: int = 0) -> "Readings":
        """The points of z [N, z_dim] in a space, and their images' numbers.

        Args:
            seed: of which are held out.
        """
        held = np.random.default_rng(seed).permutation(len(z)) < len(z) * HELDOUT
        return cls(space.points(z).double().cpu().numpy(), numbers, held)

    def take(self, rows: NDArray[np.int64]) -> "Readings":
        """Some of them."""
        return Readings(self.points[rows], self.numbers[rows], self.held[rows])


def sample_numbers(gan: GAN, count: int, read: Read, seed: int = 0) -> tuple[Tensor, Floats]:
    """Latents z [N, z_dim], and the numbers [N, K] of what they become."""
    z = gan.sample_z(count, torch.Generator().manual_seed(seed))
    return z, side_by_side(read(Drawn(gan.G, z)))


def explained(readings: Readings, parts: Sequence[Sequence[int]]) -> Floats:
    """R2 on held-out samples of a regression on the others, for each set of columns together.

    0 for what does not vary at all.
    """
    held = readings.held
    model = regress(readings.points[~held], readings.numbers[~held])
    actual = readings.numbers[held]
    missed = np.square(actual - model(readings.points[held])).sum(0)
    varied = np.square(actual - actual.mean(0)).sum(0)
    found = []
    for part in parts:
        total = varied[list(part)].sum()
        found.append(1 - missed[list(part)].sum() / total if total > ROUNDING else 0.0)
    return np.array(found)


def attribute_directions(
    space: Space, readings: Readings, attributes: Sequence[str] | None, count: int
) -> list[Direction]:
    """The direction of each attribute's best explained number, as a unit of its regression's
    weights, scaled to one standard deviation.

    Args:
        attributes: which; by default the `count` best explained.
    """
    numbers = components()
    r2 = explained(readings, [[number.column] for number in numbers])
    best = {}
    for place in np.argsort(r2, kind="stable"):
        best[numbers[place].attribute] = numbers[place]  # in the end the best of each
    if attributes is None:
        ranking = sorted(best, key=lambda name: -r2[best[name].column])
        attributes = ranking[:count]
    weights = regress(readings.points, readings.numbers).weights
    chosen = [best[name] for name in attributes]
    return [_along(space, readings, weights[:, part.column], part.name) for part in chosen]


def _along(space: Space, readings: Readings, weights: Floats, name: str) -> Direction:
    length = np.linalg.norm(weights)
    unit = weights / length if length > 0 else weights
    step = unit * (readings.points @ unit).std()
    device = next(space.gan.G.parameters()).device
    return Direction(name, torch.from_numpy(step).float().to(device))


def disentanglement(readings: Readings) -> dict[str, float]:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018).

    Codes are the numbers of a point; factors are attributes as the heads read them, for a
    generator's own are unknown. Informativeness is the mean R2 on held-out samples.
    """
    informativeness = float(explained(readings, columns()).mean())
    return {**dci(importances(readings)), "informativeness": informativeness}


def importances(readings: Readings) -> Floats:
    """How much each of D codes matters for each of A attributes, [D, A].

    It is the size of the code's weights in the regression, of standardised variables.
    """
    model = regress(readings.points, readings.numbers)
    scale = np.square(model.weights) * np.square(readings.points.std(0))[:, None]
    variances = readings.numbers.var(0)
    return np.stack(
        [
            np.sqrt(scale[:, part].sum(1) / total)
            if (total := variances[part].sum()) > ROUNDING
            else np.zeros(len(scale))
            for part in columns()
        ],
        axis=1,
    )


def dci(importance: Floats) -> dict[str, float]:
    """Disentanglement and completeness of importances [D, A] of D codes for A factors.

    A code that matters for one factor alone is disentangled (1), one that matters equally for all
    is not (0); codes count as much as they matter. A factor is complete (1) where one code alone
    matters for it, and each factor counts the same.
    """
    of_codes, total = _purity(importance), importance.sum()
    return {
        "disentanglement": float(of_codes @ importance.sum(1) / total) if total > 0 else 0.0,
        "completeness": float(_purity(importance.T).mean()),
    }


def _purity(importance: Floats) -> Floats:
    """1 less each row's entropy, to the base of how many there are: [N] of [N, K]; 0 if empty."""
    sums = importance.sum(1, keepdims=True)
    shares = np.divide(importance, sums, out=np.zeros_like(importance), where=sums > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    purity = 1 + (shares * logs).sum(1) / np.log(importance.shape[1])
    return np.where(sums[:, 0] > 0, purity, 0.0)


def rotation(size: int, draws: np.random.Generator) -> Floats:
    """A random orthogonal matrix [size, size], uniform but for signs."""
    return np.linalg.qr(draws.normal(size=(size, size)))[0]


def regression_rows(
    space: Space, readings: Readings, seed: int = 0, watch: Watch = unwatched
) -> pd.DataFrame:
    """R2 of each attribute on held-out samples, and DCI, with intervals by jackknife over samples.

    Disentanglement and completeness are of a space's axes: `if_turned` is what they are on average
    over TURNS in which the axes are turned at random, which leaves as much to read in the space.
    They are `none` unless their interval is above every one of those.

    Args:
        seed: of how the axes are turned.
    """
    parts, count = columns(), len(readings.points)

    def r2(some: Readings) -> dict[str, float]:
        names = [target.name for target in TARGETS]
        return dict(zip(names, explained(some, parts), strict=True))

    with watch(f"regressions on {space.name}", (2 * GROUPS + TURNS) * count) as progress:
        tables = [frame(_intervals(r2, readings, progress), measure="r2")]
        of_axes = _intervals(disentanglement, readings, progress)
        turned = pd.DataFrame(_turned(readings, seed, progress))
    for each in of_axes:
        table = frame([replace(each, attribute="all")], measure=each.attribute)
        if each.attribute in turned:
            table["if_turned"] = turned[each.attribute].mean()
            if each.low <= turned[each.attribute].max():
                table["effect"] = "none"
        tables.append(table)
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(kind="regression", space=space.name, factors=FACTORS)


def _turned(readings: Readings, seed: int, progress: Progress) -> Iterator[dict[str, float]]:
    """What `dci` is where the axes are turned at random, for each of TURNS."""
    draws = np.random.default_rng(seed)
    count, size = readings.points.shape
    for _ in range(TURNS):
        points = readings.points @ rotation(size, draws)
        yield dci(importances(replace(readings, points=points)))
        progress(count)


def _intervals(
    statistic: Callable[[Readings], dict[str, float]], readings: Readings, progress: Progress
) -> list[Effect]:
    def of_some(rows: NDArray[np.int64]) -> dict[str, float]:
        progress(len(rows))
        return statistic(readings.take(rows))

    return jackknife(of_some, len(readings.points), GROUPS)
