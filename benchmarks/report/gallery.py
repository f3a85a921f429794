"""The sections to look at: what the newest averaged generators make of seeds that nobody chose."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from PIL import Image as Pixels
from torch import Tensor

from benchmarks.commands.progress import faces_at, spread
from benchmarks.evaluation import data_of
from benchmarks.grids import PAPER
from benchmarks.report.facts import UNREADABLE, Drawn, Facts
from benchmarks.report.parts import Columns, Gallery, Image, Part, Section, Strip, Text
from benchmarks.studies import attribute_extractor
from benchmarks.trained import STYLEGAN
from eval.features import reference
from eval.images import Pictures
from eval.latents import images_of, mixing_grid, seeded_z, truncation_grid
from eval.studies.interpolate import path_images
from eval.studies.neighbours import nearest_features, nearest_pixels
from eval.studies.walk import FACTORS, tenths, walks
from models.stylegan.selectors import describe, groups
from training.run_dir import RunDir
from training.sheet import COLUMNS, to_uint8

ROWS = 5  # of uncurated faces, COLUMNS each
SNAPSHOTS = 6
SEEDS = f"0 to {COLUMNS - 1}"
MIX_ROWS, MIX_COLS = range(2), range(10, 16)
PSIS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
WAYS, STEPS = (0, 1, 2), 7
ASKED, NEAREST = range(5), 4
NOTHING_TO_SHOW = "Left out: no run here has a generator to show."
Draw = Callable[[Facts, Drawn], list[Part]]


def samples_section(facts: Facts) -> Section:
    lead = (
        f"The first {ROWS * COLUMNS} seeds of each run, none left out. The same seed gives two "
        "networks nothing in common but its number."
    )
    parts = each_of(facts.drawn, facts, "samples", uncurated)
    parts += real_images(drawn.trained.run for drawn in facts.drawn)
    parts += [Text(reason, "note") for reason in facts.undrawn]
    return Section("samples", "Same seeds, side by side", lead, side_by_side(parts))


def uncurated(facts: Facts, drawn: Drawn) -> list[Part]:
    rows = faces(drawn, range(ROWS * COLUMNS)).split(COLUMNS)
    strips = []
    for first, tiles in zip(range(0, ROWS * COLUMNS, COLUMNS), rows, strict=True):
        seeds = f"{first} to {first + COLUMNS - 1}"
        strips.append(Strip(seeds, Image(tiles, f"faces of seeds {seeds}")))
    return [Gallery(drawn.trained.title, "", strips, arm=drawn.arm.index)]


def real_images(runs: Iterable[RunDir]) -> list[Part]:
    """The first of what each data set has, from the sheets that runs left."""
    parts: list[Part] = []
    for run in {run.config.data["sha256"]: run for run in runs}.values():
        try:
            with Pixels.open(run.path / "reals.png") as sheet:
                pixels = torch.from_numpy(np.array(sheet.convert("RGB")))  # [H, W, 3]
        except (OSError, Pixels.DecompressionBombError) as error:
            parts.append(Text(f"No real images: {error}.", "note"))
            continue
        side = pixels.shape[1] // COLUMNS
        lines = pixels[: ROWS * side].split(side)
        tiles = [line.unflatten(1, (COLUMNS, side)).permute(1, 3, 0, 2) for line in lines]
        strips = [Strip("", Image(each, "real images")) for each in tiles]
        parts.append(Gallery(f"Real images of {run.config.data['name']}", "", strips))
    return parts


def progress_section(facts: Facts) -> Section:
    lead = f"The same {COLUMNS} seeds at up to {SNAPSHOTS} snapshots, evenly spread."
    parts = each_of(facts.drawn, facts, "progress", over_training)
    return Section("progress", "Progress", lead, side_by_side(parts))


def over_training(facts: Facts, drawn: Drawn) -> list[Part]:
    run = drawn.trained.run
    every = [int(path.stem) / 1000 for path in run.snapshots]
    strips = []
    for kimg in spread(every, SNAPSHOTS):
        label = f"kimg {kimg:.4g}"
        tiles = faces_at(run, kimg, range(COLUMNS), False, facts.device)
        strips.append(Strip(label, Image(tiles, f"faces of seeds {SEEDS} at {label}")))
    return [Gallery(f"{drawn.run}, EMA weights", "", strips, arm=drawn.arm.index)]


def latents_section(facts: Facts) -> Section:
    stylegans = [drawn for drawn in facts.drawn if drawn.arm.model == STYLEGAN]
    others = [drawn for drawn in facts.drawn if drawn.arm.model != STYLEGAN]
    parts = each_of(stylegans, facts, "mixing", mixing)
    parts += each_of(stylegans, facts, "truncation", truncation)
    parts += each_of(others, facts, "variables", variables)
    parts += each_of(facts.drawn, facts, "ways", ways)
    if facts.drawn and not stylegans:
        text = "Mixing and truncation are left out: a DCGAN has neither styles nor a mean style."
        parts.append(Text(text, "note"))
    if facts.drawn and not others:
        text = "Walks along single variables of z are left out: they are a study of DCGANs."
        parts.append(Text(text, "note"))
    return Section("latents", "Mixing, truncation, walks", "", side_by_side(parts))


def mixing(facts: Facts, drawn: Drawn) -> list[Part]:
    generator, gan = drawn.trained.generator, drawn.trained.gan
    ws_a, ws_b = (generator.map(seeded_z(gan, seeds)) for seeds in (MIX_ROWS, MIX_COLS))
    a, b = (to_uint8(images_of(generator.synthesize, ws)) for ws in (ws_a, ws_b))
    blank = torch.full_like(b[:1], PAPER[0])
    heads = ["", *(f"B {seed}" for seed in MIX_COLS)]
    strips = [Strip("", Image(torch.cat([blank, b]), "a blank, then the sources B"))]
    said = []
    for name, layers in groups(generator.resolutions).items():
        if not layers:
            continue
        said.append(f"{name}: {describe(layers, generator.resolutions)}")
        mixed = to_uint8(mixing_grid(generator, ws_a, ws_b, layers))
        for seed, source, tiles in zip(MIX_ROWS, a, mixed, strict=True):
            alt = f"source A, seed {seed}; then the same with the {name} styles of each B"
            strips.append(Strip(f"A {seed}, {name}", Image(torch.cat([source[None], tiles]), alt)))
    caption = (
        f"{drawn.trained.title}. Each face is A, on its left, with the styles named from B, above "
        f"it: {'; '.join(said)}."
    )
    return [Gallery("Mixing styles", caption, strips, heads, drawn.arm.index)]


def truncation(facts: Facts, drawn: Drawn) -> list[Part]:
    generator = drawn.trained.generator
    images = truncation_grid(generator, seeded_z(drawn.trained.gan, range(COLUMNS)), PSIS)
    strips = [
        Strip(f"psi {psi:g}", Image(to_uint8(tiles), f"faces of seeds {SEEDS} at psi {psi:g}"))
        for psi, tiles in zip(PSIS, images, strict=True)
    ]
    caption = (
        f"{drawn.trained.title}. w' = mean + psi (w - mean): 1 leaves a face as it is, 0 is the "
        "mean one, and below 0 come opposites."
    )
    heads = [f"seed {seed}" for seed in range(COLUMNS)]
    return [Gallery("Truncation", caption, strips, heads, drawn.arm.index)]


def variables(facts: Facts, drawn: Drawn) -> list[Part]:
    gan = drawn.trained.gan
    z = seeded_z(gan, [0])
    chosen = tenths(z.shape[1])[::2]
    strips = []
    for variable, line in zip(chosen, walks(z, chosen), strict=True):  # line [1, S, z_dim]
        alt = f"seed 0 with variable {variable} times -3 to 3"
        strips.append(Strip(f"z {variable}", Image(to_uint8(images_of(gan.G, line[0])), alt)))
    caption = f"{drawn.trained.title}, seed 0. A row multiplies one variable, and no other."
    heads = [f"times {factor:g}" for factor in FACTORS]
    return [Gallery("One variable of z at a time", caption, strips, heads, drawn.arm.index)]


def ways(facts: Facts, drawn: Drawn) -> list[Part]:
    in_w = drawn.arm.model == STYLEGAN
    images = to_uint8(path_images(drawn.trained.gan, WAYS, STEPS, space="w" if in_w else "z"))
    there = images.unflatten(0, (len(WAYS), STEPS))
    there = torch.cat([there, there[:, :1].roll(-1, 0)], 1)  # [N, STEPS + 1, 3, H, W]
    strips = [
        Strip(f"{start} to {end}", Image(tiles, f"the way from seed {start} to seed {end}"))
        for (start, end), tiles in zip(pairwise([*WAYS, WAYS[0]]), there, strict=True)
    ]
    caption = f"{drawn.trained.title}, {'straight in w' if in_w else 'along the sphere in z'}."
    return [Gallery("From seed to seed", caption, strips, arm=drawn.arm.index)]


def neighbours_section(facts: Facts) -> Section:
    lead = (
        "Generated faces beside the training images most like them: are they new, or remembered? "
        "This page holds training images, here and among the samples; mind who gets it."
    )
    parts = each_of(facts.drawn, facts, "neighbours", nearest)
    return Section("neighbours", "Nearest neighbours", lead, side_by_side(parts))


def nearest(facts: Facts, drawn: Drawn) -> list[Part]:
    store = data_of(drawn.trained.run)
    train = Pictures.part(store, "train")
    extractor = attribute_extractor(facts.device)
    fakes = faces(drawn, ASKED)
    known = reference(extractor, train, facts.watch).features
    near, places = nearest_features(extractor.embed(fakes).cpu().numpy(), known, NEAREST)
    near_pixels, pixel_places = nearest_pixels(fakes, train)
    found = store.images[train.rows[np.concatenate([places, pixel_places], axis=1)]]
    rows = torch.cat([fakes[:, None], torch.from_numpy(found)], 1)
    strips = []
    for seed, tiles, distances, by_pixels in zip(ASKED, rows, near, near_pixels, strict=True):
        alt = f"the face of seed {seed}, its nearest by features, and the nearest by pixels"
        words = ["", *(f"{each:.1f}" for each in distances), f"{by_pixels[0]:.0f}"]
        strips.append(Strip(f"seed {seed}", Image(tiles, alt), words))
    caption = (
        f"Nearest of {len(train):,} training images by features of {extractor.name} (distances "
        "below), and by pixels (root mean square of 255)."
    )
    heads = ["fake", *(f"nearest {rank + 1}" for rank in range(len(near[0]))), "by pixels"]
    return [Gallery(drawn.trained.title, caption, strips, heads, drawn.arm.index)]


def faces(drawn: Drawn, seeds: Sequence[int]) -> Tensor:
    """What seeds give, uint8 [N, 3, H, W]."""
    gan = drawn.trained.gan
    return to_uint8(images_of(gan.G, seeded_z(gan, seeds))).cpu()


def each_of(drawn: Sequence[Drawn], facts: Facts, what: str, draw: Draw) -> list[Part]:
    """The parts of each run; where one cannot be had, the reason."""
    parts: list[Part] = []
    with facts.watch(what, len(drawn)) as progress:
        for each in drawn:
            try:
                parts += draw(facts, each)
            except UNREADABLE as error:
                parts.append(Text(f"{each.run} is left out: {error}.", "note"))
            progress(1)
    return parts


def side_by_side(parts: Sequence[Part]) -> list[Part]:
    """Galleries in columns, and below them what is missing."""
    galleries = [part for part in parts if isinstance(part, Gallery)]
    others: list[Part] = [part for part in parts if not isinstance(part, Gallery)]
    if not parts:
        return [Text(NOTHING_TO_SHOW, "note")]
    return [*([Columns(galleries)] if galleries else []), *others]
