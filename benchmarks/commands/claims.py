"""`bench claims`: what source reports say, held against runs."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import results_option, written_as
from benchmarks.console import item_progress, say
from data.errors import UserError

if TYPE_CHECKING:
    from eval.extractors import Extractor
    from eval.images import Pictures
    from eval.studies.cases import Arm, Case
    from eval.studies.claims import Claim, Needs
    from eval.studies.verdicts import Found
    from models.registry import GAN
    from training.run_dir import RunDir

WIDTH = 100
INDENT = " " * 4
PICTURES = "; "
COLUMNS = (
    *("claim", "statement", "source", "measured", "run", "kimg", "verdict"),
    *("quantity", "value", "low", "high", "holds_if", "threshold", "p", "p_holm", "note", "heads"),
    *("reason", "cost_runs", "cost_of", "cost_kimg", "cost_hours", "picture", "picture_file"),
)
NOT_DRAWN = "not drawn yet"


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--claims", "numbers", metavar="NUMBERS", help="Such as 4,6 or 5a.  [default: all]")
@click.option(
    "--out",
    metavar="FILE.csv",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=written_as(".csv"),
    help="The table, and a .json beside it.  [default: claims.csv in the folder of runs]",
)
@click.option(
    "--against",
    metavar="DATA",
    type=click.Path(path_type=Path),
    help="The real images of claim 7.  [default: what the run was trained on]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@results_option
def claims(
    runs: tuple[str, ...],
    numbers: str | None,
    out: Path | None,
    against: Path | None,
    device: str,
    results: Path,
) -> None:
    """Hold what source reports say against runs.

    \b
    bench claims                                 all runs; of latents, the latest of each family
    bench claims --results results/data-size     of a suite
    bench claims 00003 00007 --claims 4,6        these runs
    bench claims --claims 1,8a

    Each claim is a number with a 95% interval, and holds, does not hold, or is undecided: p values
    are corrected for how many claims are tested in the same call (Holm), and above 0.05 nothing is
    decided. A claim that these runs cannot tell is not run; what it would cost stands beside it.

    Runs that differ in nothing but the training seed are an arm. Claims on training compare arms,
    over at least two seeds each (`bench fid RUN --snapshot all` measures what they compare), and
    name whatever else their arms differ in. A claim on latents is held against each arm: over its
    seeds, or within its only run. What rests on the heads of `faces` says how well the worst of
    them reads. docs/claims.md lists the claims, and the suites that they need.

    The newest snapshot's averaged weights are measured. Claim 7 takes some minutes on a CPU. Prints
    where the table is. RUN is an id, a path or `latest`.
    """
    import pandas as pd

    from benchmarks.studies import attribute_extractor, write_tables
    from data.files import storage_errors
    from eval.measure import protocol_of
    from eval.studies.cases import arms_of
    from eval.studies.verdicts import ALPHA

    chosen = choose(numbers)
    given = find_runs(results, runs)
    extractor = attribute_extractor(device)
    arms = arms_of(cases_of(given, extractor, against, device))
    newest = arms if runs else newest_of_each_family(arms)
    rows, measured = [], []
    for claim in chosen:
        for trial in trials(claim.needs, arms if claim.needs.everywhere else newest):
            row, found = evaluate(claim, trial, arms)
            rows.append(row)
            measured.append(found)
    table = pd.DataFrame(rows).join(pd.DataFrame(judge(measured))).reindex(columns=COLUMNS)
    for _, same in table.groupby("statement", sort=False):
        tell(same.to_dict("records"))
    click.echo(
        ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    )

    path = out or results / "claims.csv"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "study": "claims",
        "runs": [run.id for run in given],
        "correction": "Holm",
        "alpha": ALPHA,
        "tests": int(table["p"].notna().sum()),
        **protocol_of(extractor),
    }
    for written in write_tables(path, table, about):
        click.echo(written)


def choose(numbers: str | None) -> "list[Claim]":
    """Claims by their numbers; `5` is 5a, 5b and 5c.

    Raises:
        UserError: there is no such claim.
    """
    from eval.studies.claims import CLAIMS

    if numbers is None:
        return list(CLAIMS)
    asked = [number.strip() for number in numbers.split(",")]
    for number in asked:
        if not any(number in _names(claim) for claim in CLAIMS):
            known = ", ".join(dict.fromkeys(claim.number for claim in CLAIMS))
            raise UserError(f"--claims {numbers}: there is no claim {number!r}; there are {known}")
    return [claim for claim in CLAIMS if not _names(claim).isdisjoint(asked)]


def _names(claim: "Claim") -> set[str]:
    return {claim.number, claim.number.rstrip(ascii_lowercase)}


def find_runs(results: Path, names: Sequence[str]) -> "list[RunDir]":
    """The runs of these names, each once, or all that there are.

    Raises:
        MissingError: there is no run of a name.
    """
    from training.run_dir import RunDir

    found = [RunDir.find(results, name) for name in names] if names else RunDir.all(results)
    return list({run.path.resolve(): run for run in found}.values())


def cases_of(
    runs: "Sequence[RunDir]", extractor: "Extractor", against: Path | None, device: str
) -> "list[Case]":
    """Runs as claims see them; no weights are loaded before they are needed."""
    from eval.studies.cases import Case
    from eval.table import load

    tables = {folder: load(folder) for folder in dict.fromkeys(run.path.parent for run in runs)}
    cases = []
    for run in runs:
        rows = tables[run.path.parent]
        rows = rows[rows["run"] == run.id]
        if (rows["status"] == "unreadable").any():
            say(f"{run.path} cannot be read; going on without it")
            continue
        cases.append(
            Case(
                run,
                rows,
                load=partial(_load, run, device),
                load_real=partial(_load_real, run, against),
                extractor=extractor,
                watch=item_progress,
            )
        )
    return cases


def _load(run: "RunDir", device: str) -> "GAN":
    from benchmarks.trained import load_trained

    return load_trained(run, None, False, device).gan


def _load_real(run: "RunDir", against: Path | None) -> "Pictures":
    from benchmarks.datasets import open_data
    from benchmarks.evaluation import data_of, real_in, real_of

    sets = real_in(open_data(against)) if against else real_of(data_of(run))
    return next(iter(sets.parts.values()))


def newest_of_each_family(arms: "Sequence[Arm]") -> "list[Arm]":
    """The arm of the latest run of each family, without the runs that have not finished, if any
    has.
    """
    newest: dict[str, Arm] = {}
    for arm in sorted(arms, key=_started):
        newest[arm.config.model] = arm.finished if arm.finished.cases else arm
    return list(newest.values())


def _started(arm: "Arm") -> float:
    return max(case.run.status.get("started", 0.0) for case in arm.cases)


def trials(needs: "Needs", arms: "Sequence[Arm]") -> "list[tuple[Arm, ...]]":
    """What arms to measure a claim on, in turn: `[()]` where there are none.

    Those with too few seeds are passed over; where all are, the first says what is lacking.
    """
    found = needs.find(arms)
    enough = [trial for trial in found if min(len(arm.cases) for arm in trial) >= needs.seeds]
    return enough or found[:1] or [()]


def evaluate(
    claim: "Claim", trial: "Sequence[Arm]", arms: "Sequence[Arm]"
) -> "tuple[dict[str, Any], Found | None]":
    """A row of the table, and what was found: None, with the reason and the cost, if not run."""
    from eval.studies.verdicts import NotRunError, UnpriceableError

    runs = [case.run for arm in trial for case in arm.cases]
    files = [file for file in _in_each(claim.picture.file, runs) if file]
    row = {
        "claim": claim.number,
        "statement": claim.statement,
        "source": claim.source,
        "measured": claim.measured,
        "run": " and ".join(_list(case.run.id for case in arm.cases) for arm in trial),
        "kimg": " and ".join(_list(_newest(case.run) for case in arm.cases) for arm in trial),
        "picture": PICTURES.join(_in_each(claim.picture.command, runs)),
        "picture_file": PICTURES.join(filter(_is_there, files)) or NOT_DRAWN * bool(files),
    }
    if not trial:
        reason = f"it takes {claim.needs.words}"
        return row | {"reason": reason, **cost(claim.needs, trial, arms)}, None
    try:
        return row, claim.measure(*trial)
    except UnpriceableError as error:
        return row | {"reason": str(error)}, None
    except NotRunError as error:
        return row | {"reason": str(error), **cost(claim.needs, trial, arms)}, None
    except UserError as error:  # it says what to do, which takes no training
        return row | {"reason": str(error), **_price([], "")}, None


def _in_each(place: str, runs: "Iterable[RunDir]") -> list[str]:
    """A command or a file of each run, or of their folder, once each."""
    return list(dict.fromkeys(place.format(run=run.path, results=run.path.parent) for run in runs))


def _is_there(file: str) -> bool:
    return Path(file).is_file()


def _list(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _newest(run: "RunDir") -> str:
    return f"{int(run.snapshots[-1].stem) / 1000:.10g}" if run.snapshots else "none"


# What it would cost


@dataclass(frozen=True)
class Lacking:
    """Runs that are not there.

    Attributes:
        kimg: the length of each.
        pace: seconds a kimg, of runs like these; None where there are none.
    """

    name: str
    runs: int
    kimg: float
    pace: float | None


def cost(needs: "Needs", trial: "Sequence[Arm]", arms: "Sequence[Arm]") -> dict[str, Any]:
    """What the runs would take that a claim lacks, at the length and the pace of runs like them.

    Hours are None where no such run says what a kimg takes.
    """
    if trial:
        few = [Lacking(arm.name, needs.seeds - len(arm.cases), *_like(arm)) for arm in trial]
        more = Lacking(trial[-1].name, needs.seeds, *_like(trial[-1]))
        return _price([each for each in few if each.runs > 0] or [more], needs.suite)
    if needs.recipes:
        return _price(_recipes(needs, arms), needs.suite)
    return _price([_plain(needs, arms)], needs.suite)


def _like(arm: "Arm") -> tuple[float, float | None]:
    return arm.kimg, _pace([arm])


def _recipes(needs: "Needs", arms: "Sequence[Arm]") -> list[Lacking]:
    """Of each recipe what there is not yet; all, if what there is cannot be compared."""
    from benchmarks.recipe import ROLES, configure, load_recipe
    from models.registry import parameter_counts

    there = Counter[str]()
    for arm in arms:
        there[arm.config.recipe.get("name", "")] += min(len(arm.finished.cases), needs.seeds)
    lacking, whole = [], []
    for name, times in Counter(needs.recipes).items():
        recipe = load_recipe(name)
        images = ROLES[recipe.role].images
        assert images, f"{name}: nobody knows how long an epoch of its data is"
        config = configure(recipe, images)
        counts = parameter_counts(config.model, config.options)
        alike = [arm for arm in arms if arm.parameters == counts]
        each = Lacking(name, times * needs.seeds, config.training.kimg, _pace(alike))
        whole.append(each)
        lacking.append(replace(each, runs=each.runs - there[name]))
    return [each for each in lacking if each.runs > 0] or whole


def _plain(needs: "Needs", arms: "Sequence[Arm]") -> Lacking:
    """As long as the first run of the family, or as one that is started without a word."""
    from training.config import choose as choose_config

    like = [arm for arm in arms if needs.model in ("", arm.config.model)]
    if like:
        return Lacking("", 1, *_like(like[0]))
    kimg = choose_config(needs.model or "dcgan", None, {}, {}).training.kimg
    return Lacking("", 1, kimg, None)


def _price(lacking: Sequence[Lacking], suite: str) -> dict[str, Any]:
    hours = [each.runs * each.kimg * each.pace / 3600 for each in lacking if each.pace is not None]
    named = [f"{each.runs} of {each.name}" for each in lacking if each.name]
    return {
        "cost_runs": sum(each.runs for each in lacking),
        "cost_of": _list(named) + f"; `bench suite {suite}` has such arms" * bool(suite and named),
        "cost_kimg": sum(each.runs * each.kimg for each in lacking),
        "cost_hours": sum(hours) if len(hours) == len(lacking) else None,
    }


def _pace(arms: "Sequence[Arm]") -> float | None:
    """Seconds a kimg, in the middle one of their ticks."""
    import numpy as np

    ticks = [tick.get("sec_per_kimg") for arm in arms for case in arm.cases for tick in case.ticks]
    found = [pace for pace in ticks if pace is not None]
    return float(np.median(found)) if found else None


def judge(measured: "Iterable[Found | None]") -> list[dict[str, Any]]:
    """The numbers and the verdict of each claim, corrected for all that were measured."""
    from eval.studies.verdicts import holm, verdict

    everything = list(measured)
    corrected = iter(holm([found.p for found in everything if found]))
    rows: list[dict[str, Any]] = []
    for found in everything:
        if found is None:
            rows.append({"verdict": "not run", "p": None, "p_holm": None})
            continue
        part, p_holm = found.deciding, float(next(corrected))
        rows.append(
            {
                "verdict": verdict(found, p_holm),
                "quantity": part.name,
                "value": part.value,
                "low": part.low,
                "high": part.high,
                "holds_if": "above" if part.above else "below",
                "threshold": part.threshold,
                "p": found.p,
                "p_holm": p_holm,
                "note": found.note,
                "heads": trust(found.heads),
            }
        )
    return rows


def trust(heads: Sequence[str]) -> str:
    """What the heads are worth that a verdict rests on; empty where it rests on none."""
    from eval.attributes import standing
    from eval.faces.targets import UNVALIDATED

    if not heads:
        return ""
    known = standing()
    worst = min(heads, key=lambda name: known[name]["head_score"])
    unchecked = sum(known[name]["on_real"] == UNVALIDATED for name in heads)
    return (
        f"worst head {worst} {known[worst]['head_score']:.2f} on drawn faces; {UNVALIDATED}: "
        f"{unchecked} of {len(heads)}"
    )


def tell(rows: Sequence[Any]) -> None:
    """Print a claim, and each of its verdicts."""
    _wrap("{claim:<4}{statement} ({source})".format(**rows[0]))
    _wrap(f"{INDENT}{rows[0]['measured']}")
    for row in rows:
        _wrap(f"{INDENT}{row['verdict'].upper()}: {evidence(row)}")
        if row["verdict"] != "not run":
            _wrap(f"{INDENT}{row['note']}")
            if row["heads"]:
                _wrap(f"{INDENT}{row['heads']}")
        if row["run"]:
            _wrap(f"{INDENT}{row['run']}, kimg {row['kimg']}")
            # Unwrapped: they are there to be copied.
            for picture in [*row["picture"].split(PICTURES), *row["picture_file"].split(PICTURES)]:
                if picture:
                    click.echo(f"{INDENT}{picture}")
    click.echo()


def _wrap(text: str) -> None:
    click.echo(textwrap.fill(text, WIDTH, subsequent_indent=INDENT, break_on_hyphens=False))


def evidence(row: Any) -> str:
    """What a verdict rests on; of a claim that was not run, why, and what it would cost."""
    if row["verdict"] == "not run":
        return f"{row['reason']}. {cost_in_words(row)}."
    return (
        f"{row['quantity']} {row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}], holds "
        f"{row['holds_if']} {row['threshold']:.3g}; p {row['p']:.2g}, corrected {row['p_holm']:.2g}"
    )


def cost_in_words(row: Any) -> str:
    """`It would cost 1 run of 200 kimg, 0.3 h`."""
    import pandas as pd

    if pd.isna(row["cost_runs"]):
        return "What it would cost, nobody can say"
    runs = int(row["cost_runs"])
    if not runs:
        return "It costs no training"
    noun = "run" if runs == 1 else "runs"
    of = row.get("cost_of")
    whose = f" ({of})" if of and pd.notna(of) else ""
    hours = (
        "for hours that no such run tells yet"
        if pd.isna(row["cost_hours"])
        else f"about {row['cost_hours']:.2g} h at the pace of such runs"
    )
    return f"It would cost {runs} {noun}{whose}, {row['cost_kimg']:,.6g} kimg in all, {hours}"
