"""The `faces` network: its labels, its distortions, its training, and the file that ships."""

import io
import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import eval.faces.train
from data.errors import MissingError, UserError
from data.faces import DISTRIBUTIONS, Factors, draw, sample_factors
from data.faces.colours import hsl
from data.faces.distributions import Choice
from data.files import sha256_file
from eval.faces import CARD, WEIGHTS, FacesNet, load_faces, random_faces
from eval.faces.colours import from_hsl, to_hsl
from eval.faces.distort import DISTORTIONS, compose, distort, sample_amounts, shift_hue
from eval.faces.drawn import (
    TRAINING_REDUCTION,
    TRAINING_SEED,
    distorted_batches,
    draw_faces,
)
from eval.faces.network import embed
from eval.faces.targets import COLUMN, HIDDEN, TARGETS, has_hue, mirror_labels, tabulate
from eval.faces.train import heldout_scores, loss_of, train
from eval.faces.validate import (
    HALVINGS,
    SEED,
    Ladder,
    agreement,
    changes,
    colour_clusters,
    fit_heads,
    halvings,
    ladder_table,
    read_labels,
    region_hue,
    separation,
    shuffle_tiles,
)
from eval.frechet import Moments, frechet_distance

SHIPPED = Path(eval.faces.__file__).parent
FRESH_SEED = 4242  # neither trained on nor held out


@pytest.fixture(scope="module")
def fresh() -> Tensor:
    """Faces that the shipped network has not seen, float32 [128, 3, 64, 64]."""
    return draw_faces(FRESH_SEED, 128)[0].float()


def pixels(face: Factors) -> Tensor:
    """float32 [1, 3, 64, 64]"""
    return torch.from_numpy(np.asarray(draw(face)).transpose(2, 0, 1).copy())[None].float()


def some_images(count: int = 6) -> Tensor:
    return torch.cat([pixels(sample_factors(FRESH_SEED, index)) for index in range(count)])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Colours.


def test_colours_are_those_of_the_drawing() -> None:
    rng = np.random.default_rng(0)
    parts = np.stack([rng.uniform(0, 360, 50), rng.random(50), rng.random(50)])
    expected = torch.tensor([hsl(*each) for each in parts.T], dtype=torch.float32)
    hue, saturation, lightness = torch.from_numpy(parts).float()
    colours = from_hsl(hue, saturation, lightness)
    assert (colours - expected).abs().max() <= 0.501  # the drawing's are whole numbers
    for back, part in zip(to_hsl(colours), (hue, saturation, lightness), strict=True):
        assert torch.allclose(back, part, atol=1e-2)


# Targets.


def test_every_factor_but_the_seed_is_a_target() -> None:
    assert set(COLUMN) == set(DISTRIBUTIONS) - {"strand_seed"}
    for target in TARGETS:
        if target.name.endswith("_hue"):
            assert (target.kind, target.size) == ("hue", 2)
        elif isinstance(DISTRIBUTIONS[target.name], Choice):
            assert target.size == len(target.values) > 1
        else:
            assert target.kind == "scalar"
            assert target.low < target.high


def test_labels_are_the_factors_in_their_own_units() -> None:
    face = Factors(hair_hue=123.0, head_tilt=-7.0, mouth_shape="cat")
    (row,) = tabulate([face])[0].tolist()
    assert row[COLUMN["hair_hue"]] == 123.0
    assert row[COLUMN["head_tilt"]] == -7.0
    mouth = TARGETS[COLUMN["mouth_shape"]]
    assert mouth.values[int(row[COLUMN["mouth_shape"]])] == "cat"


HIDING = {
    "eye_left_hue": {"eye_left_openness": 0.0},
    "eye_right_hue": {"eye_right_openness": 0.0},
    "eye_saturation": {"eye_left_openness": 0.0, "eye_right_openness": 0.0},
    "eye_lightness": {"eye_left_openness": 0.0, "eye_right_openness": 0.0},
    "gaze": {"eye_left_openness": 0.0, "eye_right_openness": 0.0},
    "accessory_hue": {"accessory": "bare"},
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_changes_no_pixel_and_what_is_not_does(name: str) -> None:
    low, high = (30.0, 200.0) if name.endswith("_hue") else (0.26, 0.6)
    if name == "gaze":
        low, high = -1.0, 1.0
    shown = Factors(accessory="ribbon", eye_left_hue=30.0, eye_right_hue=30.0)
    hidden = replace(shown, **HIDING[name])
    for face, seen in ((shown, True), (hidden, False)):
        assert HIDDEN[name](face) is not seen
        assert bool(tabulate([face])[1][0, COLUMN[name]]) is seen
        pair = [pixels(replace(face, **{name: value})) for value in (low, high)]
        assert torch.equal(*pair) is not seen


def test_grey_has_no_hue() -> None:
    labels, seen = tabulate([Factors(hair_saturation=0.5), Factors(hair_saturation=0.0)])
    assert seen[:, COLUMN["hair_hue"]].tolist() == [True, False]
    assert torch.equal(has_hue(labels)[:, COLUMN["hair_hue"]], seen[:, COLUMN["hair_hue"]])


def mirrored_face(face: Factors) -> Factors:
    """By way of the labels: what `mirror_labels` says that the mirror shows."""
    row = mirror_labels(tabulate([face])[0])[0]
    named = {
        target.name: target.values[int(value)] if target.values else float(value)
        for target, value in zip(TARGETS, row, strict=True)
    }
    return replace(face, **named)


SIDED = {
    "head_yaw": 0.9,
    "head_tilt": 12.0,
    "gaze": 1.0,
    "eye_left_hue": 20.0,
    "eye_right_size": 1.2,
    "eye_left_openness": 0.0,
    "eye_right_openness": 0.5,
    "eye_left_height": 1.0,
    "light": 1.0,
    "parting": 0.9,
}


@pytest.mark.parametrize("name", SIDED)
def test_a_mirrored_picture_is_the_picture_of_mirrored_labels(name: str) -> None:
    plain = Factors(light=-0.02, parting=-0.02, mouth_shape="smile", fringe="swept")
    face = replace(plain, **{name: SIDED[name]})
    picture = pixels(face).flip(3)
    right = (picture - pixels(mirrored_face(face))).abs().mean()
    wrong = (picture - pixels(face)).abs().mean()
    assert right < 0.75 * wrong


def test_mirrored_twice_is_as_before_and_unsided_factors_stay() -> None:
    labels, seen = tabulate([sample_factors(FRESH_SEED, index) for index in range(50)])
    assert torch.equal(mirror_labels(mirror_labels(labels)), labels)
    assert torch.equal(mirror_labels(mirror_labels(seen)), seen)
    sided = (mirror_labels(labels) != labels).any(0)
    names = {target.name for target, moved in zip(TARGETS, sided, strict=True) if moved}
    both = {name for name in COLUMN if "_left_" in name or "_right_" in name}
    assert names - both == {"head_yaw", "head_tilt", "parting", "gaze", "light"}


# Distortions.


@pytest.mark.parametrize("name", DISTORTIONS)
def test_no_distortion_at_amount_zero_and_one_at_amount_one(name: str) -> None:
    images = some_images()
    assert torch.allclose(distort(name, images, torch.zeros(6), generator()), images, atol=0.01)
    changed = distort(name, images, torch.ones(6), generator())
    assert ((changed - images).abs().mean((1, 2, 3)) > 1.0).all()
    assert changed.shape == images.shape
    assert changed.min() >= -0.01
    assert changed.max() <= 255.01


@pytest.mark.parametrize("name", DISTORTIONS)
def test_more_is_farther_and_each_image_has_its_own_amount(name: str) -> None:
    # Away from the far side of the hue circle, black and white, where more need not be farther.
    images = some_images(4)
    amounts = (0.1, 0.3, 0.6, 0.9)
    apart = [
        (distort(name, images, torch.full([4], amount), generator()) - images).abs().mean()
        for amount in amounts
    ]
    assert all(a < b for a, b in pairwise(apart))
    mixed = distort(name, images, torch.tensor([0.0, 0.9, 0.0, 0.9]), generator())
    assert torch.allclose(mixed[::2], images[::2], atol=0.01)
    assert ((mixed - images).abs().mean((1, 2, 3))[1::2] > 0.5).all()


def test_the_generator_decides_alone() -> None:
    images = some_images()
    for name in DISTORTIONS:
        first, again = (distort(name, images, torch.ones(6), generator(3)) for _ in range(2))
        assert torch.equal(first, again)
    noisy = [distort("noise", images, torch.ones(6), generator(seed)) for seed in (0, 1)]
    assert not torch.equal(*noisy)


def test_blur_takes_the_high_frequencies_and_noise_adds_them() -> None:
    images = some_images()

    def high_frequencies(amount: float, name: str) -> float:
        changed = distort(name, images, torch.full([6], amount), generator())
        return float(changed.diff(n=2, dim=3).square().mean())

    blurred = [high_frequencies(amount, "blur") for amount in (0.0, 0.2, 0.5, 1.0)]
    noisy = [high_frequencies(amount, "noise") for amount in (0.0, 0.2, 0.5, 1.0)]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[-1] < 0.01 * blurred[0]
    assert noisy == sorted(noisy)


def test_a_whole_turn_of_hues_is_none() -> None:
    images = some_images()
    assert torch.allclose(shift_hue(images, torch.full([6], 360.0)), images, atol=0.01)
    opposite = shift_hue(torch.tensor([[[255.0], [0.0], [0.0]]]), torch.tensor([180.0]))
    assert torch.allclose(opposite.flatten(), torch.tensor([0.0, 255.0, 255.0]))


def test_jpeg_does_as_pillow_does() -> None:
    """Amount 0.2 has the quantisation tables of quality 50, so its errors are those of 50."""
    images = some_images()
    ours = distort("jpeg", images, torch.full([6], 0.2), generator())

    def apart(quality: int) -> float:
        return float((ours - pillow_jpeg(images, quality)).abs().mean())

    error = float((images - pillow_jpeg(images, 50)).abs().mean())
    assert apart(50) < 0.3 * error  # Pillow works in whole numbers
    assert apart(50) < 0.5 * min(apart(35), apart(65))


def pillow_jpeg(images: Tensor, quality: int) -> Tensor:
    decoded = []
    for image in images:
        file = io.BytesIO()
        picture = Image.fromarray(image.permute(1, 2, 0).byte().numpy())
        picture.save(file, "jpeg", quality=quality, subsampling=0)
        decoded.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float())
    return torch.stack(decoded)


def test_labels_follow_what_is_seen() -> None:
    face = Factors(hair_hue=40.0, hair_saturation=0.6, hair_lightness=0.5, head_tilt=0.0)
    images, (labels, seen) = pixels(face), tabulate([face])

    def composed(name: str, amount: float) -> tuple[Tensor, Tensor]:
        amounts = torch.zeros(1, len(DISTORTIONS))
        amounts[0, list(DISTORTIONS).index(name)] = amount
        _, changed, visible = compose(images, labels, seen, amounts, generator())
        return changed[0], visible[0]

    untouched, visible = composed("blur", 1.0)
    assert torch.allclose(untouched, labels[0], atol=0.01)
    assert torch.equal(visible, seen[0])
    shifted, _ = composed("hue", 0.5)
    assert round(float(shifted[COLUMN["hair_hue"]])) in (130, 310)
    grey, visible = composed("saturation", -1.0)
    assert grey[COLUMN["hair_saturation"]] < 0.01
    assert not visible[COLUMN["hair_hue"]]
    dark, _ = composed("darkness", 1.0)
    assert dark[COLUMN["hair_lightness"]] < 0.4
    turned, _ = composed("turn", 0.5)
    assert turned[COLUMN["head_tilt"]] == 15.0
    _, visible = composed("halves", 0.5)
    assert not visible.any()


def test_a_turned_picture_leans_as_a_leaning_head_does() -> None:
    """Wherever it then stands: a head leans about its neck, a picture turns about its middle."""
    upright = Factors(light=0.0, parting=0.0)
    turned = distort("turn", pixels(upright), torch.tensor([0.4]), generator())[..., 20:44, 20:44]

    def apart(tilt: float) -> float:
        leaning = pixels(replace(upright, head_tilt=tilt))
        windows = [leaning[..., y : y + 24, x : x + 24] for y in range(40) for x in range(40)]
        return min(float((turned - window).abs().mean()) for window in windows)

    assert apart(12.0) < 0.6 * apart(0.0) < apart(-12.0)


def test_amounts_leave_a_share_clean_and_are_signed_where_they_may_be() -> None:
    assert not sample_amounts(500, generator(), clean=1.0).any()
    amounts = sample_amounts(5000, generator(), clean=0.2)
    assert 0.18 < float((amounts == 0).all(1).float().mean()) < 0.25
    for column, each in zip(amounts.unbind(1), DISTORTIONS.values(), strict=True):
        assert column.max() <= 1.0
        assert (column.min() < -0.5) if each.signed else (column.min() == 0.0)
        share = float((column != 0).float().mean())
        assert abs(share - 0.8 * each.chance) < 0.03


def test_faces_are_drawn_as_a_data_set_draws_them() -> None:
    images, labels, _ = draw_faces(FRESH_SEED, 6)
    assert torch.equal(images, some_images(6).byte())
    assert torch.equal(labels, tabulate([sample_factors(FRESH_SEED, i) for i in range(6)])[0])
    large = draw_faces(FRESH_SEED, 6, TRAINING_REDUCTION)[0]
    small = torch.nn.functional.avg_pool2d(large.float(), 2)
    assert (small - images).abs().max() <= 1.0


# The network.


def test_heads_say_every_factor_in_its_unit() -> None:
    net = FacesNet().eval()
    embedding = embed(net, some_images(3).byte())
    assert embedding.shape == (3, net.dimension)
    assert embedding.dtype == torch.float32
    read = net.factors(embedding)
    assert set(read) == set(DISTRIBUTIONS) - {"strand_seed"}
    for target in TARGETS:
        if target.kind == "category":
            assert torch.allclose(read[target.name].sum(1), torch.ones(3))
            assert read[target.name].shape == (3, target.size)
        else:
            assert read[target.name].shape == (3,)
        if target.kind == "hue":
            assert ((read[target.name] >= 0) & (read[target.name] < 360.0)).all()
    strengths = net.strengths(embedding)
    assert list(strengths) == list(DISTORTIONS)
    assert all(strength.shape == (3,) for strength in strengths.values())


def test_an_image_is_embedded_alike_in_any_company() -> None:
    net, images = random_faces(0, images=64), some_images()
    alone = torch.cat([embed(net, image[None]) for image in images])
    assert torch.allclose(embed(net, images), alone, atol=1e-4)
    assert torch.allclose(embed(net, images.byte()), alone, atol=1e-4)


def test_the_control_is_standardised_and_has_its_seed() -> None:
    first, again, other = (random_faces(seed, images=64) for seed in (0, 0, 1))
    images = some_images()
    assert torch.equal(embed(first, images), embed(again, images))
    assert not torch.allclose(embed(first, images), embed(other, images))
    drawn = embed(random_faces(0, images=256), draw_faces(TRAINING_SEED, 256)[0])
    assert 0.1 < float(drawn.std(0).mean()) < 2.0


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_and_repeat_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval.faces.train, "WARM_UP_STEPS", 1)
    drawn = draw_faces(TRAINING_SEED, 512, TRAINING_REDUCTION)
    fixed = next(distorted_batches(drawn, 128, generator(1)))

    def trained(steps: int) -> tuple[float, list[float]]:
        torch.manual_seed(0)
        net = FacesNet()
        losses = train(net, drawn, steps, seed=0) if steps else []
        with torch.no_grad():
            return float(loss_of(net.train(), *fixed)), losses

    before, after = trained(0)[0], trained(20)[0]
    assert after < before - 0.03
    assert trained(3) == trained(3)


# What ships.


def test_the_shipped_file_is_small_and_is_what_its_card_says() -> None:
    card = json.loads((SHIPPED / CARD).read_text())
    net = load_faces()
    assert card["sha256"] == net.sha256 == sha256_file(SHIPPED / WEIGHTS)
    assert (SHIPPED / WEIGHTS).stat().st_size <= 8_000_000
    assert sum(weights.numel() for weights in net.parameters()) == card["parameters"] <= 2_000_000
    assert card["dimension"] == net.dimension == embed(net, some_images(1)).shape[1]
    assert card["license"] == "MIT"
    assert set(card["heldout"]) == set(COLUMN)
    assert not net.training


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="missing"):
        load_faces(tmp_path)
    shutil.copytree(SHIPPED, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py", "__*"))
    assert load_faces(tmp_path / "copy").sha256 == load_faces().sha256
    weights = tmp_path / "copy" / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(UserError, match="changed"):
        load_faces(tmp_path / "copy")


def test_the_shipped_network_reads_every_factor_and_a_random_one_does_not() -> None:
    """By its card; and the card is right, by faces that neither it nor the network has seen."""
    card = load_faces().card["heldout"]
    assert min(card.values()) > 0.5
    drawn = draw_faces(FRESH_SEED, 500)
    clear = ("hair_lightness", "background_lightness", "skin_tone", "hair_hue", "head_tilt")
    trained, control = (heldout_scores(net, drawn) for net in (load_faces(), random_faces(0)))
    assert min(trained[name] for name in clear) > 0.7
    assert max(control.values()) < 0.2
    assert max(abs(trained[name] - score) for name, score in card.items()) < 0.2


def strengths_read(name: str, images: Tensor, amounts: Tensor) -> dict[str, Tensor]:
    """What the shipped network says of images that were distorted in one way, [N] each."""
    net = load_faces()
    distorted = distort(name, images, amounts, generator()).round().clamp(0, 255)
    return net.strengths(embed(net, distorted))


FAINT = ("halves", "blend", "tint")


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_shipped_network_reads_how_strong_a_distortion_was(name: str, fresh: Tensor) -> None:
    amounts = torch.rand(len(fresh), generator=generator(1))
    if DISTORTIONS[name].signed:
        amounts = 2.0 * amounts - 1.0
    read = strengths_read(name, fresh, amounts)[name]
    least = 0.3 if name in FAINT else 0.7
    assert torch.corrcoef(torch.stack([amounts, read]))[0, 1] > least


MAIN = ("blur", "noise", "jpeg", "hue", "occlusion", "pixelate")


@pytest.mark.parametrize("name", MAIN)
def test_a_distortion_is_told_from_the_others(name: str, fresh: Tensor) -> None:
    read = strengths_read(name, fresh, torch.ones(len(fresh)))
    mean = {other: float(read[other].mean()) for other in MAIN}
    assert mean.pop(name) > 0.7
    assert max(mean.values()) < 0.3


def test_the_pixels_of_the_hair_know_its_hue() -> None:
    """The second instrument, against the drawn truth."""
    images, labels, seen = draw_faces(FRESH_SEED, 300)
    kept = seen[:, COLUMN["hair_hue"]]
    apart = (region_hue(images[kept]) - labels[kept, COLUMN["hair_hue"]] + 180.0) % 360.0 - 180.0
    assert apart.abs().median() < 10.0
    others = (region_hue(images[kept]).roll(1) - labels[kept, COLUMN["hair_hue"]] + 180.0) % 360.0
    assert (others - 180.0).abs().median() > 20.0  # another face's hair


# How it is validated.


def test_agreement_and_separation_are_what_their_definitions_say() -> None:
    found = agreement(["red", "red", "blue", "blue"], ["red", "red", "red", "blue"])
    assert found["accuracy"] == 3 / 4
    assert found["balanced"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["accuracy_chance"] == 3 / 4
    rng = np.random.default_rng(0)
    score, labels = np.round(rng.random(40), 1), rng.integers(0, 2, 40)  # with ties
    pairs = [(a > b) + 0.5 * (a == b) for a in score[labels == 1] for b in score[labels == 0]]
    area = separation(torch.from_numpy(score), [str(label) for label in labels])["auc"]
    assert area == pytest.approx(np.mean(pairs))


def test_shuffled_tiles_keep_the_colours_and_lose_the_places() -> None:
    images = some_images().byte()
    shuffled = shuffle_tiles(images)
    assert not torch.equal(shuffled, images)
    assert torch.equal(shuffled.flatten(2).sort(2).values, images.flatten(2).sort(2).values)


def test_clusters_are_of_colour_and_the_smallest_comes_first() -> None:
    hues = torch.arange(10) * 36.0
    colours = from_hsl(hues, torch.full([10], 0.9), torch.full([10], 0.5))
    repeats = torch.tensor([5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    images = colours.round().byte()[:, :, None, None].repeat_interleave(repeats, 0)
    found = colour_clusters(images.expand(-1, -1, 64, 64))
    assert found.tolist() == torch.arange(10).repeat_interleave(repeats).tolist()


def test_ladders_tell_rising_from_falling() -> None:
    assert Ladder("rises", 1.0, (1.1, 2.0, 3.0)).monotonic
    assert not Ladder("falls", 1.0, (1.1, 3.0, 2.0)).monotonic
    floors = [0.9, 1.0, 1.2]
    assert Ladder("above", 1.0, (2.0, 1.5)).separated(floors)
    assert not Ladder("within what chance does", 1.0, (1.1, 2.0)).separated(floors)


def test_a_floor_is_of_untouched_halves_and_spreads_by_the_cut_alone() -> None:
    net, images = random_faces(0, images=64), draw_faces(FRESH_SEED, 400)[0]
    found = halvings(net, images)
    order = torch.randperm(400, generator=generator(SEED))
    halves = [Moments.of(embed(net, images[rows])) for rows in order.split(200)]
    assert found[0] == pytest.approx(frechet_distance(*halves), rel=1e-4)
    assert len(set(found)) == len(found) == HALVINGS
    assert max(found) < 2 * min(found)


def test_a_table_of_ladders_calls_nothing_separated_that_chance_explains() -> None:
    fields = {"floor": 1.0, "distances": (1.1, 2.0, 3.0, 4.0, 5.0)}
    found = {"faces": [{"change": "blur", **fields}]}
    *_, narrow = ladder_table(found, {"faces": [0.95, 1.05]}).splitlines()
    *_, wide = ladder_table(found, {"faces": [0.9, 1.2]}).splitlines()
    assert narrow == "| blur | faces | 1 | 1.1 | 2 | 3 | 4 | 5 | yes | yes |"
    assert wide == "| blur | faces | 1 | 1.1 | 2 | 3 | 4 | 5 | yes | no |"


def test_every_step_of_a_change_is_made_of_the_change_it_is_named_after() -> None:
    net = random_faces(0, images=64)
    images = some_images(32).byte()
    steps = {
        name: [step.mean(0) for step in found]
        for name, found in changes(net, images, embed(net, images), images)
    }
    assert {len(found) for found in steps.values()} == {5}
    noisy = distort("noise", images.float(), torch.ones(32), generator()).round()
    apart = {
        name: float((found[-1] - embed(net, noisy).mean(0)).norm()) for name, found in steps.items()
    }
    assert min(apart, key=lambda name: apart[name]) == "noise"
    # Drawn faces that are the images themselves change nothing, nor do two halves of one face.
    for step in steps["drawn faces mixed in"]:
        assert torch.allclose(step, embed(net, images).mean(0), atol=1e-4)


def test_fitted_heads_read_more_than_those_that_begin() -> None:
    drawn, fresh = draw_faces(TRAINING_SEED, 500), draw_faces(FRESH_SEED, 200)
    net = random_faces(0, images=64)
    before = heldout_scores(net, fresh)["hair_lightness"]
    after = heldout_scores(fit_heads(net, drawn), fresh)["hair_lightness"]
    assert before < 0.05 < 0.4 < after


def test_labels_of_other_images_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    with pytest.raises(MissingError, match="--labels"):
        read_labels(table, 10)
    table.write_text("index,hair_colour\n9,red\n10,\n")
    assert [row["hair_colour"] for row in read_labels(table, 11)] == ["red", ""]
    with pytest.raises(UserError, match="10 is not among 10"):
        read_labels(table, 10)
