"""What `bench fid`, `bench eval` and a training run measure: of whom, and against what."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch

from benchmarks.commands.data import image_progress
from benchmarks.datasets import heldout_faces, open_data, say
from data.errors import MissingError, UserError
from data.store import Store
from eval.extractors import load_extractor
from eval.images import Images, Pictures, Samples, has_batch_norm
from eval.measure import Row, measure, protocol_of
from eval.metrics import DISTANCES, FACES, INCEPTION, LEAST, Metric, value_name
from eval.weights import find_inception
from training.config import data_identity
from training.environment import resolve_device
from training.run_dir import METRICS, RunDir
from training.snapshot import Weights, load_snapshot

WEIGHTS: tuple[Weights, ...] = ("ema", "raw")
STATISTICS = {"ema": "re-estimated", "raw": "running"}  # whose batch norm uses in eval mode
# The best snapshot is chosen on one sample and reported on another: the least of many noisy
# numbers is less than what it measures.
SELECTION_SEED, REPORT_SEED = 0, 1

Parts = Mapping[str, Pictures]


class Yardstick:
    """Metrics with their extractors loaded: measures any images against the parts of a data set.

    Attributes:
        ranking: the first distance among the metrics, which ranks snapshots: what its rows have
            in common. None where there is none.
    """

    def __init__(
        self, metrics: Sequence[Metric], device: str = "auto", precision: str = "fp32"
    ) -> None:
        """Load what the metrics need, each of which must say whose features it is of."""
        self.device = torch.device(resolve_device(device))
        wanted = [(str(metric.spec), metric.num, metric.kind) for metric in metrics]
        loaded = {
            spec: load_extractor(spec, self.device, precision)
            for spec in dict.fromkeys(spec for spec, _, _ in wanted)
        }
        self.groups = [
            (loaded[spec], num, [kind for _, _, kind in group])
            for (spec, num), group in groupby(sorted(wanted), key=lambda each: each[:2])
        ]
        self.ranking = next(
            (
                {"metric": value_name(kind, loaded[spec], num), **protocol_of(loaded[spec])}
                for spec, num, kind in wanted
                if kind in DISTANCES
            ),
            None,
        )

    def rows(self, draw: Callable[[int], Images], parts: Parts, seed: int) -> Iterator[Row]:
        """A row for each value of each metric, of `draw(num)` images."""
        for extractor, num, kinds in self.groups:
            yield from measure(draw(num), parts, kinds, extractor, seed, image_progress)


def parse_metrics(names: Iterable[str], extractor: str | None) -> list[Metric]:
    """Metrics with nothing left open.

    Args:
        extractor: whose features are meant where a name does not say. By default Inception's where
            there are weights, and else, aloud, our own.
    """
    metrics = [Metric.parse(name) for name in names]
    if extractor is None and any(metric.spec is None for metric in metrics):
        extractor = _default_extractor()
    return [metric if metric.spec else replace(metric, spec=extractor) for metric in metrics]


def _default_extractor() -> str:
    try:
        find_inception()
    except MissingError as missing:
        say(f"{missing}; measuring in the features of `{FACES}` instead, which is no FID")
        return FACES
    return INCEPTION


def parts_of(store: Store, whole: str) -> dict[str, Pictures]:
    """The references in a data set: what was held out, and beside it the rest.

    Another seed of the drawn faces is their held-out set. A data set that has none is one part,
    which is then called `whole`.
    """
    train = Pictures.part(store, "train")
    if len(store.rows("heldout")):
        return {"heldout": Pictures.part(store, "heldout"), "train": train}
    if store.card.get("kind") == "faces":
        return {"heldout": Pictures.part(heldout_faces(store), "train"), "train": train}
    return {whole: Pictures.whole(store)}


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
    store = open_data(path)
    now = data_identity(store)
    changed = [name for name in ("sha256", "rows_sha256") if now[name] != saved[name]]
    if changed:
        what = "pixels" if "sha256" in changed else "split into train and held-out"
        raise UserError(
            f"{path}: its {what} changed after {run.id} was trained on it; undo that, or name "
            "other data with --against"
        )
    return store


def measure_pictures(pictures: Pictures, yardstick: Yardstick, parts: Parts) -> list[Row]:
    """Rows of real pictures, or of anybody's fakes: at most all of them."""
    if len(pictures) < LEAST:
        raise UserError(f"{pictures.name}: {len(pictures)} images; at least {LEAST} are needed")
    rows = yardstick.rows(lambda num: pictures.sample(num, REPORT_SEED), parts, REPORT_SEED)
    return [{"images": pictures.name, **row} for row in rows]


@dataclass(frozen=True)
class RunMeter:
    """Measures a run's snapshots, averaged and raw weights each, into its metrics.jsonl.

    Attributes:
        psi: truncation; only 1, which is none, ranks snapshots.
        train_mode: batch norm by each batch's own statistics, recorded under that name.
    """

    run: RunDir
    yardstick: Yardstick
    parts: Parts
    psi: float = 1.0
    train_mode: bool = False

    @property
    def ranks(self) -> bool:
        """Whether what is measured can tell which snapshot is the best."""
        return bool(self.yardstick.ranking) and self.psi == 1 and not self.train_mode

    def measure(self, snapshot: Path, seed: int) -> list[Row]:
        """The rows of one snapshot.

        Raises:
            UserError: it is damaged, or makes no finite images.
        """
        nimg = int(snapshot.stem)
        rows = [
            {"nimg": nimg, "kimg": nimg / 1000, **row}
            for weights in WEIGHTS
            for row in self._rows(snapshot, weights, seed)
        ]
        for row in rows:
            self.run.append(METRICS, row)
        return rows

    def _rows(self, snapshot: Path, weights: Weights, seed: int) -> Iterator[Row]:
        gan = load_snapshot(snapshot, weights)
        gan.G.to(self.yardstick.device).requires_grad_(False)
        statistics = "train" if self.train_mode else STATISTICS[weights]
        how = {
            "weights": weights,
            "psi": self.psi,
            "batch_norm": statistics if has_batch_norm(gan.G) else "",
        }

        def draw(num: int) -> Samples:
            return Samples(gan, num, seed, self.psi, self.train_mode)

        for row in self.yardstick.rows(draw, self.parts, seed):
            yield how | row

    def measure_all(self) -> list[Row]:
        """Measure what the best is chosen by, of every snapshot where that is not known yet.

        A snapshot that cannot be measured leaves a marked row.
        """
        known = self._selection()
        rows: list[Row] = []
        for snapshot in self.run.snapshots:
            nimg = int(snapshot.stem)
            if nimg in known:
                continue
            say(f"measuring {self.run.id} at kimg {nimg / 1000:.10g}")
            try:
                rows += self.measure(snapshot, SELECTION_SEED)
            except UserError as error:
                say(f"{error}; going on with the next")
                mark = {"nimg": nimg, "kimg": nimg / 1000, "metric": "failed", "note": str(error)}
                self.run.append(METRICS, mark)
                rows.append(mark)
        return rows

    def best(self) -> Path | None:
        """The snapshot whose averaged weights have the least distance; None if nothing ranks."""
        values = self._selection()
        there = [path for path in self.run.snapshots if int(path.stem) in values]
        return min(there, key=lambda path: values[int(path.stem)], default=None)

    def _selection(self) -> dict[int, float]:
        """What snapshots are ranked by, of those measured so far, by the images seen."""
        ranking = self.yardstick.ranking
        if not ranking or not self.ranks:
            return {}
        part, pictures = next(iter(self.parts.items()))
        metric = f"{ranking['metric']}_{part}"
        protocol = ranking | {
            "metric": metric,
            "reference_sha256": pictures.sha256,
            "sample_seed": SELECTION_SEED,
            "weights": "ema",
            "psi": 1.0,
        }
        return {
            row["nimg"]: row["value"]
            for row in self.run.rows(METRICS)
            if protocol.items() <= row.items() and row["batch_norm"] != "train"
        }


def newest_measurer(
    metrics: Sequence[str], every_kimg: float, store: Store, device: str
) -> Callable[[RunDir], list[Row]]:
    """What measures a run's newest snapshot, if the last that was measured is far enough behind.

    It reads the snapshot from the disk and draws from generators of its own: training is the same
    with it and without.
    """
    yardstick = Yardstick([Metric.parse(name) for name in metrics], device)
    parts = parts_of(store, "train")

    def measure_newest(run: RunDir) -> list[Row]:
        snapshot = run.snapshot()
        measured = [row["nimg"] for row in run.rows(METRICS) if "sample_seed" in row]
        if int(snapshot.stem) < max(measured, default=-math.inf) + every_kimg * 1000:
            return []
        return RunMeter(run, yardstick, parts).measure(snapshot, SELECTION_SEED)

    return measure_newest
