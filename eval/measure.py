"""From images to rows of results: each number with its floor and its whole protocol."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import UserError
from eval.extractors import Extractor
from eval.features import Features, Reference, Watch, extract, reference, unwatched
from eval.frechet import TooFewImages
from eval.images import Images, Pictures, Samples
from eval.metrics import COMPUTE, LEAST, PATH_LENGTH, Value, value_name
from eval.path_length import path_length
from models.stylegan.generator import Generator

Row = dict[str, Any]
FLOOR_SEED = 0


@dataclass(frozen=True)
class Real:
    """Real images to measure against.

    Attributes:
        parts: references by name. The first one ranks; they should be of one size, since the bias
            of a distance depends on it.
        spare: other real images, which show what as many real ones in the fakes' place would get.
        note: what must be said of them beside each number.
    """

    parts: Mapping[str, Pictures]
    spare: Pictures | None = None
    note: str = ""


class Gauge:
    """An extractor and the real images that it has seen: measures fakes against them."""

    def __init__(self, extractor: Extractor, real: Real, watch: Watch = unwatched) -> None:
        """Nothing is looked at yet.

        Args:
            watch: is told what is being looked at, and how far that is.

        Raises:
            UserError: a reference is too small.
        """
        for pictures in real.parts.values():
            if len(pictures) < LEAST:
                raise UserError(
                    f"{pictures.name} has {len(pictures)} images: a reference needs {LEAST}"
                )
        self.extractor = extractor
        self._real = real
        self._watch = watch
        self._references: dict[str, Reference] = {}
        self._floors: dict[tuple[str, str, int], dict[str, float | None]] = {}

    def rows(self, fakes: Images, kinds: Sequence[str], seed: int) -> Iterator[Row]:
        """A row for each value of each kind of metric, against each part of the real images.

        What there are too few images for is left empty, and `note` says so.

        Args:
            seed: of what is drawn here: subsets.

        Raises:
            UserError: the extractor does not take the images, or a path length cannot be had.
        """
        protocol = {**protocol_of(self.extractor), "fakes": len(fakes), "sample_seed": seed}
        if PATH_LENGTH in kinds:
            yield self._path_length(fakes) | protocol
        compared = [kind for kind in kinds if kind != PATH_LENGTH]
        if not compared:
            return
        features = extract(self.extractor, fakes, "fakes", self._watch)
        for part, pictures in self._real.parts.items():
            against = {
                "reference": pictures.name,
                "reference_sha256": pictures.sha256,
                "reference_images": len(pictures),
            }
            for kind in compared:
                floors = self._floor(kind, part, len(fakes))
                for value in _values(kind, features, self._reference(part), seed):
                    notes = [value.note, self._lack(len(fakes)), self._real.note]
                    yield {
                        "metric": f"{value_name(value.name, self.extractor, len(fakes))}_{part}",
                        "value": value.number,
                        "floor": floors.get(value.name),
                        **protocol,
                        **against,
                        "note": "; ".join(filter(None, notes)),
                    }

    def _reference(self, part: str) -> Reference:
        if part not in self._references:
            pictures = self._real.parts[part]
            self._references[part] = reference(self.extractor, pictures, self._watch)
        return self._references[part]

    def _floor(self, kind: str, part: str, count: int) -> dict[str, float | None]:
        """A metric's values of `count` spare images; none where there are too few of them."""
        key = kind, part, count
        if key not in self._floors:
            values: list[Value] = []
            if self._real.spare and not self._lack(count):
                spare = self._real.spare.sample(count, FLOOR_SEED)
                features = reference(self.extractor, spare, self._watch).features
                values = _values(kind, features, self._reference(part), FLOOR_SEED)
            self._floors[key] = {value.name: value.number for value in values}
        return self._floors[key]

    def _lack(self, count: int) -> str:
        """Why there is no floor; nothing if there is one."""
        found = len(self._real.spare) if self._real.spare else 0
        if found >= count:
            return ""
        return f"no floor: it takes {count:,} other real images, there are {found:,}"

    def _path_length(self, fakes: Images) -> Row:
        if not isinstance(fakes, Samples):
            raise UserError(f"--metrics {PATH_LENGTH}: only a run's generator has paths")
        if fakes.train_mode:
            raise UserError(f"--metrics {PATH_LENGTH}: in train mode, images depend on each other")
        if self.extractor.precision != "fp32":
            raise UserError(f"--metrics {PATH_LENGTH}: its steps are too small for low precision")
        space = "w" if isinstance(fakes.gan.G, Generator) else "z"
        with self._watch("paths", len(fakes)) as progress:
            value = path_length(fakes, self.extractor, progress)
        return {
            "metric": value_name(PATH_LENGTH, self.extractor, len(fakes), space),
            "value": value,
        }


def protocol_of(extractor: Extractor) -> Row:
    """What a row says of whose features they are."""
    return {
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "feature_precision": extractor.precision,
        "resize": f"{extractor.resize} to {extractor.size}",
    }


def _values(kind: str, fakes: Features, real: Reference, seed: int) -> list[Value]:
    """A metric's values; a single one without a number where there are too few images for it."""
    try:
        return COMPUTE[kind](fakes, real, seed)
    except TooFewImages as error:
        return [Value(kind, None, str(error))]
