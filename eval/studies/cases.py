"""Runs as claims see them, and arms: runs that differ in nothing but the training seed."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from torch import Tensor

from eval.attributes import standing
from eval.compare import Side, arm_names
from eval.effects import Floats, Vectors, read
from eval.extractors import Extractor
from eval.features import Watch, unwatched
from eval.images import Drawn, Images, Pictures, Samples
from eval.latents import seeded_z
from eval.studies.gaussian import (
    DARKNESS,
    TREND_BASES,
    TREND_STD,
    RealFaces,
    Seen,
    gaussian,
    look,
    random_directions,
    setting_effects,
    trend_effects,
    unit_noise,
)
from eval.studies.mixing import mixed_attributes
from eval.studies.truncation import truncated_attributes
from eval.studies.verdicts import UnpriceableError
from models.registry import GAN
from models.stylegan.generator import Generator
from models.stylegan.selectors import groups
from training.config import RunConfig
from training.run_dir import EVENTS, STATS, RunDir

IMAGES = 200  # at each mean and std
FACES = 500  # of each run, where runs are compared
LEAST_SCORE = 0.3  # of a head on drawn faces: what it reads below that is mostly not there
# p is at least 1 / (directions + 1), and Holm multiplies it by the number of tests: with fewer, no
# slope could hold when all claims on latents are measured on a run of each family.
DIRECTIONS = 299

# How a run is carried out, which does not make it another one.
EXECUTION = (
    *("seed", "device", "precision", "memory_format", "compile", "ops"),
    *("tick_kimg", "snap_kimg", "save_minutes", "on_collapse"),
)

Ticks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """A run as claims see it: what they share is measured once, when it is first asked for.

    Attributes:
        rows: of the results table, its own.
        load: gives its GAN, with the generator in eval mode.
        load_real: gives its real images.
    """

    run: RunDir
    rows: pd.DataFrame
    load: Callable[[], GAN]
    load_real: Callable[[], Pictures]
    extractor: Extractor
    watch: Watch = unwatched

    @cached_property
    def config(self) -> RunConfig:
        return self.run.config

    @cached_property
    def ticks(self) -> Ticks:
        """The lines of its stats."""
        return self.run.rows(STATS)

    @cached_property
    def events(self) -> Ticks:
        return self.run.rows(EVENTS)

    @property
    def is_finished(self) -> bool:
        return bool((self.rows["status"] == "finished").all())

    def read(self, images: Images) -> Vectors:
        """The attributes of images."""
        return read(self.extractor, images, watch=self.watch)

    @cached_property
    def gan(self) -> GAN:
        return self.load()

    @cached_property
    def faces(self) -> Vectors:
        """The attributes of FACES of its faces."""
        # Not `self.gan`, which stays: there may be many runs.
        return self.read(Samples(self.load(), FACES, seed=0))

    @cached_property
    def mixed(self) -> tuple[Vectors, Vectors, dict[str, Vectors]]:
        """The attributes of A, of B, and of A with B's styles in each group of layers."""
        assert isinstance(self.gan.G, Generator)
        parts = {name: layers for name, layers in groups(self.gan.G.resolutions).items() if layers}
        return mixed_attributes(self.gan, parts, self.extractor, watch=self.watch)

    @cached_property
    def truncated(self) -> dict[float, Vectors]:
        """The attributes of the same faces at each psi that claims speak of."""
        mean, plain, (opposite, far) = truncated_attributes(
            self.gan, (-1.0, 2.0), None, self.extractor, watch=self.watch
        )
        return {-1.0: opposite, 0.0: mean, 1.0: plain, 2.0: far}

    @cached_property
    def settings(self) -> pd.DataFrame:
        noise = self._noise(IMAGES)
        return setting_effects(self.gan, noise, self._look, self._real, watch=self.watch)

    @cached_property
    def trends(self) -> pd.DataFrame:
        noise = self._noise(TREND_BASES)
        ways = random_directions(DIRECTIONS, noise.shape[1], seed=0).to(noise.device)
        return trend_effects(self.gan, noise, self._look, self._real, ways, watch=self.watch)

    def darkness(self, mean: float) -> Floats:
        """Of IMAGES faces of latents of this mean, [N]; their noise is the same at each mean."""
        latents = gaussian(self._noise(IMAGES), TREND_STD, mean)
        return self._look(Drawn(self.gan.G, latents)).qualities[DARKNESS]

    @cached_property
    def _real(self) -> RealFaces:
        return RealFaces.of(self.extractor, self.load_real(), self.watch)

    def _noise(self, count: int) -> Tensor:
        z = seeded_z(self.gan, [0])
        return unit_noise(range(count), z.shape[1]).to(z.device)

    def _look(self, images: Images) -> Seen:
        return look(self.extractor, images, self.watch)


@dataclass(frozen=True, eq=False)
class Arm:
    """Runs that differ in nothing but the training seed: claims are held against these."""

    name: str
    cases: tuple[Case, ...]

    @property
    def config(self) -> RunConfig:
        """Of any of them."""
        return self.cases[0].config

    @property
    def images(self) -> int:
        """How many each was trained on."""
        return int(self.config.data["images"])

    @property
    def kimg(self) -> float:
        return self.config.training.kimg

    @property
    def epochs(self) -> float:
        return self.kimg * 1000 / self.images

    @property
    def parameters(self) -> tuple[int, int]:
        """Of G and of D."""
        row = self.cases[0].rows.iloc[0]
        return int(row["g_parameters"]), int(row["d_parameters"])

    @property
    def finished(self) -> "Arm":
        return Arm(self.name, tuple(case for case in self.cases if case.is_finished))

    @property
    def side(self) -> Side:
        """As `eval.compare` takes it."""
        return Side(self.name, pd.concat([case.rows for case in self.cases]))

    @cached_property
    def choices(self) -> dict[str, Any]:
        """What was chosen of its network and its training, its length and the size of its data."""
        chosen = {**asdict(self.config.options), **asdict(self.config.training)}
        kept = {name: value for name, value in chosen.items() if name not in EXECUTION}
        return {**kept, "images": self.images}

    def unlike(self, other: "Arm", besides: Collection[str] = ()) -> dict[str, tuple[Any, Any]]:
        """The choices that both had to make and made differently, leaving out some."""
        mine, others = self.choices, other.choices
        return {
            name: (value, others[name])
            for name, value in mine.items()
            if name in others and value != others[name] and name not in besides
        }


def arms_of(cases: Sequence[Case]) -> list[Arm]:
    """Cases by the arm that they belong to, in their order. A seed counts once."""
    if not cases:
        return []
    names = arm_names(pd.concat([case.rows for case in cases]))
    arms: dict[str, dict[int, Case]] = {}
    for case in cases:
        arm = arms.setdefault(names[case.run.id], {})
        arm.setdefault(case.config.training.seed, case)
    return [Arm(name, tuple(of_seed.values())) for name, of_seed in arms.items()]


def readable(names: Iterable[str]) -> tuple[str, ...]:
    """Those of attributes whose heads can read them.

    Raises:
        UnpriceableError: none can: no run would teach them.
    """
    trust, asked = standing(), tuple(names)
    found = tuple(name for name in asked if trust[name]["head_score"] >= LEAST_SCORE)
    if not found:
        raise UnpriceableError(f"no head can read {', '.join(asked)} well enough")
    return found


def require_readable(names: Iterable[str]) -> None:
    """Refuse what rests on a head that cannot read.

    Raises:
        UnpriceableError: one of the attributes' heads cannot.
    """
    for name in names:
        readable([name])
