"""What `bench fid`, `bench eval` and a training run measure: of whom, and against what."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.console import item_progress, say
from benchmarks.datasets import heldout_faces, reopen, resized_note
from data.errors import MissingError, UserError
from data.files import written_digest
from data.store import Store
from eval.compare import REPORT_SEED, SELECTION_SEED
from eval.extractors import Extractor, load_extractor
from eval.images import Images, Pictures, Samples, has_batch_norm
from eval.measure import Gauge, Real, Row, protocol_of
from eval.metrics import DISTANCES, FACES, INCEPTION, LEAST, Metric, value_name
from eval.weights import find_inception
from models.registry import family
from training.config import data_identity
from training.environment import resolve_device
from training.run_dir import METRICS, RunDir
from training.snapshot import Weights, is_averaged, load_snapshot

WEIGHTS: tuple[Weights, ...] = ("ema", "raw")
STATISTICS = {"ema": "re-estimated", "raw": "running"}  # whose batch norm uses in eval mode


def parse_metrics(names: Iterable[str], extractor: str | None) -> list[Metric]:
    """Metrics with nothing left open, each once; where it is not FID for want of weights, aloud.

    As `resolve_metrics`.
    """
    metrics, instead = resolve_metrics(names, extractor)
    if instead:
        say(instead)
    return metrics


def resolve_metrics(names: Iterable[str], extractor: str | None) -> tuple[list[Metric], str]:
    """Metrics with nothing left open, each once, and what is to be said of them, if anything.

    Args:
        extractor: whose features are meant where a name does not say. By default Inception's where
            a name asks for them or there are weights, and else our own.

    Raises:
        UserError: a name is no metric's, or every one says already whose features it means.
    """
    metrics = list(dict.fromkeys(Metric.parse(name) for name in names))
    unsaid = [metric for metric in metrics if metric.spec is None]
    if extractor and not unsaid:
        raise UserError(f"--extractor {extractor}: every metric here names its own features")
    instead = ""
    if unsaid and extractor is None:
        extractor = INCEPTION
        if all(metric.spec != INCEPTION for metric in metrics):
            extractor, instead = _default_extractor()
    found = [metric if metric.spec else replace(metric, spec=extractor) for metric in metrics]
    return found, instead


def _default_extractor() -> tuple[str, str]:
    try:
        find_inception()
    except MissingError as missing:
        return FACES, f"{missing}; measuring in the features of `{FACES}` instead, which is no FID"
    return INCEPTION, ""


def load_extractors(
    metrics: Iterable[Metric], device: str = "auto", precision: str = "fp32"
) -> dict[str, Extractor]:
    """The extractors of metrics that leave none open, by what the metrics call them.

    Raises:
        MissingError, UserError: as `load_extractor` does.
    """
    place = torch.device(resolve_device(device))
    specs = dict.fromkeys(str(metric.spec) for metric in metrics)
    return {spec: load_extractor(spec, place, precision) for spec in specs}


class Yardstick:
    """Metrics with their extractors, and the real images that they hold others against.

    Attributes:
        ranking: the rows of the first distance, against the first part of the real images, have
            this in common: they rank snapshots. Nothing where no distance is measured.
    """

    def __init__(
        self, metrics: Sequence[Metric], extractors: Mapping[str, Extractor], real: Real
    ) -> None:
        """Nothing is looked at yet. The extractors are those that the metrics name, on a device.

        Raises:
            UserError: a reference is too small.
        """
        (self.device,) = {extractor.device for extractor in extractors.values()}
        self._metrics = metrics
        self._gauges = {
            spec: Gauge(extractor, real, item_progress) for spec, extractor in extractors.items()
        }
        self.ranking: Row = {}
        for metric in metrics:
            if metric.kind in DISTANCES and not self.ranking:
                extractor = self._gauges[str(metric.spec)].extractor
                part, reference = next(iter(real.parts.items()))
                name = value_name(metric.kind, extractor, metric.num)
                self.ranking = {"metric": f"{name}_{part}", **protocol_of(extractor)}
                self.ranking["reference_sha256"] = reference.sha256

    def rows(self, draw: Callable[[int], Images], seed: int) -> Iterator[Row]:
        """A row for each value of each metric, of `draw(num)` images."""
        groups = dict.fromkeys((str(metric.spec), metric.num) for metric in self._metrics)
        for spec, num in groups:
            kinds = [m.kind for m in self._metrics if (str(m.spec), m.num) == (spec, num)]
            yield from self._gauges[spec].rows(draw(num), kinds, seed)


def real_of(store: Store) -> Real:
    """What a run is measured against: what was held out, and as many images that it has seen.

    As many, because a distance falls with the size of its reference: only so does a lower one on
    the training set speak of memory. Another seed of the drawn faces is their held-out set.
    """
    train = Pictures.part(store, "train")
    if len(store.rows("heldout")):
        heldout = Pictures.part(store, "heldout")
    elif store.card.get("kind") == "faces":
        heldout = Pictures.whole(heldout_faces(store))
    else:
        say(f"{store.folder} has no held-out images: measuring against the training set alone")
        return Real({"train": train})
    return _heldout_beside(heldout, train)


def real_in(store: Store) -> Real:
    """What is measured against when data was named: as `real_of`, or all if none is held out."""
    heldout, train = (Pictures.part(store, part) for part in ("heldout", "train"))
    if not len(heldout):
        real = Real({"all": Pictures.whole(store)})
    elif len(train) < LEAST:
        real = Real({"heldout": heldout}, train)
    else:
        real = _heldout_beside(heldout, train)
    return replace(real, note=_resized(store))


def _resized(store: Store) -> str:
    """What is said aloud, and beside each number, of images that were resized on import."""
    note = resized_note(store)
    if note:
        say(note)
    return note


def _heldout_beside(heldout: Pictures, train: Pictures) -> Real:
    """Held-out images, as many of the training set, and the others of it for the floor."""
    same_size = train.sample(len(heldout), SELECTION_SEED)
    spare = replace(train, rows=np.setdiff1d(train.rows, same_size.rows))
    return Real({"heldout": heldout, "train": same_size}, spare)


def data_of(run: RunDir) -> Store:
    """What a run was trained on.

    Raises:
        MissingError: it is gone.
        UserError: it is not what it was.
    """
    saved = run.config.data
    path = Path(saved["path"])
    if not path.exists():
        raise MissingError(
            f"{path}, which {run.id} was trained on, is gone: name one with --against"
        )
    store = reopen(path, saved)
    now = data_identity(store)
    changed = [name for name in ("sha256", "rows_sha256") if now[name] != saved[name]]
    if changed:
        what = "pixels" if "sha256" in changed else "split into train and held-out"
        raise UserError(
            f"{path}: its {what} changed after {run.id} was trained on it; undo that, or name "
            "other data with --against"
        )
    return store


def measure_pictures(pictures: Pictures, yardstick: Yardstick) -> list[Row]:
    """Rows of real pictures, or of anybody's fakes: of all of them, where there are not enough.

    Raises:
        UserError: there are too few of them.
    """
    if len(pictures) < LEAST:
        raise UserError(f"{pictures.name} has {len(pictures)} images: {LEAST} are needed")
    about = {"pictures": pictures.name, "pictures_sha256": pictures.sha256}
    resized = _resized(pictures.store)
    rows = yardstick.rows(lambda num: pictures.sample(num, REPORT_SEED), REPORT_SEED)
    return [about | row | {"note": "; ".join(filter(None, [row["note"], resized]))} for row in rows]


@dataclass(frozen=True)
class RunMeter:
    """Measures a run's snapshots, averaged and raw weights each, into its metrics.jsonl.

    Attributes:
        psi: truncation; only 1, which is none, ranks snapshots.
        train_mode: batch norm by each batch's own statistics, recorded under that name.

    Raises:
        UserError: the run's generator has no such thing.
    """

    run: RunDir
    yardstick: Yardstick
    psi: float = 1.0
    train_mode: bool = False

    def __post_init__(self) -> None:
        config = self.run.config
        with torch.device("meta"):  # shapes are enough to tell
            gan = family(config.model).build(config.options)
        Samples(gan, 1, 0, self.psi, self.train_mode)

    @property
    def ranks(self) -> bool:
        """Whether what is measured can tell which snapshot is the best."""
        return bool(self.yardstick.ranking) and self.psi == 1 and not self.train_mode

    def measure(self, snapshot: Path, seed: int) -> list[Row]:
        """The rows of one snapshot.

        Raises:
            UserError: it is damaged, or makes no finite images.
        """
        rows = list(self._rows(snapshot, "ema", seed))
        if is_averaged(snapshot):
            rows += self._rows(snapshot, "raw", seed)
        else:  # the same images again
            rows += [row | {"weights": "raw"} for row in rows]
        self.run.append(METRICS, *rows)  # what was half measured would pass for measured
        return rows

    def measure_or_mark(self, snapshot: Path, seed: int) -> list[Row]:
        """The same of a snapshot that others stand beside: if it cannot be measured, a row that
        says so.
        """
        try:
            return self.measure(snapshot, seed)
        except MissingError:
            raise
        except UserError as error:
            say(f"{error}; going on")
            row = {**_moment(snapshot), "metric": "failed", "sample_seed": seed, "note": str(error)}
            self.run.append(METRICS, row)
            return [row]

    def _rows(self, snapshot: Path, weights: Weights, seed: int) -> Iterator[Row]:
        gan = load_snapshot(snapshot, weights)
        gan.G.to(self.yardstick.device).requires_grad_(False)
        statistics = "train" if self.train_mode else STATISTICS[weights]
        how = {
            **_moment(snapshot),
            "weights": weights,
            "weights_sha256": written_digest(snapshot),
            "psi": self.psi,
            "batch_norm": statistics if has_batch_norm(gan.G) else "",
        }

        def draw(num: int) -> Samples:
            return Samples(gan, num, seed, self.psi, self.train_mode)

        for row in self.yardstick.rows(draw, seed):
            yield how | row

    def measure_all(self) -> list[Row]:
        """Measure what the best is chosen by, of every snapshot where that is not known yet."""
        known = self._selection("ema")
        rows: list[Row] = []
        for snapshot in self.run.snapshots:
            if int(snapshot.stem) not in known:
                say(f"measuring {self.run.id} at kimg {_moment(snapshot)['kimg']:.10g}")
                rows += self.measure_or_mark(snapshot, SELECTION_SEED)
        return rows

    def best(self, weights: Weights = "ema") -> Path | None:
        """The snapshot whose weights have the least distance; None if nothing ranks."""
        found = self._selection(weights)
        values = {nimg: value for nimg, value in found.items() if value is not None}
        there = [path for path in self.run.snapshots if int(path.stem) in values]
        return min(there, key=lambda path: values[int(path.stem)], default=None)

    def _selection(self, weights: Weights) -> dict[int, float | None]:
        """What snapshots are ranked by, of those measured so far, by the images seen."""
        if not self.ranks:
            return {}
        protocol = {"weights": weights, "psi": 1.0, "sample_seed": SELECTION_SEED}
        protocol |= self.yardstick.ranking
        return {
            row["nimg"]: row["value"]
            for row in self.run.rows(METRICS)
            if protocol.items() <= row.items() and row["batch_norm"] != "train"
        }


def _moment(snapshot: Path) -> Row:
    nimg = int(snapshot.stem)
    return {"nimg": nimg, "kimg": nimg / 1000}


def newest_measurer(
    metrics: Sequence[str], every_kimg: float, store: Store, device: str
) -> Callable[[RunDir], list[Row]]:
    """What measures a run's newest snapshot: where it passes a multiple of `every_kimg`, or ends.

    It reads the snapshot from the disk and draws from generators of its own: training is the same
    with it and without.
    """
    parsed = [Metric.parse(name) for name in metrics]
    yardstick = Yardstick(parsed, load_extractors(parsed, device), real_of(store))
    interval = max(every_kimg * 1000, 1)

    def measure_newest(run: RunDir) -> list[Row]:
        *before, newest = [int(snapshot.stem) for snapshot in run.snapshots]
        passed = newest // interval > (before[-1] if before else 0) // interval
        if not passed and newest < run.config.training.nimg:
            return []
        say(f"measuring at kimg {newest / 1000:.10g}")
        return RunMeter(run, yardstick).measure_or_mark(run.snapshots[-1], SELECTION_SEED)

    return measure_newest
