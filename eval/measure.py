"""From images to rows of results: each number with its floor and its whole protocol."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data.errors import UserError
from eval.extractors import Extractor
from eval.features import Features, Reference, Watch, extract, reference, unwatched
from eval.frechet import TooFewImages
from eval.images import Images, Pictures, Samples
from eval.metrics import COMPUTE, PATH_LENGTH, Value, value_name
from eval.path_length import path_length
from models.stylegan.generator import Generator

Row = dict[str, Any]


def measure(
    fakes: Images,
    parts: Mapping[str, Pictures],
    kinds: Sequence[str],
    extractor: Extractor,
    seed: int,
    watch: Watch = unwatched,
) -> Iterator[Row]:
    """A row for each value of each kind of metric, against each part of the data.

    The floor is the same value of as many other real images, in the fakes' place. What there are
    too few images for is left empty, and `note` says so.

    Args:
        parts: real images by the name of the part. A part's floor is taken from the others.
        seed: of what is drawn here: subsets, and the images of a floor.

    Raises:
        UserError: the extractor does not take the images, or a path length is asked of pictures.
    """
    protocol = {**protocol_of(extractor), "fakes": len(fakes), "sample_seed": seed}
    if PATH_LENGTH in kinds:
        yield _path_length(fakes, extractor, watch) | protocol
    compared = [kind for kind in kinds if kind != PATH_LENGTH]
    if not compared:
        return
    real = {part: reference(extractor, pictures, watch) for part, pictures in parts.items()}
    features = extract(extractor, fakes, "fakes", watch)
    for part in parts:
        against = {
            "reference": parts[part].name,
            "reference_sha256": parts[part].sha256,
            "reference_images": len(parts[part]),
        }
        others, warnings = _others(real, part, len(features), seed)
        if min(len(features), len(parts[part])) <= extractor.dimension:
            warnings.append(f"no more images than {extractor.dimension} dimensions: biased upwards")
        for kind in compared:
            floors = _values(kind, others, real[part], seed) if others is not None else []
            floor = {value.name: value.number for value in floors}
            for value in _values(kind, features, real[part], seed):
                yield {
                    "metric": f"{value_name(value.name, extractor, len(features))}_{part}",
                    "value": value.number,
                    "floor": floor.get(value.name),
                    **protocol,
                    **against,
                    "note": "; ".join([*filter(None, [value.note]), *warnings]),
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
    """A metric's values; one of None where there are too few images for it."""
    try:
        return COMPUTE[kind](fakes, real, seed)
    except TooFewImages as error:
        return [Value(kind, None, str(error))]


def _path_length(fakes: Images, extractor: Extractor, watch: Watch) -> Row:
    if not isinstance(fakes, Samples):
        raise UserError(f"--metrics {PATH_LENGTH}: only a run's generator has paths")
    space = "w" if isinstance(fakes.gan.G, Generator) else "z"
    metric = value_name(PATH_LENGTH, extractor, len(fakes), space)
    with watch("paths", len(fakes)) as progress:
        return {"metric": metric, "value": path_length(fakes, extractor, progress)}


def _others(
    real: Mapping[str, Reference], part: str, count: int, seed: int
) -> tuple[Features | None, list[str]]:
    """Features of `count` real images outside a part; or None, and why there are none."""
    rest = [each.features for name, each in real.items() if name != part]
    found = sum(map(len, rest))
    if found < count:
        return None, [f"no floor: it needs {count:,} other real images, there are {found:,}"]
    rows = np.random.default_rng(seed).choice(found, count, replace=False)
    return np.concatenate(rest)[rows], []
