"""`bench mix`: styles of two sources in one image."""

from pathlib import Path

import click

from benchmarks.commands.drawing import measure_options, refuse_crowd, seeds_option, source_options
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress

WHO_GIVES = (
    "each image takes the styles of the layers named from B, above it, "
    "and everything else from A, on its left"
)


@click.command()
@run_argument
@click.option(
    "--layers",
    "selector",
    metavar="LAYERS",
    help="coarse (4-8 px), middle (16-32), fine (64), all, px:4,8 or layers:0-3.  "
    "[default: each group in turn]",
)
@seeds_option("--rows", "0-4", "Seeds of sources A, on the left: they give everything else.")
@seeds_option("--cols", "10-15", "Seeds of sources B, on top: they give the styles of LAYERS.")
@measure_options
@source_options
def mix(
    run: str,
    selector: str | None,
    rows: list[int],
    cols: list[int],
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Mix the styles of a StyleGAN's images: some layers from one source, the rest from another.

    \b
    bench mix                                    coarse, middle and fine, one below the other
    bench mix 00003 --layers coarse
    bench mix --layers px:4,8 --rows 0-2 --cols 20-23
    bench mix --layers layers:0-3,9              by number, from 0
    bench mix --measure                          what each group decides, as numbers

    In each cell, the styles of LAYERS are those of the source above (B, --cols), and everything
    else is the source's on the left (A, --rows). Prints which layers those are and where the
    picture is. RUN is an id, a path or `latest`, here the latest StyleGAN run.

    --measure reads 200 pairs of faces: how far each attribute moves from A's value (0) to B's (1),
    with 95% intervals over the pairs, and how far its reading can be trusted.
    """
    from benchmarks.grids import Panel, with_sources, write_grids
    from benchmarks.trained import find_stylegan, load_trained
    from eval.latents import images_of, mixing_grid, seeded_z
    from models.stylegan.selectors import describe, groups
    from training.sheet import to_uint8

    found = find_stylegan(results, run)
    trained = load_trained(found, kimg, raw, device)
    generator = trained.generator
    existing = [group for group, layers in groups(generator.resolutions).items() if layers]
    chosen = {
        name: generator.select(name) for name in ([selector] if selector is not None else existing)
    }
    refuse_crowd("--rows, --cols", len(chosen) * len(rows) * len(cols))

    ws_a, ws_b = (generator.map(seeded_z(trained.gan, seeds)) for seeds in (rows, cols))
    a, b = (to_uint8(images_of(generator.synthesize, ws)) for ws in (ws_a, ws_b))
    panels = []
    for name, layers in chosen.items():
        mixed = to_uint8(mixing_grid(generator, ws_a, ws_b, layers))
        swapped = f"{name}: {describe(layers, generator.resolutions)} from the columns"
        panels.append(
            Panel(
                with_sources(a, b, mixed),
                heading=swapped,
                rows=["", *(f"A: seed {seed}" for seed in rows)],
                cols=["", *(f"B: seed {seed}" for seed in cols)],
                sources=True,
            )
        )
        click.echo(swapped)
    file = f"mix-{selector.replace(':', '-')}.png" if selector else "mix.png"
    path = out or found.path / file
    write_grids(path, [f"{trained.title}, psi 1", WHO_GIVES], panels)
    click.echo(WHO_GIVES)
    click.echo(path)
    if measure:
        from benchmarks.studies import attribute_extractor, tell_effects, write_tables
        from eval.measure import protocol_of
        from eval.studies.mixing import mixing_effects

        extractor = attribute_extractor(device)
        table = mixing_effects(trained.gan, chosen, extractor, seed, item_progress)
        about = {"study": "mix", **trained.about, "seed": seed, **protocol_of(extractor)}
        tell_effects(table, "group", write_tables(path, table, about))
