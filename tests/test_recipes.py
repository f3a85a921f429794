"""Recipes: what the sources say, at any budget, on any data; runs by name; the reports' own log."""

import dataclasses
import json
import os
import signal
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.commands.log import epoch_lines
from benchmarks.evaluation import data_of, real_of
from benchmarks.recipe import (
    RECIPES,
    ROLES,
    Recipe,
    configure,
    load_recipe,
    parse_budget,
    recipe_names,
    source_for,
    without_recipe,
)
from data.errors import MissingError, UserError
from data.store import Store
from eval.table import load
from models.dcgan import DCGANOptions
from models.dcgan.networks import Generator
from models.registry import parameter_counts
from tests.conftest import FAST, TINY, Bench, ConfigMaker, write_pictures
from training.config import RunConfig, data_identity
from training.loop import Trainer
from training.run_dir import STATS, RunDir

# What the sources' networks have, G and D (docs/models.md).
TUTORIAL, SIMPLE, SAPIENZA = (3_576_704, 2_765_568), (3_806_080, 2_765_696), (18_421_507, 795_009)
STYLEGAN = (25_137_935, 22_498_049)
PARAMETERS = {
    "akbari-lsgan": (3_807_043, 2_766_657),
    "photo2cartoon": SIMPLE,
    "sapienza": SAPIENZA,
    "sapienza-a": SAPIENZA,
    "sapienza-b": SAPIENZA,
    "versus-dcgan-full": TUTORIAL,
    "versus-dcgan-19k": TUTORIAL,
    "versus-dcgan-19k-equal": TUTORIAL,
    "versus-dcgan-fid9k": TUTORIAL,
    "versus-stylegan": STYLEGAN,
    "versus-stylegan-grown": STYLEGAN,
    "animerush-8.3": SIMPLE,
    "animerush-8.8": (23_604_992, 11_166_529),
    "animerush-8.4": SIMPLE,
    "animerush-9.4": SIMPLE,
    "animerush-9.5": SIMPLE,
    "animerush-9.5-smoothing": SIMPLE,
    "animerush-9.6": (178_139_384, 18_899_456),
    "animerush-9.7": SIMPLE,
    "animerush-9.8": SIMPLE,
    "animerush-10.0": SIMPLE,
    "animerush-10.0-table": SIMPLE,
}
MIRRORED = ("8.3", "8.4", "8.8", "9.4", "9.5", "9.6", "9.7", "9.8")  # and their tables say nothing
PARAMETERS |= {f"animerush-{n}-text": PARAMETERS[f"animerush-{n}"] for n in MIRRORED}
OURS = {f"versus-2x2-{n}-{t}" for n in ("dcgan", "stylegan") for t in ("classic", "modern")}
# How long the sources trained, in thousands of images, where a page and a calculator tell.
LENGTHS_KIMG = {
    "akbari-lsgan": 10 * 36.74,
    "sapienza": 10_000 * 16 / 1000,
    "sapienza-b": 30_000 * 16 / 1000,
    "versus-dcgan-full": 50 * 63.632,
    "versus-dcgan-19k": 1900,
    "versus-dcgan-19k-equal": 50 * 63.632,
    "versus-dcgan-fid9k": 45,
    "versus-stylegan": 3500,
    "animerush-9.4": 8000,
    "animerush-9.6": 55 * 36.74,
}
LARGE = {n for n in PARAMETERS if any(part in n for part in ("9.6", "8.8", "photo", "sapienza"))}
SLOW = {*LARGE, *OURS, "versus-stylegan", "versus-stylegan-grown"}
PLAIN = {"device": "cpu", "precision": "fp32", "memory_format": "contiguous"}


def test_every_recipe_is_here() -> None:
    assert set(recipe_names()) == set(PARAMETERS) | OURS | {"wgan-gp"}
    assert recipe_names().index("animerush-9.8") < recipe_names().index("animerush-10.0")
    assert {path.stem for path in RECIPES.glob("*.toml")} == set(recipe_names())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_sources(name: str) -> None:
    config = configure(load_recipe(name), 1000)
    assert parameter_counts(config.model, config.options) == PARAMETERS[name]


@pytest.mark.parametrize("name", LENGTHS_KIMG)
def test_lengths_are_the_sources(name: str) -> None:
    recipe = load_recipe(name)
    images = ROLES[recipe.role].images
    assert images is not None
    assert configure(recipe, images).training.kimg == pytest.approx(LENGTHS_KIMG[name], rel=1e-6)


def resolved(name: str) -> dict[str, Any]:
    """The options and the training of a recipe on 36,000 images."""
    config = configure(load_recipe(name), 36_000)
    return dataclasses.asdict(config.options) | dataclasses.asdict(config.training)


@pytest.mark.parametrize("number", MIRRORED)
def test_what_the_code_does_and_its_text_does_not_has_a_sibling_without(number: str) -> None:
    code, text = resolved(f"animerush-{number}"), resolved(f"animerush-{number}-text")
    assert (code.pop("mirror"), text.pop("mirror")) == (True, False)
    assert code == text
    assert f"animerush-{number}-text" in load_recipe(f"animerush-{number}").note
    assert load_recipe(f"animerush-{number}-text").published == {}


def test_what_sets_the_recipes_apart() -> None:
    """Spot checks, by hand from the sources."""
    plain = resolved("animerush-9.5")
    assert (plain["real_weight"], plain["label_smoothing"]) == (0.9, 0.0)
    assert (plain["lr_g"], plain["lr_d"], plain["augment"]) == (3e-4, 1e-4, ())
    smoothed = resolved("animerush-9.5-smoothing")
    assert (smoothed["real_weight"], smoothed["label_smoothing"]) == (1.0, 0.1)
    falling = resolved("animerush-9.7")
    assert falling["lr_milestones_kimg"] == (35 * 36, 55 * 36, 80 * 36)
    code, table = resolved("animerush-10.0"), resolved("animerush-10.0-table")
    differing = {name for name in code if code[name] != table[name]}
    assert differing == {"real_weight", "lr_milestones_kimg", "lr_d_milestones_kimg", "mirror"}
    assert code["weight_clip"] == 0.01
    assert resolved("wgan-gp")["critic_steps"] == 5
    assert resolved("photo2cartoon")["g_slope"] == 0.2
    assert resolved("akbari-lsgan")["loss"] == "lsgan"
    growing, grown = resolved("versus-stylegan"), resolved("versus-stylegan-grown")
    assert (growing["grow"], growing["batch"], growing["mirror"]) == (True, 32, True)
    assert 6 * growing["grow_kimg"] > growing["kimg"] > 6 * grown["grow_kimg"]


def test_the_two_by_two_differs_in_its_factors_only() -> None:
    def training(network: str, kind: str) -> dict[str, Any]:
        config = configure(load_recipe(f"versus-2x2-{network}-{kind}"), 19_000)
        options = dataclasses.asdict(config.options)
        options |= {"lr": options.get("lr", options.get("lr_d"))}
        shared = ("lr", "betas", "eps", "r1_gamma", "r1_interval", "diffaug")
        if not options["r1_gamma"]:
            shared = tuple(name for name in shared if name != "r1_interval")
        kept = {name: options[name] for name in shared}
        return kept | dataclasses.asdict(config.training)

    for kind in ("classic", "modern"):
        assert training("dcgan", kind) == training("stylegan", kind)
    classic, modern = training("dcgan", "classic"), training("dcgan", "modern")
    assert (classic["r1_gamma"], classic["diffaug"], classic["mirror"]) == (0, False, False)
    assert modern["r1_gamma"] > 0
    assert modern["diffaug"]
    assert modern["mirror"]
    assert classic["kimg"] == modern["kimg"] == 3500
    norms = [
        configure(load_recipe(f"versus-2x2-dcgan-{kind}"), 10).options.d_norm
        for kind in ("classic", "modern")
    ]
    assert norms == [True, False]


def test_published_numbers_are_the_sources() -> None:
    logged = [4.4285, 3.1849, 4.3958, 3.7642, 3.4973, 4.3228]
    logged += [3.0139, 3.7364, 5.9260, 4.2561, 3.7688, 5.0251]
    published = load_recipe("photo2cartoon").published
    assert published["loss_g"] == pytest.approx(statistics.fmean(logged), abs=0.005)
    assert published["loss_g_sd"] == pytest.approx(statistics.stdev(logged), abs=0.005)
    assert load_recipe("versus-stylegan").published["fid"] == 39.4008


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in recipe_names()],
)
def test_every_recipe_trains_two_steps_of_two(name: str, store: Store) -> None:
    config = configure(load_recipe(name), 10, training={**PLAIN, "batch": 2})
    config = dataclasses.replace(config, data=data_identity(store))
    trainer = Trainer(config, store)
    # The last ones: a network that grows begins at its end.
    before = [parameter.clone() for parameter in list(trainer.gan.D.parameters())[-2:]]
    for _ in range(2):
        trainer.step()
    assert trainer.steps == 2
    assert all(np.isfinite(value) for value in trainer.meter.means().values())
    after = list(trainer.gan.D.parameters())[-2:]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("budget", [1.0, 0.05, 0.002])
def test_a_budget_scales_every_length(budget: float) -> None:
    grow = configure(load_recipe("versus-stylegan"), 19_000, budget=budget)
    assert grow.options.grow_kimg == pytest.approx(600 * budget)
    assert grow.training.kimg == pytest.approx(3500 * budget)
    assert grow.training.ema_kimg == pytest.approx(10 * budget)
    assert grow.training.snap_kimg == pytest.approx(3500 * budget / 20)
    assert grow.training.tick_kimg == pytest.approx(min(3500 * budget / 100, 19))
    assert grow.recipe == {
        "name": "versus-stylegan",
        "budget": budget,
        "kimg": 3500,
        "role": "small",
    }
    assert (grow.training.batch, grow.training.save_minutes) == (32, 5)

    steps = configure(load_recipe("sapienza-a"), 100, budget=budget)
    assert steps.training.kimg == pytest.approx(320 * budget)
    milestones = configure(load_recipe("animerush-10.0-table"), 1000, budget=budget)
    assert milestones.training.kimg == pytest.approx(100 * budget)
    expected = [epoch * budget for epoch in (35, 55, 80)]
    assert milestones.options.lr_milestones_kimg == pytest.approx(expected)
    expected = [epoch * budget for epoch in (10, 20, 25)]
    assert milestones.options.lr_d_milestones_kimg == pytest.approx(expected)

    plain = without_recipe("dcgan", None, {}, {}, budget)
    lengths = ("kimg", "tick_kimg", "snap_kimg", "ema_kimg")
    scaled = [getattr(plain.training, name) for name in lengths]
    assert scaled == pytest.approx([200 * budget, 4 * budget, 40 * budget, 10 * budget])
    assert plain.recipe == ({} if budget == 1 else {"budget": budget, "kimg": 200})


def test_what_the_user_says_is_taken_as_it_is() -> None:
    recipe = load_recipe("animerush-9.7")
    options = {"lr_g": 1e-3, "lr_milestones_kimg": (5.0,)}
    training = {"kimg": 7.0, "ema_kimg": 3.0, "snap_kimg": 2.0, "batch": 8, "augment": ()}
    config = configure(recipe, 1000, None, options, training, budget=0.1)
    assert (config.options.lr_g, config.options.lr_milestones_kimg) == (1e-3, (5.0,))
    assert (config.options.lr_d, config.options.lr_gamma) == (1e-4, 0.75)
    assert {name: getattr(config.training, name) for name in training} == training
    assert config.training.mirror
    assert config.recipe["kimg"] == 100
    plain = without_recipe("dcgan", None, {}, {"kimg": 7.0}, 0.1)
    assert (plain.training.kimg, plain.training.snap_kimg) == (7.0, 4.0)


def test_another_variant_brings_its_layers_and_nothing_else() -> None:
    critic = configure(load_recipe("animerush-10.0"), 1000, "tiny")
    own = configure(load_recipe("animerush-10.0"), 1000)
    assert critic.variant == "tiny"
    assert critic.options.g_channels == (256, 128, 64, 32)
    layers = {"g_channels", "d_channels"}
    differing = {
        field.name
        for field in dataclasses.fields(own.options)
        if getattr(own.options, field.name) != getattr(critic.options, field.name)
    }
    assert differing == layers
    assert critic.training == own.training

    style = configure(load_recipe("versus-stylegan"), 1000, "tiny")
    assert (style.options.network, style.options.grow) == ("style2", False)
    assert (style.options.channel_max, style.options.mapping_layers) == (96, 2)
    assert (style.options.lr, style.options.r1_gamma, style.options.r1_interval) == (1e-3, 10, 1)
    assert (style.training.batch, style.options.diffaug) == (32, False)


def test_rates_of_d_have_milestones_of_their_own() -> None:
    options = DCGANOptions(lr_milestones_kimg=(2.0,), lr_d_milestones_kimg=(1.0, 3.0), lr_gamma=0.5)
    g, d = options.lr(1.0), options.lr(1.0, *options.lr_d_milestones_kimg)
    seen = (0, 999, 1000, 2000, 2999, 3000)
    assert [g(nimg, 0) for nimg in seen] == [1, 1, 1, 0.5, 0.5, 0.5]
    assert [d(nimg, 0) for nimg in seen] == [1, 1, 0.5, 0.25, 0.25, 0.125]


def test_a_slope_in_g_is_leaky() -> None:
    def kinds(slope: float) -> set[str]:
        layers = Generator(4, (8, 8, 8, 8), False, slope).layers
        return {type(layer).__name__ for layer in layers if "ReLU" in type(layer).__name__}

    assert (kinds(0.0), kinds(0.2)) == ({"ReLU"}, {"LeakyReLU"})


# Roles and subsets


def test_shares_are_the_sources_ratios() -> None:
    # docs/recipes.md: on 19,000 images, `small` is 5,673.
    assert round(19_000 * ROLES["small"].share) == 5673
    assert ROLES["toy"].share == 9000 / 63_632
    assert [ROLES[role].share for role in ("full", "full100k", "two-folders")] == [1, 1, 1]


def test_a_subset_is_drawn_by_its_seed(tmp_path: Path) -> None:
    store = write_pictures(tmp_path / "pictures", 40)
    store.split(10)
    train, heldout = set(store.rows("train")), store.rows("heldout")

    def rows(images: int, seed: int) -> list[int]:
        return store.subset(images, seed).rows("train").tolist()

    assert rows(12, 0) == rows(12, 0) == sorted(set(rows(12, 0)))
    assert rows(12, 0) != rows(12, 1)
    assert set(rows(5, 0)) < set(rows(12, 0)) < train
    assert len(rows(12, 0)) == 12
    assert rows(30, 3) == sorted(train)
    view = store.subset(12, 0)
    assert view.rows("heldout").tolist() == heldout.tolist()
    assert store.drawn is None
    identity, whole = data_identity(view), data_identity(store)
    assert identity["subset"] == {"images": 12, "seed": 0}
    assert (identity["images"], identity["sha256"]) == (12, whole["sha256"])
    assert identity["rows_sha256"] != whole["rows_sha256"]
    assert "subset" not in whole
    for images in (0, 31):
        with pytest.raises(UserError, match="30 training images"):
            store.subset(images, 0)


def test_every_row_is_as_likely_as_another(tmp_path: Path) -> None:
    store = write_pictures(tmp_path / "pictures", 10)
    seeds = 400
    counts = np.zeros(10)
    for seed in range(seeds):
        counts[store.subset(3, seed).rows("train")] += 1
    # Each count is binomial (400, 0.3): five standard deviations are 46.
    assert np.abs(counts - 0.3 * seeds).max() < 46


def test_sources_are_told_apart() -> None:
    assert source_for(None, []) == (None, False)
    assert source_for(None, ["x"]) == (Path("x"), False)
    assert source_for("small", ["x"]) == (Path("x"), False)
    assert source_for("small", ["small=x"]) == (Path("x"), True)
    assert source_for("small", ["y", "small=x", "full=z"]) == (Path("x"), True)
    assert source_for("toy", ["y", "small=x"]) == (Path("y"), False)


@pytest.mark.parametrize(
    ("role", "sources", "words"),
    [
        (None, ["small=x"], "is for a --recipe"),
        ("toy", ["small=x"], "the recipe asks for toy"),
        ("toy", ["x", "y"], "--data y: data was named before"),
        ("toy", ["toy=x", "toy=y"], "--data toy=y: its role was named before"),
        ("toy", ["smal=x"], "did you mean small"),
    ],
)
def test_sources_that_make_no_sense(role: str | None, sources: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        source_for(role, sources)


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a=b"
    path.mkdir()
    assert source_for(None, [str(path)]) == (path, False)


# The command

SHORT = ["--kimg=0.04", "--tick=0.008", "--snap=0.02"]


def plan(bench: Bench, *arguments: str) -> dict[str, Any]:
    code, out, words = bench("run", "--dry-run", *arguments, *FAST)
    assert code == 0, words
    return json.loads(out)["config"]


def test_a_recipe_takes_its_roles_share(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 64)
    config = plan(bench, "--recipe=versus-dcgan-19k", "--data=pictures", "--seed=3")
    images = round(64 * 19_000 / 63_632)
    assert config["data"]["subset"] == {"images": images, "seed": 3}
    assert (config["data"]["role"], config["data"]["images"]) == ("small", images)
    assert config["training"]["kimg"] == pytest.approx(100 * images / 1000)
    other = plan(bench, "--recipe=versus-dcgan-19k", "--data=pictures", "--seed=4")
    assert other["data"]["rows_sha256"] != config["data"]["rows_sha256"]

    config = plan(bench, "--recipe=versus-dcgan-19k", "--data=small=pictures", "--budget=5%")
    assert (config["data"]["role"], config["data"]["images"]) == ("small", 64)
    assert "subset" not in config["data"]
    assert config["training"]["kimg"] == pytest.approx(0.05 * 6.4)
    assert config["recipe"] == {
        "name": "versus-dcgan-19k",
        "budget": 0.05,
        "kimg": 6.4,
        "role": "small",
    }
    config = plan(bench, "--recipe=versus-dcgan-full", "--data=pictures")
    assert (config["data"]["role"], config["data"]["images"]) == ("full", 64)
    assert "subset" not in config["data"]


def test_a_plain_run_is_as_before(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 10)
    config = plan(bench, "--data=pictures")
    assert config["recipe"] == {}
    assert not {"role", "subset"} & config["data"].keys()
    lengths = [config["training"][name] for name in ("kimg", "tick_kimg", "snap_kimg")]
    assert lengths == [200, 4, 40]


def test_drawn_faces_stand_in_for_a_role(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_pictures(tmp_path / "faces", 64)
    monkeypatch.setattr("benchmarks.datasets.training_faces", lambda: store)
    config = plan(bench, "--recipe=versus-dcgan-fid9k")
    assert config["data"]["images"] == round(64 * 9000 / 63_632)


def test_a_recipe_of_ones_own(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 10)
    text = 'model = "dcgan"\nvariant = "r1"\nsteps = 5\n[options]\nlr_milestones_epochs = [2, 3]\n'
    (tmp_path / "mine.toml").write_text(text + "[training]\nbatch = 4\nema_kimg = 1\n")
    config = plan(bench, "--recipe=mine.toml", "--data=pictures")
    assert config["training"]["kimg"] == 0.02
    assert config["training"]["ema_kimg"] == 1
    assert config["options"]["lr_milestones_kimg"] == [0.02, 0.03]
    assert config["recipe"]["name"] == "mine"


def test_a_recipe_says_only_what_it_does_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('like = "animerush-9.7-text"\n[options]\nlr_g = 1e-3\n')
    mine, base = load_recipe(str(path)), load_recipe("animerush-9.7")
    assert mine.options == {**base.options, "lr_g": 1e-3}
    assert mine.training == {**base.training, "mirror": False}
    assert (mine.name, mine.epochs, mine.role) == ("mine", base.epochs, base.role)
    assert base.published
    assert mine.published == {}
    assert (mine.source, mine.note) == ("", "")
    path.write_text('like = "animerush-9.7"\n[options]\nlr_milestones_kimg = [1000]\n')
    milestones = configure(load_recipe(str(path)), 19_000).options.lr_milestones_kimg
    assert milestones == (1000,), "and not the base's, in epochs"
    path.write_text('like = "animerush-9.7"\nsteps = 5\n')
    assert (load_recipe(str(path)).length, load_recipe(str(path)).epochs) == ("5 steps", None)


GOOD = 'model = "dcgan"\nkimg = 5\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kimg = ", "mine.toml"),
        ('modle = "dcgan"\nkimg = 5', "key modle: .* did you mean model"),
        ('model = "dcgam"\nkimg = 5', "did you mean dcgan"),
        ('variant = "symple"\nkimg = 5', "did you mean simple"),
        ('name = "x"\nkimg = 5', "the name of its file"),
        ('role = "smal"\nkimg = 5', "did you mean small"),
        ('model = "dcgan"', "one of kimg, epochs, steps"),
        (GOOD + "epochs = 3", "one of kimg, epochs, steps"),
        ("kimg = 0", "kimg = 0: it must be above 0"),
        ('kimg = "5"', "kimg = '5': a number is needed"),
        (GOOD + "summary = 3", "summary = 3: text is needed"),
        ('like = "animerush-97"', r"like animerush-97: .* did you mean animerush-9\.7"),
        ("like = 97", "like = 97: text is needed"),
        ('like = "animerush-9.7"\noptions = 3', "options = 3: a table is needed"),
        ('like = "animerush-9.7"\nmodel = "stylegan"', "key model: it is that of the recipe"),
        (GOOD + "options = 3", "options = 3: a table is needed"),
        (GOOD + "[options]\nlr_q = 1e-4", "lr_q: .* did you mean lr_g"),
        (GOOD + '[options]\nlr_g = "1e-4"', "lr_g = '1e-4': a number is needed"),
        (GOOD + "[options]\nz_dim = 1.5", "z_dim = 1.5: a whole number is needed"),
        (GOOD + "[options]\nd_norm = 1", "d_norm = 1: true or false is needed"),
        (GOOD + '[options]\ninit = "he"', "init = 'he': one of dcgan, glorot, torch"),
        (GOOD + "[options]\nbetas = [0.5]", "betas = .*a list"),
        (GOOD + "[options]\nlr_epochs = [5]", "lr_kimg"),
        (GOOD + "[options]\nlr_g = -1", "lr_g -1: it must be above 0"),
        (GOOD + "[training]\nbacth = 4", "did you mean batch"),
        (GOOD + "[training]\nbatch = 0", "--batch 0"),
        (GOOD + "[training]\nseed = 4", "seed: not a recipe's"),
        (GOOD + "[training]\nkimg = 4", "kimg: not a recipe's"),
        (GOOD + '[training]\naugment = ["blur"]', "--augment blur"),
    ],
)
def test_a_file_with_a_mistake_is_named_with_it(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as refusal:
        load_recipe(str(path))
    assert str(refusal.value).startswith(str(path))


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"--recipe animerush-97: .* did you mean animerush-9\.7"):
        load_recipe("animerush-97")
    with pytest.raises(MissingError, match=r"--recipe mine\.toml"):
        load_recipe("mine.toml")


@pytest.mark.parametrize("text", ["5", "0.05", "0%", "-5%", "inf%", "nan%", "many", "%"])
def test_budgets_are_percentages(text: str) -> None:
    assert parse_budget("5%") == 0.05
    assert parse_budget("250%") == 2.5
    with pytest.raises(UserError, match=f"--budget {text}: a percentage"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe=versus-dcgan"], "--recipe versus-dcgan"),
        (["--recipe=animerush-8.4", "--model=stylegan"], "--model stylegan"),
        (["--recipe=animerush-8.4", "--variant=compact"], "--variant compact"),
        (["--recipe=animerush-8.4", "--budget=5"], "--budget 5"),
        (["--name=../x"], "--name ../x"),
        (["--name=latest"], "--name latest"),
        (["--resume=x", "--name=x"], "leave --name out"),
        (["--resume=x", "--recipe=sapienza"], "leave --recipe out"),
        (["--resume=x", "--budget=5%"], "leave --budget out"),
    ],
)
def test_flags_that_make_no_sense(
    bench: Bench, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, _, error = bench("run", *arguments)
    assert (code, words in error) == (2, True), error
    assert not (tmp_path / "results").exists()


# A run by name, on a subset

COMMAND = ["run", "--recipe=versus-dcgan-19k", "--data=pictures", "--seed=2", "--name=mine"]


def tiny_recipe(bench: Bench, *more: str) -> tuple[int, str]:
    code, _, words = bench(*COMMAND, *FAST, *SHORT, *more)
    return code, words


def weights(run: RunDir) -> bytes:
    return (run.path / "snapshots" / "000000040.safetensors").read_bytes()


@pytest.mark.slow
def test_the_same_command_again_is_always_right(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "pictures", 64)
    run = RunDir(tmp_path / "results" / "mine")
    step = Trainer.step

    def interrupted_step(trainer: Trainer) -> None:
        step(trainer)
        if trainer.steps == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted_step)
        code, words = tiny_recipe(bench)
    assert (code, run.status["state"]) == (130, "stopped"), words

    code, words = tiny_recipe(bench, "--set=lr_g=1e-3")
    assert (code, "--name: this run was started otherwise: options.lr_g" in words) == (2, True)
    code, words = tiny_recipe(bench)
    assert (code, run.status["state"]) == (0, "finished"), words
    assert "going on with mine from kimg 0.0" in words
    before = weights(run)
    code, words = tiny_recipe(bench)
    assert (code, "is there already: finished" in words) == (0, True), words
    assert weights(run) == before

    # Resumed or not, with its subset it is the same run.
    code, words = tiny_recipe(bench, "--results=straight")
    assert code == 0, words
    assert "going on" not in words
    assert weights(RunDir(tmp_path / "straight" / "mine")) == before
    again = data_of(run)
    assert again.drawn == {"images": 19, "seed": 2}
    assert data_identity(again)["rows_sha256"] == run.config.data["rows_sha256"]
    assert real_of(again).parts["train"].rows.tolist() == again.rows("train").tolist()

    code, words = tiny_recipe(bench, "--kimg=0.048")
    assert (code, run.config.training.kimg) == (0, 0.048), words
    code, _, words = bench("run", "--resume=mine", "--kimg=0.056")
    assert (code, run.config.training.kimg) == (0, 0.056), words
    assert run.config.data["subset"] == {"images": 19, "seed": 2}
    assert run.config.recipe["name"] == "versus-dcgan-19k"


@pytest.mark.slow
def test_a_run_killed_before_it_began_begins(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 64)
    assert tiny_recipe(bench, "--results=elsewhere")[0] == 0
    for leftover in ("config", "nothing"):
        folder = tmp_path / leftover / "mine"
        folder.mkdir(parents=True)
        if leftover == "config":
            config = (tmp_path / "elsewhere" / "mine" / "config.json").read_bytes()
            (folder / "config.json").write_bytes(config)
        code, words = tiny_recipe(bench, f"--results={leftover}")
        assert (code, RunDir(folder).status["state"]) == (0, "finished"), words


def test_a_name_that_something_else_has(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 64)
    folder = tmp_path / "results" / "mine"
    folder.mkdir(parents=True)
    (folder / "holiday.jpg").touch()
    code, words = tiny_recipe(bench)
    assert (code, "--name mine" in words) == (2, True), words
    assert [path.name for path in folder.iterdir()] == ["holiday.jpg"]


def test_the_table_knows_recipes_and_arms(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 64)
    runs = {
        "a0": ["--recipe=versus-dcgan-19k", "--seed=0"],
        "a1": ["--recipe=versus-dcgan-19k", "--seed=1", "--memory-format=channels_last"],
        "lr": ["--recipe=versus-dcgan-19k", "--set=lr_g=1e-3"],
        "budget": ["--recipe=versus-dcgan-19k", "--budget=5%"],
        "plain": [],
    }
    for name, flags in runs.items():
        config = plan(bench, "--data=pictures", *SHORT, "--ema=1", *flags)
        RunDir.create(tmp_path / "results", RunConfig.from_dict(config), name)
    table = load(tmp_path / "results").groupby("run").first()
    digests = table["options_sha256"]
    assert digests["a0"] == digests["a1"]
    assert digests.nunique() == 4
    assert table.loc["a0", ["recipe", "role", "budget"]].tolist() == [
        "versus-dcgan-19k",
        "small",
        1.0,
    ]
    assert table.loc["budget", ["budget", "recipe_kimg"]].tolist() == [0.05, 1.9]
    assert table.loc["plain", ["recipe", "role", "budget", "recipe_kimg"]].isna().all()
    assert table.loc["a0", "rows_sha256"] != table.loc["a1", "rows_sha256"]

    path = tmp_path / "results" / "plain" / "config.json"
    config = json.loads(path.read_text())
    del config["recipe"], config["options"]["g_slope"]  # as before there were any
    path.write_text(json.dumps(config))
    older = load(tmp_path / "results").groupby("run").first()
    assert older.loc["plain", "options_sha256"] == digests["plain"]


# The list, and the log


def test_recipes_are_listed_and_shown(bench: Bench, tmp_path: Path) -> None:
    code, out, _ = bench("recipes", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, list(rows)) == (0, recipe_names())
    assert rows["versus-stylegan"]["published"]["fid"] == 39.4008
    assert rows["versus-dcgan-19k"]["resolved"]["training"]["kimg"] == 1900
    assert "resolved" not in rows["photo2cartoon"], "its source gives no size"
    code, out, _ = bench("recipes")
    assert all(name in out for name in recipe_names())
    assert "fid 39.4008" in out
    assert "loss_g 4.11 +- 0.81" in out
    code, out, _ = bench("recipes", "show", "animerush-9.7")
    assert "lr_milestones_epochs = [35, 55, 80]" in out
    assert "# lr_milestones_kimg = [3500.0, 5500.0, 8000.0]" in out
    assert "# parameters: G 3,806,080, D 2,765,696" in out
    code, out, _ = bench("recipes", "show", "photo2cartoon")
    assert "# length: 500 epochs" in out
    code, _, words = bench("recipes", "show", "animerush-97")
    assert (code, "did you mean animerush-9.7" in words) == (2, True)


def test_the_log_is_the_reports_line(
    bench: Bench, make_config: ConfigMaker, tmp_path: Path
) -> None:
    run = RunDir.create(tmp_path / "results", make_config())  # 10 images, 28 to be shown
    code, _, words = bench("log", run.id)
    assert (code, "no stats yet" in words) == (3, True)
    for nimg, g, real in ((4, 1.0, 0.9), (8, 2.0, 0.8), (12, 4.0, 0.5), (32, 4.1085, 0.95104)):
        scores = {"d_real": real, "d_fake": real / 2}
        run.append(STATS, {"nimg": nimg, "loss_g": g, "loss_d": 0.25, **scores})
    code, out, _ = bench("log", run.id)
    assert out.splitlines() == [
        "Epoch [1/3], loss_g: 1.5000, loss_d: 0.2500, real_score: 0.8500, fake_score: 0.4250",
        "Epoch [2/3], loss_g: 4.0000, loss_d: 0.2500, real_score: 0.5000, fake_score: 0.2500",
        "Epoch [3/3], loss_g: 4.1085, loss_d: 0.2500, real_score: 0.9510, fake_score: 0.4755",
    ]


def test_the_log_leaves_out_what_there_is_not() -> None:
    ticks = [
        {"nimg": 10, "loss_d": -1.0},  # a critic before G's first turn
        {"nimg": 20, "loss_d": -2.0, "loss_g": 0.5},
        {"nimg": 20, "loss_d": -4.0, "loss_g": None},
    ]
    assert epoch_lines(ticks, 10, 2) == [
        "Epoch [1/2], loss_d: -1.0000",
        "Epoch [2/2], loss_g: 0.5000, loss_d: -3.0000",
    ]


def test_tiny_is_half_of_r1() -> None:
    tiny, r1 = (without_recipe("dcgan", v, {}, {}).options for v in ("tiny", "r1"))
    for name in ("g_channels", "d_channels"):
        assert [2 * n for n in getattr(tiny, name)] == list(getattr(r1, name))
    assert without_recipe("dcgan", "tiny", {}, {}).training.batch == 16
    assert TINY.keys() <= {field.name for field in dataclasses.fields(tiny)}
    assert Recipe("x", "dcgan", "tiny", kimg=1).role == "full"
