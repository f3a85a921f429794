"""`bench fid` and `bench eval`: how far generated images are from real ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option, results_option
from benchmarks.console import say
from data.errors import MissingError, UserError, require

if TYPE_CHECKING:
    from benchmarks.evaluation import RunMeter
    from training.run_dir import RunDir

Command = Callable[..., None]
NUM = 5000
# What a terminal shows; --json and `bench table --csv` have the whole protocol.
SHORT = ("snapshot", "metric", "weights", "kimg", "value", "floor", "reference", "note")


def measuring_options(command: Command) -> Command:
    """Of what, against what, and by whose eyes."""
    for option in (
        results_option,
        json_option,
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16"]),
            default="fp32",
            show_default=True,
            help="Of the features; bf16 is faster, and another metric: its name says so.",
        ),
        click.option(
            "--batch-norm",
            type=click.Choice(["eval", "train"]),
            default="eval",
            show_default=True,
            help="train: a DCGAN's batch norm by each batch's own statistics. Never ranked.",
        ),
        click.option(
            "--psi", type=float, default=1.0, show_default=True, help="Truncation. 1 ranks."
        ),
        click.option(
            "--snapshot",
            metavar="KIMG|best|last|all",
            help="all measures every one to find the best.  [default: the last, and the best if "
            "it is known]",
        ),
        click.option(
            "--extractor",
            metavar="NAME|FILE",
            help="inception, faces, a .pt or .pt2 file, or package.module:function.  [default: "
            "inception if its weights are there, else faces]",
        ),
        click.option(
            "--against",
            type=click.Path(path_type=Path),
            help="The real images.  [default: what the run was trained on]",
        ),
        click.argument("target", metavar="[RUN|FOLDER|ZIP|STORE]", default="latest"),
    ):
        command = option(command)
    return command


@click.command()
@click.option(
    "--num",
    type=click.IntRange(64, 1_000_000),
    default=NUM,
    show_default=True,
    help="How many fakes.",
)
@measuring_options
def fid(num: int, **choices: Any) -> None:
    """Measure FID: the Frechet distance between fakes and real images in Inception's features.

    \b
    bench fid                                    the latest run
    bench fid 00003 --snapshot all               every snapshot, best and last
    bench fid fakes.zip --against datasets/photos
    bench fid 00003 --extractor faces            fd_faces, our own features: no FID

    Measured against images that were held out, where there are any; beside them stand as many of
    the training set, on which a generator that has memorised them does better. The floor is what
    as many real images get. Runs are measured with averaged (ema) and raw weights, and every number
    goes into the table with its protocol. Without Inception's weights (`bench weights`) it is
    `fd_faces`, and called so.
    """
    evaluate([f"fd{num}"], **choices)


@click.command("eval")
@click.option(
    "--metrics",
    metavar="NAMES",
    default="fd5k,kd5k,pr5k",
    show_default=True,
    help="With commas: fid, kid ... as below, each with a number of images.",
)
@measuring_options
def evaluate_command(metrics: str, **choices: Any) -> None:
    """Measure several metrics at once, of one set of fakes.

    \b
    bench eval 00003 --metrics fid5k,kid5k,pr5k
    bench eval 00003 --metrics fd_faces5k,fd_inf_faces5k --snapshot last

    \b
    fid, fid_inf, kid   Frechet distance, the same for endless images, kernel distance: Inception's
    fd, fd_inf, kd      the same in the features of --extractor; fd_faces names one
    pr                  improved precision and recall, density and coverage
    js                  divergence of each attribute that the `faces` network reads
    ppl                 path length of a run's generator

    `bench fid --help` explains the rest.
    """
    evaluate(metrics.split(","), **choices)


def evaluate(
    names: list[str],
    target: str,
    against: Path | None,
    extractor: str | None,
    snapshot: str | None,
    psi: float,
    batch_norm: str,
    precision: str,
    device: str,
    as_json: bool,
    results: Path,
) -> None:
    """Measure, and print the rows."""
    from benchmarks.datasets import open_data
    from benchmarks.evaluation import (
        RunMeter,
        Yardstick,
        data_of,
        load_extractors,
        measure_pictures,
        real_in,
        real_of,
        resolve_metrics,
    )
    from eval.images import Pictures

    require("--psi", psi)
    source = find_target(results, target)
    if isinstance(source, Path) and (snapshot or psi != 1 or batch_norm == "train"):
        raise UserError(f"--snapshot, --psi, --batch-norm: {source} is no run, and has none")
    metrics, instead = resolve_metrics(names, extractor)
    # Before the data, which may take minutes to import.
    extractors = load_extractors(metrics, device, precision)
    if against:
        real = real_in(open_data(against))
    elif isinstance(source, Path):
        raise UserError(f"{source} is no run: name the real images with --against")
    else:
        real = real_of(data_of(source))
    yardstick = Yardstick(metrics, extractors, real)
    if instead:
        say(instead)
    if isinstance(source, Path):
        rows = measure_pictures(Pictures.whole(open_data(source)), yardstick)
    else:
        rows = measure_run(RunMeter(source, yardstick, psi, batch_norm == "train"), snapshot)
    show(rows, as_json)


def find_target(results: Path, target: str) -> "RunDir | Path":
    """A run, or the path of a data set."""
    from training.run_dir import RunDir

    try:
        return RunDir.find(results, target)
    except MissingError:
        if target != "latest" and Path(target).exists():
            return Path(target)
        raise


def measure_run(meter: "RunMeter", snapshot: str | None) -> list[dict[str, Any]]:
    """The rows of the snapshots that were asked for; by default of the last, and the known best
    of averaged and of raw weights.
    """
    from benchmarks.evaluation import REPORT_SEED

    run = meter.run
    if snapshot not in (None, "best", "last", "all"):
        return meter.measure(run.snapshot(kimg_of(snapshot), "--snapshot"), REPORT_SEED)
    if snapshot == "best" and not meter.ranks:
        raise UserError("--snapshot best: only a distance, of psi 1 and batch norm in eval, ranks")
    every = meter.measure_all() if snapshot in ("all", "best") else []
    named = {"last": run.snapshot()}
    if snapshot != "last":
        known = {"best": meter.best(), "best raw": meter.best("raw")}
        named = {name: path for name, path in known.items() if path} | named
    chosen = list(dict.fromkeys(named.values()))
    rows = every if snapshot == "all" else []
    for path in chosen:
        label = " and ".join(name for name, other in named.items() if other == path)
        say(f"measuring {run.id} at kimg {int(path.stem) / 1000:.10g}, the {label}")
        measure = meter.measure_or_mark if len(chosen) > 1 or every else meter.measure
        rows += [{"snapshot": label, **row} for row in measure(path, REPORT_SEED)]
    return rows


def kimg_of(snapshot: str) -> float:
    try:
        kimg = float(snapshot)
    except ValueError:
        raise UserError(
            f"--snapshot {snapshot}: write best, last, all or a number of kimg"
        ) from None
    require("--snapshot", kimg, least=0)
    return kimg


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    import pandas as pd

    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = pd.DataFrame(rows).reindex(columns=list(SHORT))
    told = table.notna() & (table != "")
    shown = table[[name for name in SHORT if name == "value" or told[name].any()]].fillna("")
    click.echo(shown.to_string(index=False, formatters={"value": digits, "floor": digits}))


def digits(number: float | str) -> str:
    """Four of them; nothing of nothing."""
    return number if isinstance(number, str) else f"{number:.4g}"
