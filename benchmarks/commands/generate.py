"""`bench generate`: images of seeds."""

from pathlib import Path

import click

from benchmarks.commands.drawing import (
    cutoff_option,
    finite,
    seeds_option,
    source_options,
    truncation_in_words,
)
from benchmarks.commands.options import run_argument
from data.errors import UserError

COLUMNS = 8


@click.command()
@run_argument
@seeds_option("--seeds", "0-63", "Of the latents: a seed gives the same z everywhere.")
@click.option(
    "--psi",
    type=float,
    callback=finite,
    help="Truncation, for a StyleGAN.  [default: 1, which is none]",
)
@cutoff_option
@source_options
def generate(
    run: str,
    seeds: list[int],
    psi: float | None,
    cutoff: int | None,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Draw the images of seeds, as RUN's generator makes them: an id, a path or `latest`.

    \b
    bench generate
    bench generate 00003 --seeds 0,5,9-12 --psi 0.7
    bench generate 00003 --kimg 40 --raw --out early.png

    Any family will do; truncation (--psi, --cutoff) is a StyleGAN's. Prints where the picture is.
    """
    from benchmarks.grids import Panel, in_rows, write_grids
    from benchmarks.trained import STYLEGAN, load_trained
    from eval.latents import images_of, seeded_z, truncation_grid
    from training.run_dir import RunDir
    from training.sheet import to_uint8

    found = RunDir.find(results, run)
    is_stylegan = found.config.model == STYLEGAN
    if not is_stylegan and (psi is not None or cutoff):
        raise UserError(f"--psi, --cutoff: {found.id} is no StyleGAN: it has no mean w to pull to")
    if psi is None and cutoff:
        raise UserError("--cutoff needs --psi, which says how strongly to truncate")
    trained = load_trained(found, kimg, raw, device)
    z = seeded_z(trained.gan, seeds)
    title = trained.title
    if is_stylegan:
        psi = 1.0 if psi is None else psi
        generator = trained.generator
        title += ", " + truncation_in_words(f"psi {psi:g}", cutoff, generator.resolutions)
        images = truncation_grid(generator, z, [psi], cutoff)[0]
    else:
        images = images_of(trained.gan.G, z)
    grid = in_rows(to_uint8(images), min(COLUMNS, len(seeds)))
    path = out or found.path / "generate.png"
    write_grids(path, [title], [Panel(grid, captions=[f"seed {seed}" for seed in seeds])])
    click.echo(path)
