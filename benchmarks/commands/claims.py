"""`bench claims`: what source reports say, held against runs."""

import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import results_option
from benchmarks.console import item_progress
from data.errors import MissingError, UserError

if TYPE_CHECKING:
    from eval.extractors import Extractor
    from eval.images import Pictures
    from eval.studies.claims import Case, Claim, Found, Needs
    from models.registry import GAN
    from training.run_dir import RunDir

FAMILIES = ("dcgan", "stylegan")
WIDTH = 100
INDENT = " " * 4
PICTURES = "; "
COLUMNS = (
    *("claim", "statement", "source", "measured", "run", "kimg", "verdict"),
    *("quantity", "value", "low", "high", "holds_if", "threshold", "p", "p_holm", "note"),
    *("reason", "cost_runs", "cost_kimg", "cost_hours", "picture"),
)


def _out(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    if path and path.suffix.lower() != ".csv":
        raise UserError(f"--out {path}: a CSV file is written; let the name end in .csv")
    if path and not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}; make it first")
    return path


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--claims", "numbers", metavar="NUMBERS", help="Such as 4,6 or 5a.  [default: all]")
@click.option(
    "--out",
    metavar="FILE.csv",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_out,
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
    """Hold what source reports say of latents, data and scores against runs.

    \b
    bench claims                                 the latest DCGAN and the latest StyleGAN
    bench claims 00003 00007 --claims 4,6
    bench claims 00003 00008 --claims 9          two runs on data of different sizes

    Each claim is a number with a 95% interval, and holds, does not hold, or is undecided: p values
    are corrected for how many claims are tested in the same call (Holm), and above 0.05 nothing is
    decided. A claim that these runs cannot tell is not run; what it would cost stands beside it. A
    claim of one run is held against each run that it can be about: seeds are not pooled.

    The newest snapshot's averaged weights are measured. Claim 7 takes some minutes on a CPU. Prints
    where the table is. RUN is an id, a path or `latest`.
    """
    import pandas as pd

    from benchmarks.studies import attribute_extractor, write_tables
    from data.files import storage_errors
    from eval.measure import protocol_of
    from eval.studies.claims import ALPHA

    chosen = choose(numbers)
    given = find_runs(results, runs)
    extractor = attribute_extractor(device)
    cases = {run.id: case_of(run, extractor, against, device) for run in given}
    rows, measured = [], []
    for claim in chosen:
        for trial in trials(claim.needs, given):
            row, found = evaluate(claim, trial, given, cases)
            rows.append(row)
            measured.append(found)
    table = pd.DataFrame(rows).join(pd.DataFrame(judge(measured))).reindex(columns=COLUMNS)
    for line in table.to_dict("records"):
        tell(line)
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
    return {claim.number, claim.number.rstrip("abc")}


def find_runs(results: Path, names: Sequence[str]) -> "list[RunDir]":
    """The runs of these names, each once, or the latest of each family that there is.

    Raises:
        MissingError: there is no run of a name.
    """
    from training.run_dir import RunDir

    if names:
        found = [RunDir.find(results, name) for name in names]
        return list({run.path.resolve(): run for run in found}.values())
    latest = []
    for model in FAMILIES:
        try:
            latest.append(RunDir.find(results, "latest", model))
        except MissingError:
            continue
    return latest


def case_of(run: "RunDir", extractor: "Extractor", against: Path | None, device: str) -> "Case":
    """A run as claims see it; nothing of it is loaded before it is needed."""
    from eval.studies.claims import Case
    from training.run_dir import STATS

    return Case(
        load=partial(_load, run, device),
        load_real=partial(_load_real, run, against),
        images=run.config.data["images"],
        ticks=run.rows(STATS),
        extractor=extractor,
        watch=item_progress,
    )


def _load(run: "RunDir", device: str) -> "GAN":
    from benchmarks.trained import load_trained

    return load_trained(run, None, False, device).gan


def _load_real(run: "RunDir", against: Path | None) -> "Pictures":
    from benchmarks.datasets import open_data
    from benchmarks.evaluation import data_of, real_in, real_of

    sets = real_in(open_data(against)) if against else real_of(data_of(run))
    return next(iter(sets.parts.values()))


def trials(needs: "Needs", given: "Sequence[RunDir]") -> "list[list[RunDir]]":
    """What runs to measure a claim on, in turn: `[[]]` where there are none."""
    if needs == "two sizes":
        found = _two_sizes(given)
    else:
        found = [[run] for run in given if needs in ("scores", run.config.model)]
    return found or [[]]


def _two_sizes(given: "Sequence[RunDir]") -> "list[list[RunDir]]":
    """Runs of one model and variant: the one on the least data, and the one on the most."""
    alike: dict[tuple[str, str], list[RunDir]] = {}
    for run in sorted(given, key=_images):
        alike.setdefault((run.config.model, run.config.variant), []).append(run)
    return [[runs[0], runs[-1]] for runs in alike.values() if _images(runs[0]) < _images(runs[-1])]


def _images(run: "RunDir") -> int:
    return int(run.config.data["images"])


def evaluate(
    claim: "Claim", trial: "Sequence[RunDir]", given: "Sequence[RunDir]", cases: "dict[str, Case]"
) -> "tuple[dict[str, Any], Found | None]":
    """A row of the table, and what was found: None, with the reason and the cost, if not run."""
    from eval.studies.claims import NotRunError

    row = {
        "claim": claim.number,
        "statement": claim.statement,
        "source": claim.source,
        "measured": claim.measured,
        "run": " and ".join(run.id for run in trial),
        "kimg": " and ".join(_newest(run) for run in trial),
        "picture": PICTURES.join(claim.draw.format(run=run.path) for run in trial),
    }
    if not trial:
        return row | {"reason": _lacking(claim.needs), **cost(claim.needs, given)}, None
    try:
        return row, claim.measure(*(cases[run.id] for run in trial))
    except NotRunError as error:
        return row | {"reason": str(error), **cost(claim.needs, trial)}, None
    except UserError as error:  # it says what to do, which takes no training
        return row | {"reason": str(error), **_price(0, 0.0, 0.0)}, None


def _newest(run: "RunDir") -> str:
    return f"{int(run.snapshots[-1].stem) / 1000:.10g}" if run.snapshots else "none"


def _lacking(needs: "Needs") -> str:
    return {
        "two sizes": "it takes two runs of one model and variant on different numbers of images",
        "scores": "it takes a run whose loss gives D probabilities",
    }.get(needs, f"it takes a {needs} run")


def cost(needs: "Needs", like: "Sequence[RunDir]") -> dict[str, Any]:
    """What the runs would take that a claim lacks, at the length and the pace of runs like them.

    Hours are None where no such run says what a kimg takes.
    """
    from training.config import choose as choose_config

    if needs in FAMILIES:
        like = [run for run in like if run.config.model == needs]
    runs = 2 if needs == "two sizes" and not like else 1
    if like:
        kimg, pace = like[0].config.training.kimg, _pace(like[0])
    else:
        model = needs if needs in FAMILIES else FAMILIES[0]
        kimg, pace = choose_config(model, None, {}, {}).training.kimg, None
    return _price(runs, runs * kimg, None if pace is None else runs * kimg * pace / 3600)


def _price(runs: int, kimg: float, hours: float | None) -> dict[str, Any]:
    return {"cost_runs": runs, "cost_kimg": kimg, "cost_hours": hours}


def _pace(run: "RunDir") -> float | None:
    """Seconds a kimg, in the middle one of its ticks."""
    import numpy as np

    from training.run_dir import STATS

    found = [row["sec_per_kimg"] for row in run.rows(STATS) if row.get("sec_per_kimg") is not None]
    return float(np.median(found)) if found else None


def judge(measured: "Iterable[Found | None]") -> list[dict[str, Any]]:
    """The numbers and the verdict of each claim, corrected for all that were measured."""
    from eval.studies.claims import holm, verdict

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
            }
        )
    return rows


def tell(row: Any) -> None:
    """Print a claim."""
    _wrap(f"{row['claim']:<4}{row['statement']} ({row['source']})")
    if row["verdict"] == "not run":
        _wrap(f"{INDENT}NOT RUN: {row['reason']}. {cost_in_words(row)}.")
    else:
        _wrap(
            f"{INDENT}{row['verdict'].upper()}: {row['quantity']} {row['value']:.3g} "
            f"[{row['low']:.3g}, {row['high']:.3g}], holds {row['holds_if']} "
            f"{row['threshold']:.3g}; p {row['p']:.2g}, corrected {row['p_holm']:.2g}"
        )
        _wrap(f"{INDENT}{row['note']}")
    _wrap(f"{INDENT}{row['measured']}")
    if row["run"]:
        _wrap(f"{INDENT}{row['run']}, kimg {row['kimg']}")
        for picture in row["picture"].split(PICTURES):  # unwrapped: it is there to be copied
            click.echo(f"{INDENT}{picture}")
    click.echo()


def _wrap(text: str) -> None:
    click.echo(textwrap.fill(text, WIDTH, subsequent_indent=INDENT, break_on_hyphens=False))


def cost_in_words(row: Any) -> str:
    """`It would cost 1 run of 200 kimg, 0.3 h`."""
    import pandas as pd

    runs = int(row["cost_runs"])
    if not runs:
        return "It costs no training"
    noun = "run" if runs == 1 else "runs"
    hours = (
        "for hours that no such run tells yet"
        if pd.isna(row["cost_hours"])
        else f"about {row['cost_hours']:.2g} h at that run's pace"
    )
    return f"It would cost {runs} {noun}, {row['cost_kimg']:g} kimg in all, {hours}"
