"""Metrics by name: what each computes from features, and what its values are called.

`fid5k_heldout` says what is measured, on how many fakes, against which part of the data. FID and
KID mean clean-fid's Inception features; with another extractor X they are called `fd_X`, `kd_X`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from data.errors import UserError
from eval.attributes import divergences, standing
from eval.extractors import Extractor
from eval.features import Features, Reference
from eval.frechet import Moments, frechet_distance, frechet_infinity
from eval.kernel import kernel_distance
from eval.manifold import manifold

INCEPTION, FACES = "inception", "faces"
LEAST, MOST = 64, 10**6  # images: of fewer than a data set may have, no number is worth a name


class Value(NamedTuple):
    """One number, what it is called, and what must be said beside it."""

    name: str
    number: float | None
    note: str = ""


# From the features of fakes, a reference, and a seed for what is drawn.
Compute = Callable[[Features, Reference, int], list[Value]]


def _fd(fakes: Features, real: Reference, seed: int) -> list[Value]:
    value = frechet_distance(Moments.of(fakes), real.moments)
    dimension = fakes.shape[1]
    few = min(len(fakes), len(real.features)) <= dimension
    note = f"no more images than {dimension} dimensions: biased upwards" if few else ""
    return [Value("fd", value, note)]


def _fd_inf(fakes: Features, real: Reference, seed: int) -> list[Value]:
    found = frechet_infinity(fakes, real.features, seed=seed)
    sizes = ", ".join(f"{size:,}" for size in found.sizes)
    note = f"extrapolated from {sizes} fakes and as many of {len(real.features):,} real images"
    if found.sizes[0] < len(fakes):
        note += f", so that {len(fakes) - found.sizes[0]:,} of {len(fakes):,} fakes are not used"
    return [Value("fd_inf", found.value, note)]


def _kd(fakes: Features, real: Reference, seed: int) -> list[Value]:
    found = kernel_distance(reals=real.features, fakes=fakes, seed=seed)
    return [Value("kd", found.value, f"s.d. of a subset {found.subset_std:.2g}")]


def _pr(fakes: Features, real: Reference, seed: int) -> list[Value]:
    found = manifold(reals=real.features, fakes=fakes)
    return [
        Value("precision", found.precision),
        Value("recall", found.recall),
        Value("density", found.density),
        Value("coverage", found.coverage),
    ]


def _js(fakes: Features, real: Reference, seed: int) -> list[Value]:
    trust = standing()
    return [
        Value(f"js_{attribute}", bits, f"head: {trust[attribute]['on_real']}")
        for attribute, bits in divergences(fakes, real.features).items()
    ]


COMPUTE: dict[str, Compute] = {"fd": _fd, "fd_inf": _fd_inf, "kd": _kd, "pr": _pr, "js": _js}
PATH_LENGTH = "ppl"  # of a generator, where the others are of images
KINDS = (*COMPUTE, PATH_LENGTH)
DISTANCES = ("fd", "fd_inf", "kd")  # the less, the better
# With Inception's features, these have names that are known everywhere.
INCEPTION_NAMES = {"fd": "fid", "fd_inf": "fid_inf", "kd": "kid"}


@dataclass(frozen=True)
class Metric:
    """What to measure.

    Attributes:
        kind: one of KINDS.
        spec: whose features, as `load_extractor` takes it; None where that was left open.
        num: how many fakes.
    """

    kind: str
    spec: str | None
    num: int

    @classmethod
    def parse(cls, text: str) -> "Metric":
        """`fid5k`, `kid50k`; `fd_faces5k` of a named extractor; `fd5k`, `pr5k` of any.

        Raises:
            UserError: there is no such metric, or it has too few images.
        """
        fixed = {name: (kind, INCEPTION) for kind, name in INCEPTION_NAMES.items()}
        fixed["js"] = ("js", FACES)
        names = "|".join(sorted({*KINDS, *fixed}, key=len, reverse=True))
        match = re.fullmatch(rf"\s*({names})(?:_([a-z]+))?(\d+(?:\.\d+)?)(k?)\s*", text)
        if not match:
            raise UserError(
                f"--metrics {text}: write a name and a number of images, such as fid5k or "
                f"fd_faces5k; the names are {', '.join(dict.fromkeys([*fixed, *KINDS]))}"
            )
        name, spec, number, thousands = match.groups()
        kind, only = fixed.get(name, (name, spec))
        if spec not in (None, only):
            raise UserError(f"--metrics {text}: {name} is of the features of {only}, and no others")
        num = round(float(number) * (1000 if thousands else 1))
        if not LEAST <= num <= MOST:
            raise UserError(f"--metrics {text}: it takes from {LEAST} to {MOST:,} images")
        return cls(kind, only, num)

    def __str__(self) -> str:
        """As `parse` takes it."""
        return "_".join(filter(None, [self.kind, self.spec])) + str(self.num)


def value_name(value: str, extractor: Extractor, num: int, space: str = "") -> str:
    """What a value is called: `fid5k`, `fd_faces5k`, `ppl_faces_w5k`, `fd_inception_bf16_5k`."""
    if extractor.name == INCEPTION and extractor.precision == "fp32" and value in INCEPTION_NAMES:
        name = INCEPTION_NAMES[value]
    else:
        precision = "" if extractor.precision == "fp32" else extractor.precision
        name = "_".join(filter(None, [value, extractor.name, precision, space]))
    between = "_" if name[-1].isdigit() else ""
    return name + between + (f"{num / 1000:g}k" if num >= 1000 and num % 100 == 0 else str(num))
