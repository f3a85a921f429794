"""Suites: the runs that answer a question, each as one shell command.

A suite is a TOML file:

    summary = "Is a lower learning rate better?"
    seeds = 3                           # unless `--seeds` says otherwise; 3 by default
    metrics = "fd5k,pr5k,js5k"          # as `bench eval` takes them; this by default
    run = "--kimg 200"                  # flags of `bench run`, for every arm

    [[arms]]
    name = "low"
    asks = "What a tenth of the usual rate does."
    run = "--recipe animerush-8.4 --set lr_g=2e-5"
"""

import functools
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from benchmarks.datasets import training_data
from data.errors import MissingError, UserError

if TYPE_CHECKING:
    from data.store import Store
    from training.config import RunConfig

Opener = Callable[[Path | None, float, int], "Store"]
Given = list[tuple[click.Parameter, Any]]

SUITES = Path(__file__).parent / "suites"
SEEDS, METRICS = 3, "fd5k,pr5k,js5k"
HELDOUT = 2000  # images: what is advised, or a fifth of a small set
KEYS = {"summary": str, "seeds": int, "metrics": str, "run": str, "arms": list}
ARM_KEYS = {"name": str, "asks": str, "run": str}
# They become names of folders; the rest of such a name is the data's and the seed's.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# What a configuration says of its data, but for which images a seed has drawn.
DATA = ("role", "sha256", "images")
# What a suite says itself, of every run.
RESERVED = {
    *("--data", "--seed", "--name", "--results", "--budget"),
    *("--metrics", "--metric-every", "--resume", "--dry-run"),
}


@dataclass(frozen=True)
class Arm:
    """What is compared with the other arms.

    Attributes:
        asks: what it is there to tell.
        flags: of `bench run`.
    """

    name: str
    asks: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    name: str
    summary: str
    seeds: int
    metrics: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class Planned:
    """One run of a suite.

    Attributes:
        name: of its folder in `results`.
        data: as `--data` takes it; nothing for the drawn faces.
        flags: of `bench run`: its arm's, as this plan changes them.
        config: the run that these make, in which `auto` is left open.
        metrics: as `bench eval` takes them.
    """

    name: str
    arm: str
    seed: int
    data: tuple[str, ...]
    results: Path
    flags: tuple[str, ...]
    config: "RunConfig"
    metrics: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.results / self.name

    @property
    def kimg(self) -> float:
        return self.config.training.kimg

    @property
    def train(self) -> list[str]:
        """The command that trains it, or goes on with it."""
        data = [word for each in self.data for word in ("--data", each)]
        where = ["--name", self.name, "--results", str(self.results)]
        return ["bench", "run", *self.flags, *data, "--seed", str(self.seed), *where]

    @property
    def measure(self) -> list[str]:
        """The command that measures every snapshot, and reports the best and the last."""
        metrics = ",".join(self.metrics)
        return ["bench", "eval", str(self.path), "--snapshot", "all", "--metrics", metrics]

    @property
    def command(self) -> str:
        """All of it, for a shell in any folder."""
        return " && ".join(map(shlex.join, (["cd", str(Path.cwd())], self.train, self.measure)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "arm": self.arm,
            "recipe": self.config.recipe.get("name"),
            "seed": self.seed,
            "data": list(self.data),
            "results": str(self.results),
            "kimg": self.kimg,
            "command": self.command,
        }


# Files


def suite_names() -> list[str]:
    """The suites that are shipped."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """A shipped suite, or one's own `FILE.toml`.

    Raises:
        MissingError: there is no such file.
        UserError: there is no such suite, or the file says something else than a suite.
    """
    from models.registry import known

    own = name.endswith(".toml")
    path = Path(name) if own else SUITES / f"{known(name, suite_names(), 'suite')}.toml"
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML: {error}") from error
    try:
        return _suite(path.stem, found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _suite(name: str, found: dict[str, Any]) -> Suite:
    _check(found, KEYS, "a suite")
    flags = _flags(found.get("run", ""), "run")
    if not found.get("arms"):
        raise UserError("a suite needs arms: write [[arms]], a name and the flags of `bench run`")
    arms = tuple(_arm(each, flags) for each in found["arms"])
    names = [arm.name for arm in arms]
    if len({each.casefold() for each in names}) < len(names):
        raise UserError(f"two arms have one name: {', '.join(names)}")
    seeds = found.get("seeds", SEEDS)
    if seeds < 1:
        raise UserError(f"seeds = {seeds}: at least 1 is needed")
    summary = found.get("summary", "")
    return Suite(_name(name), summary, seeds, found.get("metrics", METRICS), arms)


def _arm(found: Any, flags: tuple[str, ...]) -> Arm:
    if not isinstance(found, dict):
        raise UserError("arms: write each as a table, [[arms]]")
    _check(found, ARM_KEYS, "an arm")
    name = _name(found.get("name", ""))
    own = _flags(found.get("run", ""), name)
    return Arm(name, found.get("asks", ""), (*flags, *own))


def _check(found: Mapping[str, Any], keys: Mapping[str, type], what: str) -> None:
    """Refuse what a table should not have, and whatever would not print in a line."""
    for key, value in found.items():
        if key not in keys:
            raise UserError(f"{what} has no {key!r}; it has {', '.join(keys)}")
        if type(value) is not keys[key]:
            raise UserError(f"{key} = {value!r}: write a {keys[key].__name__}")
        if isinstance(value, str) and not value.isprintable():
            raise UserError(f"{key} = {value!r}: write it in one line, without control characters")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UserError(
            f"the name {name!r} is to become a folder's: write letters, digits, dots, _ and -, "
            "and begin with a letter or a digit"
        )
    return name


def _flags(text: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UserError(f"{where}: {text!r} cannot be read as a command's flags: {error}") from None


# The plan


def plan(
    suite: Suite,
    results: Path,
    data: Sequence[str] = (),
    seeds: int | None = None,
    budget: str | None = None,
    variant: str | None = None,
    num: int | None = None,
    flags: Sequence[str] = (),
) -> list[Planned]:
    """The runs of a suite, seed by seed, so that every arm has its first one soon.

    Args:
        data: as `--data` takes it: data sets, each for a matrix of its own, and ROLE=DATA.
        seeds: how many; by default as many as the suite says.
        budget: as `--budget` takes it: of every length, those that arms set included.
        variant: stands in for each arm's.
        num: how many fakes are measured; by default as many as the suite's metrics say.
        flags: of `bench run`, after the arms' own; their lengths are taken as they are.

    Raises:
        UserError: an arm or a flag cannot be used, two arms would be one, or nothing of the data is
            held out.
        MissingError: there is no such data.
    """
    from benchmarks.evaluation import parse_metrics

    asked = parse_metrics(suite.metrics.split(","), None)
    metrics = tuple(str(replace(metric, num=num or metric.num)) for metric in asked)
    further = (*(["--variant", variant] if variant else []), *flags)
    opened = functools.cache(open_split)  # it reads every pixel: once is enough
    columns = [
        (label, sources, arm, config)
        for label, sources in matrix(data).items()
        for arm, config in configured(suite.arms, further, sources, budget, opened)
    ]
    planned = [
        Planned(
            "-".join(filter(None, [arm.name, label, f"seed{seed}"])),
            arm.name,
            seed,
            sources,
            results,
            arm.flags,
            replace(config, training=replace(config.training, seed=seed)),
            metrics,
        )
        for seed in range(seeds or suite.seeds)
        for label, sources, arm, config in columns
    ]
    names = [run.name.casefold() for run in planned]
    for run in planned:
        if names.count(run.name.casefold()) > 1:
            raise UserError(f"two runs would be called {run.name}: rename an arm or a data set")
    return planned


def matrix(data: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What each of several data sets is called in names of runs, and the `--data` of its runs.

    A single one needs no name. ROLE=DATA is every run's, which takes its own role from it.

    Raises:
        UserError: two would have one name.
    """
    from benchmarks.recipe import ROLES

    roles = [each for each in data if each.partition("=")[0] in ROLES]
    sets = [each for each in data if each not in roles]
    if len(sets) < 2:
        return {"": (*sets, *roles)}
    labels = [re.sub(r"[^A-Za-z0-9._-]+", "_", Path(each).name) for each in sets]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"--data: two data sets would be called {label}; rename one of them")
    return {label: (each, *roles) for label, each in zip(labels, sets, strict=True)}


def configured(
    arms: Sequence[Arm],
    further: Sequence[str],
    data: Sequence[str],
    budget: str | None,
    opened: Opener,
) -> list[tuple[Arm, "RunConfig"]]:
    """Arms with all their flags, and the runs that these make of some data.

    Raises:
        UserError: an arm's flags cannot be used, or two arms would be the same runs.
    """
    found: dict[str, tuple[Arm, RunConfig]] = {}
    for arm in arms:
        try:
            refuse_reserved(parsed([*arm.flags, *further]))
            flags = [*arm.flags, *scaled_lengths(parsed(arm.flags), budget), *further]
            flags += ["--budget", budget] if budget else []
            config = config_of(flags, data, opened)
        except UserError as error:
            raise type(error)(f"arm {arm.name}: {error}") from None
        for name, (_, other) in found.items():
            if other == config:
                raise UserError(
                    f"arms {name} and {arm.name} would be the same runs: leave out the --variant "
                    "or the flag that makes them so"
                )
        found[arm.name] = replace(arm, flags=tuple(flags)), config
    return list(found.values())


def refuse_reserved(given: Given) -> None:
    for option, _ in given:
        if reserved := RESERVED.intersection(option.opts):
            raise UserError(f"{min(reserved)} is not an arm's: a suite sets it, of every run")


def scaled_lengths(given: Given, budget: str | None) -> list[str]:
    """Flags that scale the lengths which flags set: `--budget` leaves those alone."""
    from benchmarks.recipe import parse_budget

    if budget is None:
        return []
    share = parse_budget(budget)
    return [
        word
        for option, value in given
        if str(option.name).endswith("kimg")
        for word in (option.opts[0], f"{value * share:.10g}")
    ]


def config_of(flags: Sequence[str], data: Sequence[str], opened: Opener) -> "RunConfig":
    """The run that flags of `bench run` make of some data, whatever its seed; `auto` is left open.

    Raises:
        UserError, MissingError: as `bench run` does.
    """
    from benchmarks.recipe import parse_budget, planned_run
    from training.config import TrainConfig

    given = {str(option.name): value for option, value in parsed(flags)}
    settings = list(given.get("settings", ()))
    settings += [f"diffaug={given['diffaug']}"] if "diffaug" in given else []
    config, _ = planned_run(
        given.get("recipe_name"),
        parse_budget(given.get("budget", "100%")),
        given.get("model"),
        given.get("variant"),
        data,
        settings,
        {f.name: given[f.name] for f in fields(TrainConfig) if f.name in given},
        opened,
    )
    seedless = {name: config.data[name] for name in DATA if name in config.data}
    return replace(config, data=seedless)


def open_split(source: Path | None, share: float, seed: int) -> "Store":
    """As `training_data` does, of data that has something held out."""
    store = training_data(source, share, seed)
    if source:
        refuse_unsplit(source, store)
    return store


def refuse_unsplit(source: Path, store: "Store") -> None:
    """Refuse data of which nothing is held out: drawn faces are measured against another seed's.

    Raises:
        UserError: with the commands that hold some of it out.
    """
    from eval.metrics import LEAST

    if len(store.rows("heldout")) or store.card.get("kind") == "faces":
        return
    folder, steps = source, []
    if store.folder != source:  # an archive or a folder, which has no parts of its own
        folder = Path("datasets") / source.name.partition(".")[0]
        steps = [["bench", "data", "import", str(source), "--out", str(folder)]]
    heldout = max(LEAST, min(HELDOUT, len(store) // 5))
    steps += [["bench", "data", "split", str(folder), "--heldout", str(heldout)]]
    commands = " and then ".join(f"`{shlex.join(step)}`" for step in steps)
    raise UserError(
        f"--data {source} has no held-out images, against which a suite measures: first {commands}"
        + f", and then --data {folder}" * (folder != source)
    )


def parsed(flags: Sequence[str]) -> Given:
    """The options of `bench run` that are among flags, with their values.

    Raises:
        UserError: `bench run` has no such option, or not with such a value.
    """
    from benchmarks.commands.run import run

    try:
        context = run.make_context("run", list(flags), help_option_names=[])
    except click.ClickException as error:
        raise UserError(error.format_message()) from None
    return [
        (option, context.params[str(option.name)])
        for option in run.params
        if context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
