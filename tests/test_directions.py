"""Directions: a generator whose directions are known gives them; DCI against closed forms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from benchmarks.commands.directions import attributes_of
from data.errors import UserError
from eval.faces import random_faces
from eval.studies.directions import (
    STEPS,
    Direction,
    Readings,
    Space,
    attribute_directions,
    columns,
    components,
    dci,
    direction_effects,
    disentanglement,
    explained,
    first_layer,
    principal,
    regress,
    regression_rows,
    rotation,
    sample_numbers,
    signed,
    strips,
)
from models.registry import family
from models.stylegan import StyleGAN
from tests.conftest import TINY
from tests.test_latents import Bench, bench, contains, gan, image_of  # noqa: F401
from tests.test_studies import Bars
from tests.test_walk import Bright, constant, read_brightness
from training.run_dir import RunDir

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.effects.standing", dict)


class Known:
    """z's first variable is the brightness; the parameter says which device it is on."""

    def __init__(self) -> None:
        self.G = Bright()
        self.G.unused = nn.Parameter(torch.zeros(1))

    def sample_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, 6, generator=generator)


SPACE = Space(Known(), "z")  # type: ignore[arg-type]


def readings(count: int = 400) -> Readings:
    return Readings.of(SPACE, *sample_numbers(SPACE.gan, count, read_brightness))


def test_the_direction_of_the_attribute_that_is_a_variable_is_that_variable() -> None:
    (found,) = attribute_directions(SPACE, readings(), None, 1)
    assert found.name == "skin_tone"
    torch.testing.assert_close(found.step, torch.eye(6)[0], atol=0.1, rtol=0)
    table = direction_effects(SPACE, torch.randn(20, 6), [found], read_brightness)
    rows = table.set_index(["measure", "attribute"])
    assert rows.loc[("slope", "skin_tone"), "value"] == pytest.approx(1 / 24, rel=0.1)
    assert rows.loc[("consistency", "all"), "low"] > 0.99


def test_a_seed_is_of_the_faces_and_of_those_held_out() -> None:
    z, numbers = sample_numbers(SPACE.gan, 50, read_brightness, seed=1)
    again = sample_numbers(SPACE.gan, 50, read_brightness, seed=1)
    assert torch.equal(again[0], z)
    assert np.array_equal(again[1], numbers)
    assert not torch.equal(sample_numbers(SPACE.gan, 50, read_brightness)[0], z)
    held = [Readings.of(SPACE, z, numbers, seed).held for seed in (1, 1, 2)]
    assert np.array_equal(held[0], held[1])
    assert not np.array_equal(held[0], held[2])


def test_what_varies_is_explained_and_what_does_not_is_not() -> None:
    names = {row["attribute"]: row for row in regression_rows(SPACE, readings()).to_dict("records")}
    assert names["skin_tone"]["value"] > 0.99
    assert names["mouth_width"]["value"] == 0
    table = regression_rows(SPACE, readings()).set_index(["measure", "attribute"])
    assert table.loc[("disentanglement", "all"), "value"] > 0.99
    assert table.loc[("informativeness", "all"), "value"] == pytest.approx(
        1 / len(constant(1)), 0.02
    )


def test_disentanglement_needs_axes_that_mean_something() -> None:
    points = RNG.normal(size=(800, 8))
    numbers = np.zeros((800, len(components())))
    scalars = [n.column for n in components() if n.name == n.attribute][:8]
    numbers[:, scalars] = points
    held = np.arange(800) % 5 == 0
    clean = disentanglement(Readings(points, numbers, held))
    assert clean["disentanglement"] > 0.95
    numbers[:, scalars] = points @ np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    mixed = disentanglement(Readings(points, numbers, held))
    assert mixed["disentanglement"] < 0.6
    assert mixed["informativeness"] == pytest.approx(clean["informativeness"], abs=1e-3)


def test_dci_is_none_where_axes_that_mean_nothing_do_as_well() -> None:
    points = RNG.normal(size=(800, 8))
    numbers = np.zeros((800, len(components())))
    scalars = [n.column for n in components() if n.name == n.attribute][:8]
    held = np.arange(800) % 5 == 0
    effects = {}
    for name, turn in (("axes", np.eye(8)), ("turned", rotation(8, np.random.default_rng(9)))):
        numbers[:, scalars] = points @ turn
        table = regression_rows(SPACE, Readings(points, numbers.copy(), held))
        whole = table[table["attribute"] == "all"].set_index("measure")
        effects[name] = dict(whole["effect"])
        assert whole.loc["informativeness", "value"] == pytest.approx(8 / len(columns()), rel=0.01)
        assert (whole["factors"] == "predicted by the heads of `faces`").all()
    axes = {"disentanglement": "yes", "completeness": "yes", "informativeness": "yes"}
    assert effects["axes"] == axes
    assert effects["turned"] == axes | {"disentanglement": "none", "completeness": "none"}


def test_regressions_tell_how_far_they_are_and_turn_by_their_seed() -> None:
    some, bars = readings(), Bars()
    table = regression_rows(SPACE, some, watch=bars)
    ((what, count, steps),) = bars.seen
    assert (what, sum(steps)) == ("regressions on z", count)
    assert len(steps) > 30
    pd.testing.assert_frame_equal(regression_rows(SPACE, some), table)
    other = regression_rows(SPACE, some, seed=1)
    assert other["value"].equals(table["value"])
    assert not other["if_turned"].equals(table["if_turned"])


def test_dci_in_closed_form() -> None:
    assert list(dci(np.eye(4)).values()) == pytest.approx([1, 1])
    assert list(dci(np.ones((3, 5))).values()) == pytest.approx([0, 0])
    # Two codes for one of two factors: each is disentangled, and the factor is not complete.
    found = dci(np.array([[1.0, 0], [1, 0], [0, 1], [0, 0]]))
    assert found == pytest.approx({"disentanglement": 1, "completeness": (0.5 + 1) / 2})
    assert list(dci(np.zeros((3, 2))).values()) == [0, 0]


def test_a_regression_finds_weights_and_shrinks_noise() -> None:
    points = RNG.normal(size=(300, 20)) * np.arange(1, 21)
    weights = RNG.normal(size=(20, 2))
    targets = np.column_stack([points @ weights + 7, RNG.normal(size=300)])
    model = regress(points, targets)
    np.testing.assert_allclose(model.weights[:, :2], weights, atol=1e-3)
    np.testing.assert_allclose(model(points)[:, :2], targets[:, :2], atol=0.05)
    plain = np.linalg.lstsq(points - points.mean(0), targets[:, 2], rcond=None)[0]
    assert np.linalg.norm(model.weights[:, 2]) < np.linalg.norm(plain)
    wide = regress(RNG.normal(size=(30, 100)), RNG.normal(size=(30, 1)))
    assert np.isfinite(wide.weights).all()


def test_r2_is_that_of_samples_not_fitted() -> None:
    held = np.arange(100) % 5 == 0
    noise = Readings(RNG.normal(size=(100, 60)), RNG.normal(size=(100, 1)), held)
    assert explained(noise, [[0]])[0] < 0.3
    exact = Readings(noise.points, noise.points[:, :1] * 2, held)
    assert explained(exact, [[0]])[0] > 0.95


def test_principal_directions_of_w_are_those_of_its_covariance(gan: StyleGAN) -> None:  # noqa: F811
    space = Space.of(gan)
    assert space.name == "w"
    found = principal(space, 3)
    steps = torch.stack([direction.step for direction in found])
    with torch.no_grad():
        w = gan.G.mapping(gan.sample_z(20_000, torch.Generator().manual_seed(9)))
    variances = torch.linalg.eigvalsh(w.T.cov()).flip(0)[:3]
    torch.testing.assert_close(steps.square().sum(1), variances, rtol=0.05, atol=0)
    angles = torch.nn.functional.normalize(steps) @ torch.nn.functional.normalize(steps).T
    torch.testing.assert_close(angles, torch.eye(3), atol=1e-4, rtol=0)
    along = (w @ steps.T / steps.norm(dim=1)).std(0)
    torch.testing.assert_close(along, steps.norm(dim=1), rtol=0.05, atol=0)


@pytest.mark.parametrize("variant", ["simple", "sapienza"])
def test_principal_directions_of_z_change_the_first_layer_the_most(variant: str) -> None:
    torch.manual_seed(0)
    small = family("dcgan")
    dcgan = small.build(small.resolve(variant, {} if variant == "sapienza" else TINY))
    dcgan.G.eval().requires_grad_(False)
    space = Space.of(dcgan)
    assert space.name == "z"
    step = principal(space, 1)[0].step
    assert step.norm() == pytest.approx(1, abs=0.02)
    layer = next(m for m in dcgan.G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d))

    def change(direction: Tensor) -> float:
        nothing = torch.zeros_like(direction)[None]
        return float((layer(direction[None]) - layer(nothing)).norm())

    others = torch.nn.functional.normalize(torch.randn(100, len(step)))
    assert change(step / step.norm()) > max(change(other) for other in others)
    assert first_layer(dcgan.G).shape[1] == len(step)


def test_signs_are_fixed_and_strips_pass_through_their_base() -> None:
    turned = signed(torch.tensor([[0.1, -3.0], [2.0, 1.0]]))
    assert torch.equal(turned, torch.tensor([[-0.1, 3.0], [2.0, 1.0]]))
    points = torch.randn(4, 2)
    found = strips(points, [Direction("a", turned[0]), Direction("b", turned[1])])
    assert found.shape == (2, 4, len(STEPS), 2)
    assert torch.equal(found[:, :, STEPS.index(0)], points.expand(2, -1, -1))
    torch.testing.assert_close(found[1, :, -1], points + 3 * turned[1])


def test_images_of_w_are_those_of_z(gan: StyleGAN) -> None:  # noqa: F811
    z = torch.randn(3, 8)
    space = Space.of(gan)
    torch.testing.assert_close(space.images(space.points(z)), gan.G(z), rtol=1e-4, atol=1e-4)


# The command


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that has learnt nothing, with heads that say something."""
    net = random_faces(0, 64)
    nn.init.normal_(net.heads.weight, generator=torch.Generator().manual_seed(0))
    net.card = {"heldout": {}}
    # eval.attributes keeps its network: what stands in for it must not be kept.
    for name in ("eval.extractors.load_faces", "eval.attributes._faces"):
        monkeypatch.setattr(name, lambda: net)


@pytest.mark.usefixtures("heads")
@pytest.mark.parametrize("run", ["00000", "00001"])
def test_directions_as_a_command(bench: Bench, run: str) -> None:  # noqa: F811
    arguments = ["--count=2", "--attributes=hair_hue,blush", "--num=200", "--seeds=4-12"]
    arguments += ["--out=d.png", "--measure", "--seed=1"]
    result = bench("directions", run, *arguments)
    assert result.code == 0, result.err
    assert result.out.splitlines()[:3] == ["d.png", "d.csv", "d.json"]
    assert contains(Path("d.png"), image_of(RunDir.find(Path("results"), run).snapshot(), 4))
    first = [Path(f"d.{end}").read_bytes() for end in ("png", "csv", "json")]
    table, about = pd.read_csv("d.csv"), json.loads(first[2])
    directions = set(table["direction"].dropna())
    assert {name.split(" (")[0] for name in directions} == {
        *("principal 1", "principal 2", "hair_hue", "blush")
    }
    assert set(table["space"]) == ({"z", "w"} if run == "00000" else {"z"})
    assert (about["seed"], about["samples"], len(about["rows"])) == (1, 200, len(table))
    counted = table[table["measure"] == "count"].set_index("direction")["value"]
    for direction in directions:
        assert f"{direction} {counted[direction]:.0f} " in " ".join(result.out.split())
    assert bench("directions", run, *arguments).code == 0
    assert [Path(f"d.{end}").read_bytes() for end in ("png", "csv", "json")] == first


@pytest.mark.usefixtures("heads")
def test_every_attribute_is_measured_and_the_best_are_drawn(
    bench: Bench,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    monkeypatch.setattr("eval.studies.directions.STEPS", (-1.0, 0.0, 1.0))
    monkeypatch.setattr(
        "benchmarks.commands.directions.draw_directions",
        lambda trained, space, directions, *rest: drawn.extend(each.name for each in directions),
    )
    arguments = ["00001", "--count=1", "--num=200", "--seeds=0-7", "--measure", "--out=d.png"]
    result = bench("directions", *arguments)
    assert result.code == 0, result.err
    table = pd.read_csv("d.csv")
    measured = table[table["kind"] == "of attributes"]["direction"].unique()
    assert {name.split(" (")[0].split(":")[0] for name in measured} == set(constant(1))
    assert drawn == ["principal 1", *measured[:4]]


def test_names_of_attributes() -> None:
    assert attributes_of(None) is None
    assert attributes_of("blush, hair_hue,blush") == ["blush", "hair_hue"]
    with pytest.raises(UserError, match="did you mean hair_hue"):
        attributes_of("hair_hu")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attributes=charm"], "--attributes charm"),
        (["--count=0"], "--count"),
        (["--num=3"], "--num"),
        (["--measure", "--seeds=0-2"], "--measure needs at least 8 base latents"),
    ],
)
def test_mistakes_get_one_line(bench: Bench, arguments: list[str], words: str) -> None:  # noqa: F811
    result = bench("directions", *arguments)
    assert (result.code, words in result.err) == (2, True), result.err
    assert result.out == ""
