"""`bench truncate`: styles pulled to their mean, and beyond."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.drawing import (
    cutoff_option,
    measure_options,
    psi_numbers,
    refuse_crowd,
    seeds_option,
    source_options,
    truncation_in_words,
)
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress

if TYPE_CHECKING:
    from benchmarks.trained import Trained
    from eval.measure import Real


@click.command()
@run_argument
@click.option(
    "--psi",
    "psis",
    metavar="NUMBERS",
    default="2,1.5,1,0.7,0.5,0,-0.5,-1",
    show_default=True,
    callback=psi_numbers,
    help="A row for each.",
)
@seeds_option("--seeds", "0-7", "A column for each; a seed gives the same z everywhere.")
@cutoff_option
@click.option(
    "--against",
    metavar="DATA",
    type=click.Path(path_type=Path),
    help="To measure: the real images.  [default: what the run was trained on]",
)
@measure_options
@source_options
def truncate(
    run: str,
    psis: list[float],
    seeds: list[int],
    cutoff: int | None,
    against: Path | None,
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Draw what truncation does to a StyleGAN: w' = mean + psi (w - mean).

    \b
    bench truncate                               the latest StyleGAN run
    bench truncate 00003 --psi 2,1,0,-1 --seeds 0-15
    bench truncate 00003 --cutoff 3              only the first three layers
    bench truncate --measure                     attributes and quality against psi
    bench truncate --measure --against DATA      its real images, where the run's own are gone

    psi 1 leaves w as it is; 0 is the mean face, the same for every seed; below 0 comes the opposite
    of each face, above 1 its exaggeration. Prints where the picture is. RUN is an id, a path or
    `latest`.

    --measure writes how far each attribute is from the mean face's, over 200 faces: 1 is as far as
    in the plain face, below 0 is its opposite. And, for 1,000 faces at each psi, the distance to
    the run's real images, precision and recall. All have 95% intervals.
    """
    from benchmarks.grids import Panel, write_grids
    from benchmarks.studies import real_images
    from benchmarks.trained import find_stylegan, load_trained
    from eval.latents import seeded_z, truncation_grid
    from training.sheet import to_uint8

    refuse_crowd("--psi, --seeds", len(psis) * len(seeds))
    found = find_stylegan(results, run)
    real = real_images(found, against) if measure else None
    trained = load_trained(found, kimg, raw, device)
    generator = trained.generator
    how = truncation_in_words("w' = mean + psi (w - mean)", cutoff, generator.resolutions)
    images = truncation_grid(generator, seeded_z(trained.gan, seeds), psis, cutoff)
    panel = Panel(
        to_uint8(images),
        rows=[f"psi {psi:g}" for psi in psis],
        cols=[f"seed {seed}" for seed in seeds],
    )
    path = out or found.path / "truncate.png"
    write_grids(path, [trained.title, how], [panel])
    click.echo(path)
    if real:
        measure_truncation(trained, psis, cutoff, real, path, device, seed)


def measure_truncation(
    trained: "Trained",
    psis: list[float],
    cutoff: int | None,
    real: "Real",
    picture: Path,
    device: str,
    seed: int,
) -> None:
    """Tables of attributes and of quality against psi."""
    from benchmarks.studies import attribute_extractor, in_words, tell_effects, write_tables
    from eval.measure import protocol_of
    from eval.studies.truncation import truncation_effects, truncation_quality

    extractor = attribute_extractor(device)
    about = {"study": "truncate", "cutoff": cutoff, **trained.about, "seed": seed}
    about |= protocol_of(extractor)
    effects = truncation_effects(trained.gan, psis, cutoff, extractor, seed, item_progress)
    tell_effects(effects, "psi", write_tables(picture, effects, about))
    quality = truncation_quality(trained.gan, psis, cutoff, real, extractor, seed, item_progress)
    ranking = quality[quality["reference"] == quality["reference"].iloc[0]]
    shown = ranking.assign(value=[in_words(row) for _, row in ranking.iterrows()])
    wide = shown.pivot(index="psi", columns="metric", values="value")
    click.echo(wide.reindex(index=psis, columns=shown["metric"].unique()).to_string())
    file = picture.with_stem(f"{picture.stem}-quality")
    for path in write_tables(file, quality, about):
        click.echo(path)
