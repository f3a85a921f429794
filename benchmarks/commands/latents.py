"""`bench latents`: latents other than those of training, and what becomes of the faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.drawing import (
    measure_options,
    refuse_crowd,
    seeds_of,
    seeds_option,
    source_options,
)
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress
from data.errors import UserError
from data.ranges import whole_numbers

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.trained import Trained
    from eval.images import Images
    from eval.measure import Real

DRAWN_BASES = 2  # of a walk: that one variable does two different things takes two faces to see
DRAWN_SAMPLES = 3  # at each mean and std
NUM, LEAST_NUM = 500, 64
DIRECTIONS, LEAST_DIRECTIONS = 99, 19


def _of_gaussian(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """A click callback: refuse what the walk has no use for."""
    if value is not None and context.params["study"] != "gaussian":
        raise UserError(f"{option.opts[0]} needs --study gaussian")
    return value


def _variables(
    context: click.Context, option: click.Parameter, text: str | None
) -> list[int] | None:
    """A click callback: variables as `1-5,20`."""
    if text is None:
        return None
    if context.params["study"] != "walk":
        raise UserError("--variables needs --study walk")
    found = whole_numbers("--variables", text)
    if min(found) < 1:
        raise UserError(f"--variables {text}: they are counted from 1")
    return found


@click.command()
@run_argument
@click.option(
    "--study",
    type=click.Choice(["walk", "gaussian"]),
    default="walk",
    show_default=True,
    is_eager=True,
    help="walk: one variable of z at a time. gaussian: z from N(mean, std).",
)
@click.option(
    "--variables",
    metavar="NUMBERS",
    callback=_variables,
    help="walk: which, counted from 1.  [default: ten, as 1, 10, 20 ... 90 of 100]",
)
@seeds_option(
    "--seeds",
    "0-31",
    f"Of base latents. walk draws {DRAWN_BASES} and measures all; gaussian draws {DRAWN_SAMPLES} "
    "and averages all.",
)
@click.option(
    "--num",
    type=click.IntRange(min=LEAST_NUM),
    callback=_of_gaussian,
    help="gaussian, to measure: images at each mean and std. Trends are of the first 25, in the "
    f"random directions too.  [default: {NUM}]",
)
@click.option(
    "--directions",
    type=click.IntRange(min=LEAST_DIRECTIONS),
    callback=_of_gaussian,
    help=f"gaussian, to measure: random ones, beside that of ones.  [default: {DIRECTIONS}]",
)
@click.option(
    "--against",
    metavar="DATA",
    type=click.Path(path_type=Path),
    callback=_of_gaussian,
    help="gaussian, to measure: the real images.  [default: what the run was trained on]",
)
@measure_options
@source_options
def latents(
    run: str,
    study: str,
    variables: list[int] | None,
    seeds: list[int],
    num: int | None,
    directions: int | None,
    against: Path | None,
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Walk through latents one variable at a time, or draw them from other Gaussians.

    \b
    bench latents                                each of ten variables, times -3 to 3
    bench latents 00003 --variables 1-20 --seeds 7
    bench latents 00003 --measure                what moves with each, over 32 base latents
    bench latents 00003 --study gaussian
    bench latents 00003 --study gaussian --measure

    walk: variable i of a base latent is multiplied by K and the others stay, so K = 1 is the base
    image. The table says how far each attribute moves, and whether it does so alike in every face.

    gaussian: latents from N(mean, std), and the average face at each. The table has hair warmth,
    eye roundness and symmetry, mouth clarity and darkness, distance to real images, precision and
    recall; and how each changes with the mean, beside the same in random directions.

    Any family will do. Prints where the picture and the tables are. RUN is an id, a path or
    `latest`.
    """
    from benchmarks.studies import real_images
    from benchmarks.trained import load_trained
    from training.run_dir import RunDir

    found = RunDir.find(results, run)
    real = real_images(found, against) if measure and study == "gaussian" else None
    trained = load_trained(found, kimg, raw, device)
    picture = out or trained.run.path / f"latents-{study}.png"
    if study == "walk":
        chosen = check_walk(trained, variables, seeds, measure)
        draw_walk(trained, picture, chosen, seeds)
        if measure:
            measure_walk(trained, picture, chosen, seeds, device, seed)
    else:
        draw_gaussian(trained, picture, seeds)
        if real:
            counts = num or NUM, directions or DIRECTIONS
            measure_gaussian(trained, picture, *counts, real, device, seed)


def check_walk(
    trained: "Trained", variables: list[int] | None, seeds: list[int], measure: bool
) -> list[int]:
    """The variables to walk along.

    Raises:
        UserError: there are none such, or too few base latents for an interval.
    """
    from eval.latents import seeded_z
    from eval.studies.walk import FACTORS, LEAST_BASES, tenths

    z_dim = seeded_z(trained.gan, [0]).shape[1]
    chosen = variables or tenths(z_dim)
    if max(chosen) > z_dim:
        raise UserError(f"--variables {max(chosen)}: this run's z has {z_dim} variables")
    if measure and len(seeds) < LEAST_BASES:
        raise UserError(f"--seeds: --measure needs at least {LEAST_BASES} base latents")
    refuse_crowd("--variables", DRAWN_BASES * len(chosen) * len(FACTORS))
    return chosen


def draw_walk(trained: "Trained", picture: Path, variables: list[int], seeds: list[int]) -> None:
    """A row for each variable and a column for each K, of the first base latents."""
    from benchmarks.grids import Panel, write_grids
    from eval.latents import images_of, seeded_z
    from eval.studies.walk import FACTORS, walks
    from training.sheet import to_uint8

    z = seeded_z(trained.gan, seeds[:DRAWN_BASES])
    lines = walks(z, variables)  # [V, B, S, z_dim]
    images = to_uint8(images_of(trained.gan.G, lines.flatten(0, 2))).unflatten(0, lines.shape[:3])
    panels = [
        Panel(
            images[:, base],
            heading=f"base latent of seed {seed}",
            rows=[f"z{variable} = {z[base, variable - 1]:+.2f}" for variable in variables],
            cols=["K = 1, the base" if factor == 1 else f"K = {factor:g}" for factor in FACTORS],
        )
        for base, seed in enumerate(seeds[:DRAWN_BASES])
    ]
    how = "one variable of z times K, and the others as they are"
    write_grids(picture, [trained.title, how], panels)
    click.echo(picture)


def measure_walk(
    trained: "Trained",
    picture: Path,
    variables: list[int],
    seeds: list[int],
    device: str,
    seed: int,
) -> None:
    """Tables of what each variable moves, and a line for each variable."""
    from benchmarks.studies import attribute_extractor, reader, tell_lines, write_tables
    from eval.latents import seeded_z
    from eval.measure import protocol_of
    from eval.studies.walk import FACTORS, walk_effects

    extractor = attribute_extractor(device)
    z = seeded_z(trained.gan, seeds)
    table = walk_effects(trained.gan, z, variables, reader(extractor, "walks"), seed)
    about = {"study": "walk", **trained.about, "seeds": seeds, "seed": seed, "factors": FACTORS}
    for path in write_tables(picture, table, about | protocol_of(extractor)):
        click.echo(path)
    tell_lines(table, "variable")


def draw_gaussian(trained: "Trained", picture: Path, seeds: list[int]) -> None:
    """The average face at each std (rows) and mean (columns); then a few faces at each std."""
    import torch

    from benchmarks.grids import Panel, write_grids
    from eval.latents import images_of, seeded_z
    from eval.studies.gaussian import MEANS, STDS, gaussian, unit_noise
    from training.sheet import to_uint8

    refuse_crowd("--seeds", len(seeds) * len(STDS) * len(MEANS))
    z = seeded_z(trained.gan, seeds[:1])
    noise = unit_noise(seeds, z.shape[1]).to(z.device)
    averages, sheets = [], []  # for each std: [C, 3, H, W] and [R, C, 3, H, W]
    for std in STDS:
        columns = [images_of(trained.gan.G, gaussian(noise, std, mean)).cpu() for mean in MEANS]
        averages.append(to_uint8(torch.stack([images.mean(0) for images in columns])))
        sheets.append(to_uint8(torch.stack([images[:DRAWN_SAMPLES] for images in columns], 1)))
    cols = [f"mean {mean:g}" for mean in MEANS]
    whole = f"average of {len(seeds)} faces"
    panels = [Panel(torch.stack(averages), whole, [f"std {std:g}" for std in STDS], cols)]
    for std, sheet in zip(STDS, sheets, strict=True):
        rows = [f"seed {seed}" for seed in seeds[:DRAWN_SAMPLES]]
        panels.append(Panel(sheet, f"latents from N(mean, {std:g})", rows, cols))
    how = "z = std * noise + mean in every variable; the noise of a seed is the same everywhere"
    write_grids(picture, [trained.title, how], panels)
    click.echo(picture)


def measure_gaussian(
    trained: "Trained",
    picture: Path,
    num: int,
    directions: int,
    real: "Real",
    device: str,
    seed: int,
) -> None:
    """Tables of each mean and std, and of trends beside those in random directions."""
    import pandas as pd

    from benchmarks.studies import attribute_extractor, write_tables
    from eval.latents import seeded_z
    from eval.measure import protocol_of
    from eval.studies.gaussian import (
        RealFaces,
        Seen,
        look,
        random_directions,
        setting_effects,
        std_at_mean_0,
        trend_effects,
        unit_noise,
    )

    extractor = attribute_extractor(device)
    pictures = next(iter(real.parts.values()))
    faces = RealFaces.of(extractor, pictures, item_progress)
    z = seeded_z(trained.gan, [0])
    seeds = seeds_of(seed, num)
    noise = unit_noise(seeds, z.shape[1]).to(z.device)
    ways = random_directions(directions, z.shape[1], seed).to(z.device)

    def see(images: "Images") -> Seen:
        return look(extractor, images, item_progress)

    settings = setting_effects(trained.gan, noise, see, faces, seed, item_progress)
    trends = trend_effects(trained.gan, noise, see, faces, ways, seed, item_progress)
    moved = std_at_mean_0(trained.gan, noise[:8])
    about = {
        "study": "gaussian",
        **trained.about,
        "seeds": f"{seeds[0]}-{seeds[-1]}",
        "seed": seed,
        "reference": pictures.name,
        "reference_sha256": pictures.sha256,
        "std_alone_changes_pixels_by": moved,
        **protocol_of(extractor),
    }
    table = pd.concat([settings, trends], ignore_index=True)
    for path in write_tables(picture, table, about):
        click.echo(path)
    tell_gaussian(settings, trends)
    if moved <= 1:  # rounding
        click.echo(
            f"at mean 0, std changes no pixel by more than {moved} of 255: this generator "
            "normalises z, so that only mean / std counts"
        )


def tell_gaussian(settings: "pd.DataFrame", trends: "pd.DataFrame") -> None:
    """Print each number at each setting, and each trend beside those of random directions."""
    from benchmarks.studies import in_words

    order = settings["attribute"].unique()
    wide = settings.pivot(index=["std", "mean"], columns="attribute", values="value")[order]
    click.echo(wide.to_string(float_format="{:.3f}".format))
    shown = trends.assign(
        found=[in_words(row, 3) for _, row in trends.iterrows()],
        random=[
            f"{row['random_median']:.3f} [{row['random_low']:.3f}, {row['random_high']:.3f}]"
            for _, row in trends.iterrows()
        ],
    )
    std, count = trends[["std", "count"]].iloc[0]
    click.echo(f"\nwith the mean, at std {std:g}, of {count:.0f} latents at each mean")
    columns = ["attribute", "trend", "found", "random", "p"]
    click.echo(shown[columns].to_string(index=False, float_format="{:.2f}".format))
    click.echo(
        "found: in the direction of ones, with its interval; none if that holds 0. random: the "
        "median of random directions, and where\n95% of them are (slopes without their sign). p: "
        "the share of directions with as large a trend"
    )
