"""The commands that make a run again, and measure it again, out of what the run recorded."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.recipe import configure, load_recipe
from data.errors import UserError
from eval.metrics import FACES, INCEPTION, INCEPTION_NAMES, KINDS
from training.config import RunConfig, choose
from training.run_dir import RunDir

FLAGS = {"tick_kimg": "--tick", "snap_kimg": "--snap", "ema_kimg": "--ema"}
SWITCHES = ("compile", "mirror")
ALWAYS = ("seed", "device", "precision", "memory_format")  # `auto`, or the seed, may be others
MANIFOLD = ("precision", "recall", "density", "coverage")
KNOWN_KINDS = sorted({*KINDS, *INCEPTION_NAMES.values(), *MANIFOLD}, key=len, reverse=True)
VALUE = re.compile(
    rf"(?P<kind>{'|'.join(KNOWN_KINDS)})(?P<features>(_[a-z]\w*?)?)_?(?P<num>\d+(\.\d+)?k?)(_[a-z]+)?"
)


def training_command(run: RunDir) -> str:
    """`bench run`, with every flag that its configuration takes.

    Raises:
        UserError: its configuration cannot be read.
    """
    config = run.config
    start, expected = _start(config)
    words = ["bench", "run", *start, "--data", _data(config)]
    words += _training_flags(config, expected)
    for name, value in _differing(config.options, expected.options):
        words += ["--set", f"{name}={_text(value)}"]
    if config.measure:
        words += ["--metrics", ",".join(config.measure["metrics"])]
        words += ["--metric-every", _text(config.measure["every_kimg"])]
    words += ["--name", run.id, "--results", elsewhere(run)]
    return _threads(run) + shlex.join(words)


def measuring_command(run: RunDir, metrics: Iterable[str]) -> str:
    """`bench eval` of every snapshot, for what has been measured; empty where nothing was."""
    asked = list(dict.fromkeys(filter(None, map(asked_for, metrics))))
    if not asked:
        return ""
    words = ["bench", "eval", run.id, "--metrics", ",".join(asked), "--snapshot", "all"]
    return shlex.join([*words, "--results", elsewhere(run)])


def elsewhere(run: RunDir) -> str:
    """A folder beside the run's: in its own, a run of its name is there already."""
    return f"{run.path.parent}-again"


def _threads(run: RunDir) -> str:
    """On a CPU the order of a sum, and so its last bits, depends on how many threads make it."""
    found = [start.get("threads") for start in run.environments[-1:]]
    on_cpu = run.config.training.device == "cpu"
    return f"OMP_NUM_THREADS={found[0]} " if on_cpu and found and type(found[0]) is int else ""


def _start(config: RunConfig) -> tuple[list[str], RunConfig]:
    """The flags that choose presets, and the configuration that these make on their own."""
    made_by = config.recipe
    if made_by.get("name"):
        try:
            recipe = load_recipe(str(made_by["name"]))
            other = None if config.variant == recipe.variant else config.variant
            budget = float(made_by["budget"])
            expected = configure(recipe, config.data["images"], other, budget=budget)
        except UserError:
            pass  # a file that is gone; every choice of it is in the configuration
        else:
            start = ["--recipe", recipe.name] + (["--variant", other] if other else [])
            return start + (["--budget", f"{100 * budget:.10g}%"] if budget != 1 else []), expected
    expected = choose(config.model, config.variant, {}, {})
    return ["--model", config.model, "--variant", config.variant], expected


def _data(config: RunConfig) -> str:
    """As `--data` takes it: all of it where a role was given all of it."""
    path, role = str(config.data["path"]), config.data.get("role")
    return f"{role}={path}" if role and not config.data.get("subset") else path


def _training_flags(config: RunConfig, expected: RunConfig) -> list[str]:
    words: list[str] = []
    for name, value in _differing(config.training, expected.training, ALWAYS):
        flag = FLAGS.get(name, "--" + name.replace("_", "-"))
        if name in SWITCHES:
            words += [flag if value else flag.replace("--", "--no-", 1)]
        elif name == "augment":
            words += [word for spec in value for word in (flag, spec)]
        else:
            words += [flag, _text(value)]
    return words


def _differing(mine: Any, other: Any, always: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """The fields of a dataclass that differ from another one's."""
    values = dataclasses.asdict(mine)
    return [(n, v) for n, v in values.items() if n in always or v != getattr(other, n)]


def _text(value: Any) -> str:
    """As the command line takes it."""
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    if isinstance(value, float):
        short = f"{value:.10g}"
        return short if float(short) == value else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def asked_for(metric: str) -> str:
    """What `--metrics` takes for a value of the table: `fid5k` for `fid5k_heldout`.

    Nothing for a value of features whose extractor is a file that only its owner knows.
    """
    found = VALUE.fullmatch(metric)
    if found is None:
        return ""
    kind, features, num = found["kind"], found["features"] or "", found["num"]
    if kind in INCEPTION_NAMES.values():
        return kind + num
    spec = next((name for name in (FACES, INCEPTION) if f"_{name}_" in f"{features}_"), None)
    if spec is None:
        return ""
    return f"js{num}" if kind == "js" else f"{'pr' if kind in MANIFOLD else kind}_{spec}{num}"
