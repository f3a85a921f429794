"""`bench directions`: ways through a latent space, and what changes along each."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.drawing import measure_options, seeds_option, source_options
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress
from data.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.trained import Trained
    from eval.extractors import Extractor
    from eval.studies.directions import Direction, Readings, Space

ATTRIBUTES = 4
NUM, MEASURED_NUM, LEAST_NUM = 300, 4000, 200
IN_WORDS = {"w": "its principal ones", "z": "those that change the first layer the most"}


@click.command()
@run_argument
@click.option(
    "--count",
    type=click.IntRange(1, 32),
    default=5,
    show_default=True,
    help="Principal directions.",
)
@click.option(
    "--attributes",
    metavar="NAMES",
    help=f"With commas: a direction for each.  [default: the {ATTRIBUTES} best explained]",
)
@seeds_option("--seeds", "0-31", "Of base latents: the first is drawn, and all are measured.")
@click.option(
    "--num",
    type=click.IntRange(min=LEAST_NUM),
    help="Faces that attributes' directions are learnt from.  "
    f"[default: {NUM}; with --measure {MEASURED_NUM:,}]",
)
@measure_options
@source_options
def directions(
    run: str,
    count: int,
    attributes: str | None,
    seeds: list[int],
    num: int | None,
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Draw strips along directions of the latent space, from -3 to 3 standard deviations.

    \b
    bench directions                             the latest run
    bench directions 00003 --attributes hair_hue,mouth_openness
    bench directions 00003 --measure             what each changes, and how surely

    Principal directions are those along which w varies the most in a StyleGAN, and for a DCGAN
    those of z that change its first layer the most. An attribute's direction is that of a linear
    regression of what the `faces` network reads on w or z.

    --measure writes what each direction changes over all --seeds, with a direction for every
    attribute where none is named; how much of each attribute the regression explains (R2, held-out
    faces); and disentanglement, completeness and informativeness (DCI) of z, and of w, for what the
    network reads. --seed is also that of the faces that directions are learnt from. Prints where
    the picture and the tables are. RUN is an id, a path or `latest`.
    """
    from benchmarks.studies import attribute_extractor, reader
    from benchmarks.trained import load_trained
    from eval.faces.targets import TARGETS
    from eval.studies.directions import (
        Readings,
        Space,
        attribute_directions,
        principal,
        sample_numbers,
    )
    from eval.studies.walk import LEAST_BASES
    from training.run_dir import RunDir

    wanted = attributes_of(attributes)
    if measure and len(seeds) < LEAST_BASES:
        raise UserError(f"--seeds: --measure needs at least {LEAST_BASES} base latents")
    trained = load_trained(RunDir.find(results, run), kimg, raw, device)
    extractor = attribute_extractor(device)
    space = Space.of(trained.gan)
    faces = num or (MEASURED_NUM if measure else NUM)
    z, numbers = sample_numbers(trained.gan, faces, reader(extractor, "faces"), seed)
    readings = Readings.of(space, z, numbers, seed)
    of_attributes = attribute_directions(
        space, readings, wanted, len(TARGETS) if measure else ATTRIBUTES
    )
    ways = {"principal": principal(space, count, seed), "of attributes": of_attributes}
    picture = out or trained.run.path / "directions.png"
    drawn = ways["principal"] + (of_attributes if wanted else of_attributes[:ATTRIBUTES])
    draw_directions(trained, space, drawn, seeds[0], faces, picture)
    click.echo(picture)
    if measure:
        spaces = {name: Space(trained.gan, name) for name in ("z", space.name)}
        regressions = {each: Readings.of(each, z, numbers, seed) for each in spaces.values()}
        measure_directions(trained, space, ways, regressions, seeds, extractor, picture, seed)


def attributes_of(text: str | None) -> list[str] | None:
    """Names with commas, each an attribute's.

    Raises:
        UserError: one is not.
    """
    from eval.faces.targets import COLUMN
    from models.registry import known

    if text is None:
        return None
    names = dict.fromkeys(name.strip() for name in text.split(","))
    return [known(name, COLUMN, "--attributes") for name in names]


def draw_directions(
    trained: "Trained",
    space: "Space",
    directions: list["Direction"],
    seed: int,
    faces: int,
    picture: Path,
) -> None:
    """A row for each direction, with the base in the middle."""
    from benchmarks.grids import Panel, write_grids
    from eval.latents import images_of, seeded_z
    from eval.studies.directions import STEPS, strips
    from training.sheet import to_uint8

    points = strips(space.points(seeded_z(trained.gan, [seed])), directions)[:, 0]  # [L, S, D]
    images = to_uint8(images_of(space.images, points.flatten(0, 1)))
    panel = Panel(
        images.unflatten(0, points.shape[:2]),
        rows=[direction.name for direction in directions],
        cols=[f"{step:+g} s.d." if step else f"seed {seed}" for step in STEPS],
    )
    how = (
        f"standard deviations along directions of {space.name}: {IN_WORDS[space.name]}, and those "
        f"of attributes, learnt from {faces:,} faces"
    )
    write_grids(picture, [trained.title, how], [panel])


def measure_directions(
    trained: "Trained",
    space: "Space",
    ways: dict[str, list["Direction"]],
    regressions: dict["Space", "Readings"],
    seeds: list[int],
    extractor: "Extractor",
    picture: Path,
    seed: int,
) -> None:
    """Tables of what directions change, of what the regressions explain, and of DCI."""
    import pandas as pd

    from benchmarks.studies import reader, tell_lines, write_tables
    from eval.latents import seeded_z
    from eval.measure import protocol_of
    from eval.studies.directions import direction_effects, regression_rows

    z, read = seeded_z(trained.gan, seeds), reader(extractor, "strips")
    lines = pd.concat(
        direction_effects(space, z, directions, read, seed).assign(kind=kind, space=space.name)
        for kind, directions in ways.items()
    )
    rest = pd.concat(regression_rows(*each, seed, item_progress) for each in regressions.items())
    samples = len(next(iter(regressions.values())).points)
    about = {"study": "directions", **trained.about, "seeds": seeds, "seed": seed}
    table = pd.concat([lines, rest], ignore_index=True)
    for path in write_tables(picture, table, about | {"samples": samples} | protocol_of(extractor)):
        click.echo(path)
    tell_lines(lines, "direction")
    tell_regressions(rest)


def tell_regressions(table: "pd.DataFrame") -> None:
    """Print what is explained best in each space, and DCI."""
    import pandas as pd

    from benchmarks.studies import in_words

    rows = []
    for space, found in table.groupby("space"):
        best = found[found["measure"] == "r2"].nlargest(3, "value")
        whole = found[found["attribute"] == "all"]
        turned = whole["if_turned"].map(" ({:.2f})".format, na_action="ignore").fillna("")
        told = [in_words(row) for _, row in whole.iterrows()]
        rows.append(
            {
                "space": space,
                **dict(zip(whole["measure"], told + turned, strict=True)),
                "explained best": ", ".join(
                    f"{row['attribute']} {row['value']:.2f}" for _, row in best.iterrows()
                ),
            }
        )
    click.echo(pd.DataFrame(rows).to_string(index=False))
    click.echo(
        "of what the `faces` network reads, by linear regressions. In brackets with the axes "
        "turned at random: none where some\nsuch turn does as well. explained best: R2 on held-out "
        "faces"
    )
