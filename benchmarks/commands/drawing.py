"""What the commands that draw from a trained generator share: its source, seeds, truncation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from benchmarks.commands.options import results_option, written_as
from data.errors import UserError, require
from data.ranges import MOST, whole_numbers

Command = Callable[..., None]
SEEDS_END = 2**32  # beyond, torch's generator repeats itself


def place_options(command: Command) -> Command:
    """Which run's weights are drawn from, on what, and where the picture goes."""
    for option in (
        results_option,
        click.option(
            "--out",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            callback=written_as(".png"),
            help="The picture.  [default: in the run's folder]",
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
        ),
        click.option("--raw", is_flag=True, help="The weights as trained, not their average."),
    ):
        command = option(command)
    return command


def source_options(command: Command) -> Command:
    """The same, of one snapshot."""
    kimg = click.option(
        "--kimg", type=float, help="The snapshot made at this point.  [default: the newest]"
    )
    return kimg(place_options(command))


def seeds_option(name: str, default: str, help: str) -> Callable[[Command], Command]:
    """An option that takes seeds as `0-63` or `0,5,9-12`."""

    def parse(context: click.Context, option: click.Parameter, text: str) -> list[int]:
        seeds = whole_numbers(name, text)
        if max(seeds) >= SEEDS_END:
            raise UserError(f"{name} {max(seeds)}: seeds are numbers below {SEEDS_END}")
        return seeds

    return click.option(
        name, metavar="SEEDS", default=default, show_default=True, callback=parse, help=help
    )


def measure_options(command: Command) -> Command:
    """Whether to measure, and the seed of what is drawn for that."""
    for option in (
        click.option(
            "--seed",
            type=click.IntRange(0, SEEDS_END - 1),
            default=0,
            show_default=True,
            help="Of all that is drawn at random to measure; pictures have seeds of their own.",
        ),
        click.option(
            "--measure",
            is_flag=True,
            help="Write a table of numbers beside the picture, as CSV and JSON.",
        ),
    ):
        command = option(command)
    return command


def seeds_of(seed: int, count: int) -> range:
    """So many seeds that belong to a --seed: no other one has them."""
    return range(seed * count, (seed + 1) * count)


cutoff_option = click.option(
    "--cutoff",
    metavar="N",
    type=click.IntRange(min=1),
    help="Truncate only the first N layers, from 4 px on.  [default: all]",
)


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """A click callback: a number that is one, or none."""
    if value is not None:
        require(option.opts[0], value)
    return value


def psi_numbers(context: click.Context, option: click.Parameter, text: str) -> list[float]:
    """`1,0.7,0` as numbers; a click callback."""
    try:
        psis = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--psi {text}: write numbers with commas, such as 1,0.7,0,-1") from None
    for psi in psis:
        require("--psi", psi)
    return psis


def refuse_crowd(flags: str, count: int) -> None:
    """Refuse a picture of more images than anybody can look at."""
    if count > MOST:
        raise UserError(f"{flags}: they make {count:,} images; at most {MOST:,} fit a picture")


def truncation_in_words(psi: str, cutoff: int | None, resolutions: Sequence[int]) -> str:
    """What a picture must say of truncation.

    Raises:
        UserError: the network has fewer layers than `cutoff`.
    """
    from models.stylegan.selectors import describe

    if cutoff is None:
        return psi
    if cutoff > len(resolutions):
        every = describe(range(len(resolutions)), resolutions)
        raise UserError(f"--cutoff {cutoff}: this network has {len(resolutions)} layers: {every}")
    return f"{psi} on {describe(range(cutoff), resolutions)}"
