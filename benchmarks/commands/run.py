"""`bench run`: train a model, or go on with a run."""

import dataclasses
import json
import math
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import results_option
from benchmarks.console import say
from benchmarks.datasets import reopen
from data.errors import MissingError, UserError, require

if TYPE_CHECKING:
    from data.store import Store
    from eval.measure import Row
    from training.config import RunConfig
    from training.loop import Trainer
    from training.run_dir import RunDir

NEXT = {
    "finished": "see every run with: bench table --results {results}",
    "stopped": "go on with: {bench} run --resume {run}",
    "diverged": "numbers ceased to be finite: try a lower learning rate; `bench models` names it",
    "collapsed": "try another --seed, or a lower learning rate of D",
}


@click.command()
@click.option(
    "--recipe",
    "recipe_name",
    metavar="NAME",
    help="Train as a source did: see `bench recipes`. A TOML file is a recipe of your own.",
)
@click.option(
    "--budget",
    metavar="PERCENT",
    help="Scale every length that no flag here sets: 5% trains for a twentieth.",
)
@click.option("--model", help="The family: see `bench models`.  [default: dcgan]")
@click.option("--variant", help="The published network: see `bench models`.")
@click.option(
    "--data",
    "sources",
    multiple=True,
    metavar="[ROLE=]DATA",
    help="A data set, or an image archive or folder. A recipe draws the share that its role had in "
    "its source; ROLE=DATA takes all.  [default: drawn faces]",
)
@click.option("--kimg", type=float, help="Train for so many thousand real images.  [default: 200]")
@click.option("--batch", type=int, help="Images a step.  [default: the variant's]")
@click.option("--seed", type=int, help="Of weights, order, latents and noise.  [default: 0]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[default: auto]")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    help="auto times a few steps and takes the fastest.  [default: auto]",
)
@click.option(
    "--memory-format",
    type=click.Choice(["auto", "contiguous", "channels_last"]),
    help="Layout of images in memory.  [default: auto, which is channels_last]",
)
@click.option(
    "--compile/--no-compile", default=None, help="Use torch.compile: for a GPU that waits for us."
)
@click.option("--tick", "tick_kimg", type=float, help="A line of stats every so many kimg. [4]")
@click.option("--snap", "snap_kimg", type=float, help="A snapshot and sheet every so many. [40]")
@click.option("--save-minutes", type=float, help="A checkpoint at least this often. [5]")
@click.option(
    "--ema", "ema_kimg", type=float, help="Half-life of G's average, in kimg; 0 for none. [10]"
)
@click.option("--mirror/--no-mirror", default=None, help="Flip reals at random.")
@click.option("--augment", multiple=True, metavar="NAME:P", help="Real-only, such as animerush:0.2")
@click.option(
    "--diffaug/--no-diffaug",
    default=None,
    help="Show D reals and fakes augmented alike: for small sets.  [default: the variant's]",
)
@click.option(
    "--on-collapse",
    type=click.Choice(["record", "stop", "rollback"]),
    help="When samples lose their variety.  [default: record]",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A model's option.")
@click.option(
    "--metrics",
    metavar="NAMES",
    help="Measure at snapshots, with commas: see `bench eval --help`.  [default: nothing]",
)
@click.option(
    "--metric-every",
    type=float,
    metavar="KIMG",
    help="... at those that are at least so many kimg apart.  [default: at each]",
)
@click.option(
    "--resume",
    metavar="[RUN]",
    is_flag=False,
    flag_value="latest",
    help="Go on with a run: an id, a path or `latest`, which it is when left out.",
)
@click.option(
    "--name",
    help="The run's folder under --results. If it is there: go on with it, or say that it is done.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the configuration, time and disk; only data is made."
)
@results_option
def run(
    recipe_name: str | None,
    budget: str | None,
    model: str | None,
    variant: str | None,
    sources: tuple[str, ...],
    diffaug: bool | None,
    settings: tuple[str, ...],
    metrics: str | None,
    metric_every: float | None,
    resume: str | None,
    name: str | None,
    dry_run: bool,
    results: Path,
    **training: Any,
) -> None:
    """Train a model.

    \b
    bench run --model dcgan --variant simple --data datasets/anime19k --kimg 190
    bench run --model stylegan --kimg 3500
    bench run --set loss=lsgan --set lr_g=3e-4 --augment animerush:0.2
    bench run --metrics fid5k,kid5k --metric-every 200
    bench run --recipe versus-dcgan-19k --budget 5% --data datasets/anime19k --name mine
    bench run --resume latest

    Ctrl-C finishes the step, saves, and says how to go on; the resumed run is the run that was
    never stopped. What a run leaves is described in docs/architecture.md.
    """
    from benchmarks.recipe import parse_budget, planned_run, source_for
    from training.loop import Trainer
    from training.run_dir import RunDir
    from training.world import broadcast, join

    join()
    training = {flag: value for flag, value in training.items() if value not in (None, ())}
    if diffaug is not None:  # an option of every family, worth a flag of its own
        if any(setting.startswith("diffaug=") for setting in settings):
            raise UserError("--diffaug and --set diffaug say the same thing: leave one out")
        settings = (*settings, f"diffaug={diffaug}")
    if resume and dry_run:
        raise UserError("--dry-run plans a new run; what a started one does is in its config.json")
    measure = chosen_metrics(metrics, metric_every)
    if resume:
        for flag, value in {"--recipe": recipe_name, "--budget": budget, "--name": name}.items():
            if value:
                raise UserError(f"--resume goes on with a run as it was started: leave {flag} out")
        started = RunDir.find(results, resume)
        source, _ = source_for(started.config.data.get("role"), sources)
        with started.locked():
            go_on(started, model, variant, source, settings, training, measure)
        return
    there = broadcast(named_run(results, name))
    share = parse_budget(budget or "100%")
    config, store = planned_run(recipe_name, share, model, variant, sources, settings, training)
    config = decided(config, store, there.config if there else None)
    config = dataclasses.replace(config, measure=measure)
    if dry_run:
        print_plan(config, store)
        return
    if there:
        again(there, config, store)
        return
    trainer, measure_newest = Trainer(config, store), measurer(config, store)
    started = RunDir.create(results, config, name)
    with started.locked():
        train_run(started, trainer, measure_newest)


def chosen_metrics(metrics: str | None, every_kimg: float | None) -> dict[str, Any]:
    """A `RunConfig`'s `measure`: nothing, or which metrics, and how far apart."""
    if metrics is None:
        if every_kimg is not None:
            raise UserError("--metric-every needs --metrics, which says what to measure")
        return {}
    from benchmarks.evaluation import parse_metrics

    every_kimg = 0.0 if every_kimg is None else every_kimg
    require("--metric-every", every_kimg, least=0)
    names = [str(metric) for metric in parse_metrics(metrics.split(","), None)]
    return {"metrics": names, "every_kimg": every_kimg}


def named_run(results: Path, name: str | None) -> "RunDir | None":
    """The run that has that name already.

    Raises:
        UserError: it is no name for a folder.
    """
    from training.run_dir import CONFIG, RunDir

    if name is None:
        return None
    if not re.fullmatch(r"\w[\w.-]*", name) or name == "latest":
        raise UserError(f"--name {name}: letters, digits, dots, hyphens and underscores are needed")
    return RunDir(results / name) if (results / name / CONFIG).is_file() else None


def decided(config: "RunConfig", store: "Store", like: "RunConfig | None" = None) -> "RunConfig":
    """A configuration with nothing left to `auto`.

    Args:
        like: a run's, in which all that has been decided.
    """
    from training.precision import without_auto

    if like:
        training = config.training.decided_as(like.training)
        config = dataclasses.replace(config, training=training)
    if config.training.precision == "auto":
        say("timing a few steps to choose --precision ...")
    config, decision = without_auto(config, store)
    say(decision)
    return config


def again(there: "RunDir", config: "RunConfig", store: "Store") -> None:
    """Do what is left of a run that the same command has started: nothing, the rest, or all."""
    from training.loop import Trainer
    from training.run_dir import ENDED
    from training.world import broadcast, is_writer

    saved, state = there.config, broadcast(there.status["state"])
    saved.refuse_changes(config, "--name")
    if state in ENDED and config.training.nimg <= saved.training.nimg:
        say(f"{there.path} is there already: {state}")
        say(NEXT[state].format(results=there.path.parent))
        return
    with there.locked():
        begun = broadcast(is_writer() and any((there.path / "checkpoints").iterdir()))
        train_run(there, Trainer(config, store), measurer(config, store), resumed=begun)


def go_on(
    started: "RunDir",
    model: str | None,
    variant: str | None,
    source: Path | None,
    settings: tuple[str, ...],
    training: dict[str, Any],
    measure: dict[str, Any],
) -> None:
    """Resume a run with the configuration that it has; other flags must agree with it."""
    from training.config import data_identity, parse_settings
    from training.loop import Trainer

    saved = started.config
    path = source or Path(saved.data["path"])
    if not path.exists():
        raise MissingError(f"{path} is gone: say where the run's data is now with --data")
    options = parse_settings(type(saved.options), settings)
    training = {name: value for name, value in training.items() if value != "auto"}
    store = reopen(path, saved.data)
    config = dataclasses.replace(
        saved,
        model=model or saved.model,
        variant=variant or saved.variant,
        options=dataclasses.replace(saved.options, **options),
        training=dataclasses.replace(saved.training, **training),
        data=data_identity(store, saved.data.get("role")),
        measure=measure or saved.measure,
    )
    saved.refuse_changes(config)
    train_run(started, Trainer(config, store), measurer(config, store), resumed=True)


def train_run(
    started: "RunDir",
    trainer: "Trainer",
    measure_newest: "Callable[[RunDir], list[Row]] | None",
    resumed: bool = False,
) -> None:
    """Train in a locked run directory, and leave pictures and a status whatever happens."""
    from benchmarks.curves import draw_curves
    from data.shard import processes
    from training import world
    from training.checkpoint import load_checkpoint
    from training.console import Console
    from training.loop import train
    from training.run_dir import STATS
    from training.stop import StopRequest

    config = trainer.config
    with Console(started.path / "log.txt", config.training.nimg) as console, StopRequest() as stop:

        def measure(run: "RunDir", trainer: "Trainer") -> None:
            for row in measure_newest(run) if measure_newest else []:
                if row.get("weights") == "ema" and row.get("value") is not None:
                    console.say(f"{row['metric']} {row['value']:.4g}")
            world.meet()  # the others wait for the writer, who measures

        try:
            if resumed:
                trainer.load(load_checkpoint(started.path / "checkpoints", console.say))
                started.forget_after(trainer.nimg, trainer.rollbacks)
                console.say(f"going on with {started.id} from kimg {trainer.nimg / 1000:.1f}")
                if note := other_processes(started):
                    console.say(note)
            else:
                console.say(f"{started.path}: {describe_run(trainer)}")
            started.begin(config, trainer.nimg, trainer.device)
            ending = train(started, trainer, console, stop, record, measure)
        except BaseException as error:
            with suppress(MissingError):  # on a full disk, the error itself is what to tell
                started.set_status("failed", error=f"{type(error).__name__}: {error}")
            raise
        started.set_status(ending, nimg=trainer.nimg)
        console.say(f"{ending} at kimg {trainer.nimg / 1000:.1f}: look at {started.path}")
        bench = "bench" if processes() == 1 else "torchrun ... -m benchmarks"
        where = {"run": started.path, "results": started.path.parent}
        console.say(NEXT[ending].format(bench=bench, **where))
        if started.rows(STATS) and world.is_writer():
            draw_curves(started)
    world.meet()  # when one has ended, torchrun does not wait for the others to write
    if ending == "stopped":
        sys.exit(128 + (stop.signal or signal.SIGTERM))  # another process may have had the signal


def other_processes(started: "RunDir") -> str | None:
    """What it means that a run goes on with more processes than it had, or fewer."""
    from data.shard import processes

    before = started.environments[-1].get("processes", 1) if started.environments else processes()
    if before == processes():
        return None
    return (
        f"processes: {before} before, {processes()} now: it goes on, but a run is repeated exactly "
        "only by as many"
    )


def measurer(config: "RunConfig", store: "Store") -> "Callable[[RunDir], list[Row]] | None":
    """What measures the newest snapshot, if the configuration asks for it."""
    from training.world import is_writer

    if not config.measure or not is_writer():
        return None
    from benchmarks.evaluation import newest_measurer

    return newest_measurer(**config.measure, store=store, device=config.training.device)


def record(started: "RunDir", trainer: "Trainer") -> None:
    """Add what training has cost so far to the run's measurements."""
    from ops.native import paths_taken
    from training.environment import peak_memory_bytes
    from training.run_dir import METRICS

    row = {
        "metric": "training",
        "nimg": trainer.nimg,
        "kimg": trainer.nimg / 1000,
        "g_updates": trainer.updates("G"),
        "train_sec": trainer.seconds,
        "images_per_sec": trainer.nimg / trainer.seconds,
        "peak_memory_bytes": peak_memory_bytes(trainer.device),
        "ops": paths_taken(),
    }
    started.append(METRICS, row)


def print_plan(config: "RunConfig", store: "Store") -> None:
    """The resolved configuration, and what it would take, as JSON on stdout."""
    from training.precision import seconds_per_image

    estimate = {
        "hours": round(seconds_per_image(config, store) * config.training.nimg / 3600, 2),
        "disk_mb": round(disk_bytes(config) / 1e6),
    }
    click.echo(json.dumps({"config": config.to_dict(), "estimate": estimate}, indent=2))


def disk_bytes(config: "RunConfig") -> int:
    """What a run takes while it trains: snapshots, and the checkpoints that are kept and written.

    A snapshot is G twice, a checkpoint these and D, and two moments of G and D for Adam.
    """
    from models.registry import parameter_counts
    from training.checkpoint import KEPT

    g, d = parameter_counts(config.model, config.options)
    snapshots = math.ceil(config.training.kimg / config.training.snap_kimg)
    return 4 * (snapshots * 2 * g + (KEPT + 1) * (2 * g + d + 2 * (g + d)))


def describe_run(trainer: "Trainer") -> str:
    """What is trained, in a line."""
    from models.registry import count_parameters

    config = trainer.config
    return (
        f"{config.model} {config.variant} "
        f"(G {count_parameters(trainer.gan.G):,}, D {count_parameters(trainer.gan.D):,}) "
        f"on {config.data['images']:,} images of {config.data['name']}, "
        f"{config.training.kimg:g} kimg in batches of {config.training.batch}"
    )
