"""Images, features and rows: what is measured, of which images, and what is written beside it."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import eval.features
import eval.images
import eval.measure
from data.errors import UserError
from data.store import Store
from eval.extractors import Extractor, load_extractor
from eval.features import extract, reference
from eval.frechet import Moments, frechet_distance
from eval.images import Drawn, Pictures, Samples
from eval.measure import Gauge, Real
from eval.metrics import Metric, value_name
from eval.path_length import path_length, slerp
from models.registry import GAN, family
from models.stylegan.generator import Generator
from tests.conftest import TINY, TINY_STYLEGAN, write_pictures

DIMENSION = 12


class Patches(nn.Module):
    """The means of a 2x2 grid of patches: a network that anybody can compute by hand."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)  # [N, 12]


def patches(name: str = "patches", sha256: str = "0" * 64, precision: str = "fp32") -> Extractor:
    return Extractor(
        name, sha256, 64, "bicubic", DIMENSION, precision, torch.device("cpu"), Patches()
    )


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """400 pictures, 150 of them held out."""
    store = write_pictures(tmp_path_factory.mktemp("data") / "large", 400)
    store.split(150)
    return store


@pytest.fixture
def dcgan() -> GAN:
    return tiny("dcgan", "tutorial", TINY)


@pytest.fixture
def stylegan() -> GAN:
    return tiny("stylegan", "tiny", TINY_STYLEGAN)


def tiny(model: str, variant: str, options: dict[str, Any]) -> GAN:
    torch.manual_seed(0)
    gan = family(model).build(family(model).resolve(variant, options))
    gan.G.eval()
    return gan


def preferred() -> tuple[bool, str]:
    return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()


@pytest.fixture
def tf32() -> Iterator[None]:
    """What a trainer on a GPU may prefer."""
    before = preferred()
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


# Without oneDNN a CPU computes convolutions by other kernels, which add up in another order.
ELSEWHERE = pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(
            "cpu without oneDNN",
            marks=pytest.mark.skipif(
                not torch.backends.mkldnn.is_available(), reason="needs a torch with oneDNN"
            ),
        ),
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)


@contextmanager
def kernels_of(elsewhere: str) -> Iterator[str]:
    """A device's name, and its kernels while it lasts."""
    if elsewhere == "cuda":
        yield "cuda"
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        yield "cpu"


def require_the_same(distance: Callable[[str], float], elsewhere: str) -> None:
    """A distance, computed on a named device, is the same by other kernels."""
    here = distance("cpu")
    with kernels_of(elsewhere) as device:
        there = distance(device)
    assert there == pytest.approx(here, rel=1e-4)
    assert there != here, "these are the same kernels"


def pixels(images: Any) -> Tensor:
    return torch.cat(list(images.batches()))


class TestPictures:
    def test_parts_are_the_rows_of_the_split(self, large: Store) -> None:
        heldout = Pictures.part(large, "heldout")
        assert len(heldout) == 150
        assert torch.equal(pixels(heldout), torch.from_numpy(large.images[large.rows("heldout")]))
        assert len(Pictures.whole(large)) == 400

    def test_a_sample_is_drawn_without_replacement_and_by_its_seed(self, large: Store) -> None:
        whole = Pictures.whole(large)
        sample = whole.sample(100, seed=3)
        assert len(set(sample.rows)) == 100
        assert np.array_equal(sample.rows, whole.sample(100, seed=3).rows)
        assert not np.array_equal(sample.rows, whole.sample(100, seed=4).rows)
        assert len(whole.sample(1000, seed=3)) == 400

    def test_the_digest_is_of_pixels_and_choice(self, large: Store, tmp_path: Path) -> None:
        other = write_pictures(tmp_path / "other", 400, seed=1)
        copy = write_pictures(tmp_path / "elsewhere", 400)
        digests = {
            Pictures.whole(large).sha256,
            Pictures.part(large, "train").sha256,
            Pictures.whole(other).sha256,
        }
        assert len(digests) == 3
        assert Pictures.whole(copy).sha256 == Pictures.whole(large).sha256


class TestSamples:
    def test_they_are_the_generators_own_images(self, dcgan: GAN) -> None:
        z = dcgan.sample_z(70, torch.Generator().manual_seed(5))
        with torch.no_grad():
            images = torch.cat([dcgan.G(z[:64]), dcgan.G(z[64:])])
        expected = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        assert torch.equal(pixels(Samples(dcgan, 70, seed=5)), expected)

    def test_a_seed_gives_the_same_images_whatever_happened_before(self, stylegan: GAN) -> None:
        for module in stylegan.G.modules():  # noise shows only where it has a strength
            if hasattr(module, "noise_strength"):
                nn.init.constant_(module.noise_strength, 1.0)
        first = pixels(Samples(stylegan, 8, seed=0))
        torch.rand(7)
        state = torch.get_rng_state()
        assert torch.equal(pixels(Samples(stylegan, 8, seed=0)), first)
        assert torch.equal(torch.get_rng_state(), state), "it drew from the trainer's generator"
        assert not torch.equal(pixels(Samples(stylegan, 8, seed=1)), first)

    def test_noise_is_drawn_anew_for_each_image(self, stylegan: GAN) -> None:
        generator = stylegan.G
        assert isinstance(generator, Generator)
        for module in generator.modules():
            if hasattr(module, "noise_strength"):
                nn.init.constant_(module.noise_strength, 1.0)
        same_w = pixels(Samples(stylegan, 2, seed=0, psi=0.0)).float()
        assert (same_w[0] - same_w[1]).abs().max() > 1

    def test_psi_zero_is_the_mean_style(self, stylegan: GAN) -> None:
        generator = stylegan.G
        assert isinstance(generator, Generator)
        generator.w_avg.normal_()
        images = pixels(Samples(stylegan, 3, seed=0, psi=0.0))  # noise has no strength yet
        assert torch.equal(images[0], images[1])
        assert not torch.equal(images[0], pixels(Samples(stylegan, 1, seed=0))[0])

    def test_train_mode_is_another_protocol_and_leaves_the_generator_alone(
        self, dcgan: GAN
    ) -> None:
        before = {name: value.clone() for name, value in dcgan.G.state_dict().items()}
        own = pixels(Samples(dcgan, 64, seed=0))
        batchwise = pixels(Samples(dcgan, 64, seed=0, train_mode=True))
        assert not torch.equal(own, batchwise)
        assert not dcgan.G.training
        assert all(torch.equal(before[name], value) for name, value in dcgan.G.state_dict().items())

    def test_what_a_generator_does_not_have_is_refused(self, dcgan: GAN, stylegan: GAN) -> None:
        with pytest.raises(UserError, match="--psi"):
            Samples(dcgan, 1, 0, psi=0.5)
        with pytest.raises(UserError, match="--batch-norm"):
            Samples(stylegan, 1, 0, train_mode=True)

    @pytest.mark.parametrize("model", ["dcgan", "stylegan"])
    @pytest.mark.parametrize("what", ["samples", "drawn", "paths"])
    def test_a_generator_rounds_nothing_to_tf32_whatever_training_prefers(
        self, request: pytest.FixtureRequest, model: str, what: str, tf32: None
    ) -> None:
        gan: GAN = request.getfixturevalue(model)
        seen = set()
        for module in gan.G.modules():
            module.register_forward_pre_hook(lambda *_: seen.add(preferred()))
        if what == "paths":
            path_length(Samples(gan, 64, 0), patches())
        else:
            z = gan.sample_z(70, torch.Generator())
            for _ in (Drawn(gan.G, z) if what == "drawn" else Samples(gan, 70, 0)).batches():
                assert preferred() == (True, "high"), "it is the caller's again between batches"
        assert seen == {(False, "highest")}
        assert preferred() == (True, "high")

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_they_are_the_same_whatever_training_prefers(self, stylegan: GAN, tf32: None) -> None:
        stylegan.G.cuda()
        preferring = pixels(Samples(stylegan, 70, seed=0))
        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        assert torch.equal(pixels(Samples(stylegan, 70, seed=0)), preferring)

    def test_numbers_that_are_not_finite_never_become_pixels(self, dcgan: GAN) -> None:
        next(dcgan.G.parameters()).data.fill_(float("nan"))
        with pytest.raises(UserError, match="diverged"):
            pixels(Samples(dcgan, 1, 0))


class TestFeatures:
    def test_each_image_has_its_own_whatever_its_neighbours(self, large: Store) -> None:
        whole = Pictures.whole(large)
        order = np.random.default_rng(0).permutation(400)
        shuffled = dataclasses.replace(whole, rows=order)
        features = extract(patches(), whole)
        np.testing.assert_allclose(extract(patches(), shuffled), features[order], rtol=1e-6)
        by_hand = large.images.reshape(400, 3, 2, 32, 2, 32).mean((3, 5)).reshape(400, -1)
        np.testing.assert_allclose(features, by_hand, rtol=1e-5)

    @pytest.mark.parametrize("batch", [1, 7, 400])
    def test_a_distance_depends_on_neither_batch_nor_order(
        self, large: Store, batch: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extractor = dataclasses.replace(patches(), network=small_network(), dimension=8)
        parts = [Pictures.part(large, part) for part in ("heldout", "train")]
        expected = frechet_distance(*(Moments.of(extract(extractor, each)) for each in parts))
        monkeypatch.setattr(eval.images, "BATCH", batch)
        rows = np.random.default_rng(batch).permutation(parts[0].rows)
        parts[0] = dataclasses.replace(parts[0], rows=rows)
        found = frechet_distance(*(Moments.of(extract(extractor, each)) for each in parts))
        assert found == pytest.approx(expected, rel=1e-4)

    @ELSEWHERE
    def test_a_distance_does_not_depend_on_whose_kernels_compute_it(
        self, large: Store, elsewhere: str
    ) -> None:
        def distance(device: str) -> float:
            extractor = dataclasses.replace(
                patches(),
                network=small_network().to(device),
                dimension=8,
                device=torch.device(device),
            )
            parts = [Pictures.part(large, part) for part in ("heldout", "train")]
            return frechet_distance(*(Moments.of(extract(extractor, each)) for each in parts))

        require_the_same(distance, elsewhere)

    @ELSEWHERE
    @pytest.mark.parametrize("model", ["dcgan", "stylegan"])
    def test_nor_does_that_of_samples_in_the_features_of_faces(
        self,
        request: pytest.FixtureRequest,
        large: Store,
        model: str,
        elsewhere: str,
        tf32: None,
    ) -> None:
        gan: GAN = request.getfixturevalue(model)

        def distance(device: str) -> float:
            gan.G.to(device)
            faces = load_extractor("faces", torch.device(device))
            both = Samples(gan, 256, 0), Pictures.whole(large)
            return frechet_distance(*(Moments.of(extract(faces, images)) for images in both))

        require_the_same(distance, elsewhere)

    def test_references_are_computed_once(
        self, large: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pictures = Pictures.part(large, "heldout")
        first = reference(patches(), pictures)
        np.testing.assert_array_equal(first.features, extract(patches(), pictures))
        moments = Moments.of(first.features)
        np.testing.assert_array_equal(first.moments.mean, moments.mean)
        np.testing.assert_array_equal(first.moments.factor, moments.factor)

        def refuse(*_: Any) -> None:
            raise AssertionError("it computed again")

        monkeypatch.setattr(eval.features, "extract", refuse)
        again = reference(patches(), pictures)
        np.testing.assert_array_equal(again.features, first.features)
        np.testing.assert_array_equal(again.moments.factor, moments.factor)
        others = [
            (patches(sha256="1" * 64), pictures),
            (patches(precision="bf16"), pictures),
            (dataclasses.replace(patches(), resize="none"), pictures),
            (patches(), Pictures.part(large, "train")),
        ]
        for extractor, images in others:
            with pytest.raises(AssertionError, match="again"):
                reference(extractor, images)

    def test_a_damaged_cache_is_made_again(self, large: Store, tmp_path: Path) -> None:
        pictures = Pictures.part(large, "heldout")
        first = reference(patches(), pictures)
        (path,) = (tmp_path / "cache" / "features").glob("*.safetensors")
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
        np.testing.assert_array_equal(reference(patches(), pictures).features, first.features)
        path.write_bytes(damaged[:100])
        np.testing.assert_array_equal(reference(patches(), pictures).features, first.features)


def rows_of(fakes: Any, real: Real, *kinds: str, seed: int = 0) -> dict[str, Any]:
    found = list(Gauge(patches(), real).rows(fakes, kinds, seed))
    assert len({row["metric"] for row in found}) == len(found)
    return {row["metric"]: row for row in found}


@pytest.fixture
def heldout(large: Store) -> Pictures:
    return Pictures.part(large, "heldout")


@pytest.fixture
def real(large: Store, heldout: Pictures) -> Real:
    """150 held-out pictures, 100 of the training set, and 150 that are spare."""
    train = Pictures.part(large, "train")
    first, rest = (
        dataclasses.replace(train, rows=train.rows[part]) for part in (slice(100), slice(100, None))
    )
    return Real({"heldout": heldout, "train": first}, spare=rest)


class TestRows:
    def test_identical_sets_have_no_distance(self, heldout: Pictures) -> None:
        row = rows_of(heldout, Real({"all": heldout}), "fd")["fd_patches150_all"]
        assert row["value"] == pytest.approx(0, abs=1e-6)

    def test_a_row_has_its_whole_protocol(self, large: Store, real: Real) -> None:
        fakes = Pictures.whole(large).sample(100, 1)
        row = rows_of(fakes, real, "fd", seed=9)["fd_patches100_heldout"]
        assert row["extractor"] == "patches"
        assert row["extractor_sha256"] == "0" * 64
        assert row["feature_precision"] == "fp32"
        assert row["resize"] == "bicubic to 64"
        assert (row["fakes"], row["sample_seed"]) == (100, 9)
        assert row["reference"] == "large heldout"
        assert row["reference_sha256"] == real.parts["heldout"].sha256
        assert row["reference_images"] == 150
        json.dumps(row, allow_nan=False)

    def test_value_and_floor_are_distances_to_the_reference(self, large: Store, real: Real) -> None:
        fakes = Pictures.whole(large).sample(80, 1)
        row = rows_of(fakes, real, "fd")["fd_patches80_heldout"]
        moments = Moments.of(extract(patches(), real.parts["heldout"]))
        expected = frechet_distance(Moments.of(extract(patches(), fakes)), moments)
        assert row["value"] == pytest.approx(expected, rel=1e-9)
        assert real.spare is not None
        others = Moments.of(extract(patches(), real.spare.sample(80, 0)))
        assert row["floor"] == pytest.approx(frechet_distance(others, moments), rel=1e-9)

    def test_floors_are_found_once(self, real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
        gauge = Gauge(patches(), real)
        assert real.spare is not None
        first = list(gauge.rows(real.spare.sample(80, 1), ["fd"], 0))

        def refuse(*_: Any) -> None:
            raise AssertionError("it looked at real images again")

        monkeypatch.setattr(eval.measure, "reference", refuse)
        again = list(gauge.rows(real.spare.sample(80, 2), ["fd"], 1))
        assert [row["floor"] for row in again] == [row["floor"] for row in first]

    def test_too_few_spare_images_leave_the_floor_out_with_the_reason(
        self, large: Store, real: Real
    ) -> None:
        enough = rows_of(Pictures.whole(large).sample(150, 1), real, "fd")
        assert enough["fd_patches150_heldout"]["floor"] > 0
        assert enough["fd_patches150_heldout"]["note"] == ""
        row = rows_of(Pictures.whole(large).sample(151, 1), real, "fd")["fd_patches151_train"]
        assert row["floor"] is None
        assert "151 other real images, there are 150" in row["note"]

    def test_fewer_images_than_dimensions_are_warned_of(self, heldout: Pictures) -> None:
        rows = rows_of(heldout.sample(12, 0), Real({"all": heldout}), "fd", "kd")
        assert "biased" in rows["fd_patches12_all"]["note"]
        assert "biased" not in rows["kd_patches12_all"]["note"], "it is unbiased"
        enough = rows_of(heldout.sample(13, 0), Real({"all": heldout}), "fd")
        assert "biased" not in enough["fd_patches13_all"]["note"]

    def test_what_is_meaningless_is_a_marked_row(self, heldout: Pictures) -> None:
        rows = rows_of(heldout.sample(25, 0), Real({"all": heldout}), "fd_inf", "fd")
        assert rows["fd_inf_patches25_all"]["value"] is None
        assert "too few" in rows["fd_inf_patches25_all"]["note"]
        assert rows["fd_patches25_all"]["value"] is not None

    def test_an_extrapolation_says_of_how_many_real_images_and_fakes(
        self, large: Store, heldout: Pictures
    ) -> None:
        fakes = Pictures.whole(large)
        note = rows_of(fakes.sample(150, 0), Real({"all": heldout}), "fd_inf")[
            "fd_inf_patches150_all"
        ]["note"]
        assert "from 150, 75, 50, 37 fakes and as many of 150 real images" in note
        assert "not used" not in note
        few = rows_of(fakes.sample(200, 0), Real({"all": heldout}), "fd_inf")
        note = few["fd_inf_patches200_all"]["note"]
        assert "from 150, 75, 50, 37 fakes and as many of 150 real images" in note
        assert "50 of 200 fakes are not used" in note
        many = rows_of(fakes.sample(100, 0), Real({"all": heldout}), "fd_inf")
        note = many["fd_inf_patches100_all"]["note"]
        assert "from 100, 50, 33, 25 fakes and as many of 150 real images" in note

    def test_what_is_to_be_said_of_the_real_images_stands_beside_each_number(
        self, heldout: Pictures
    ) -> None:
        real = Real({"all": heldout}, note="they were resized")
        for row in rows_of(heldout, real, "fd", "pr").values():
            assert row["note"].endswith("they were resized")

    def test_a_reference_that_is_too_small_is_refused(self, heldout: Pictures) -> None:
        Gauge(patches(), Real({"all": heldout.sample(64, 0)}))
        with pytest.raises(UserError, match="63 images"):
            Gauge(patches(), Real({"all": heldout.sample(63, 0)}))

    def test_the_reference_is_what_is_real(self, heldout: Pictures) -> None:
        few = dataclasses.replace(heldout, rows=np.repeat(heldout.rows[:8], 10))
        rows = rows_of(few, Real({"all": heldout}), "pr")
        assert rows["precision_patches80_all"]["value"] == 1.0
        assert rows["recall_patches80_all"]["value"] < 0.2

    def test_paths_need_a_generator_in_eval_mode_and_full_precision(
        self, heldout: Pictures, dcgan: GAN
    ) -> None:
        real = Real({"all": heldout})
        assert set(rows_of(Samples(dcgan, 64, 0), real, "ppl")) == {"ppl_patches_z64"}
        with pytest.raises(UserError, match="generator"):
            rows_of(heldout, real, "ppl")
        with pytest.raises(UserError, match="train mode"):
            rows_of(Samples(dcgan, 64, 0, train_mode=True), real, "ppl")
        with pytest.raises(UserError, match="precision"):
            list(Gauge(patches(precision="bf16"), real).rows(Samples(dcgan, 64, 0), ["ppl"], 0))

    def test_inception_has_the_known_names_and_no_other_network_has(self) -> None:
        inception = patches("inception")
        assert value_name("fd", inception, 5000) == "fid5k"
        assert value_name("kd", inception, 50_000) == "kid50k"
        assert value_name("precision", inception, 5000) == "precision_inception5k"
        assert value_name("fd", patches("faces"), 5000) == "fd_faces5k"
        assert value_name("fd", patches("resnet50"), 5000) == "fd_resnet50_5k"
        assert value_name("fd", patches("faces"), 1234) == "fd_faces1234"
        assert value_name("ppl", patches("faces"), 500, "w") == "ppl_faces_w500"
        bf16 = patches("inception", precision="bf16")
        assert value_name("fd", bf16, 5000) == "fd_inception_bf16_5k"


class TestMetricNames:
    @pytest.mark.parametrize(
        ("text", "metric"),
        [
            ("fid5k", Metric("fd", "inception", 5000)),
            ("fid_inf5k", Metric("fd_inf", "inception", 5000)),
            ("kid50k", Metric("kd", "inception", 50_000)),
            ("fd5000", Metric("fd", None, 5000)),
            ("fd_inf2.5k", Metric("fd_inf", None, 2500)),
            ("fd_faces5k", Metric("fd", "faces", 5000)),
            ("fd_inf_faces5k", Metric("fd_inf", "faces", 5000)),
            ("pr_inception5k", Metric("pr", "inception", 5000)),
            ("js5k", Metric("js", "faces", 5000)),
            ("js_faces5k", Metric("js", "faces", 5000)),
            ("ppl64", Metric("ppl", None, 64)),
        ],
    )
    def test_names_are_read(self, text: str, metric: Metric) -> None:
        assert Metric.parse(text) == metric
        assert Metric.parse(str(metric)) == metric

    @pytest.mark.parametrize("text", ["fid", "fid_faces5k", "js_inception5k", "is5k", "fid10", ""])
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(UserError, match="--metrics"):
            Metric.parse(text)


class TestPathLength:
    def test_a_generator_that_is_linear_in_w_has_the_length_of_its_paths(
        self, stylegan: GAN, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Images that brighten by 30 grey levels for each unit of w's first entry."""
        generator = stylegan.G
        assert isinstance(generator, Generator)

        def synthesize(ws: Tensor, noise: Any = "const") -> Tensor:
            return (ws[:, 0, :1] * 30 / 127.5)[:, :, None, None].expand(-1, 3, 64, 64)

        monkeypatch.setattr(generator, "synthesize", synthesize)
        samples = Samples(stylegan, 2000, seed=0)
        draws = torch.Generator().manual_seed(0)
        z = [stylegan.sample_z(2000, draws) for _ in range(2)]
        with torch.no_grad():
            a, b = (generator.map(each)[:, 0, 0] for each in z)
        squares = (30 * (b - a)).square().sort().values[20:-20].double() * DIMENSION
        assert path_length(samples, patches()) == pytest.approx(float(squares.mean()), rel=0.02)

    def test_slerp_stays_on_the_sphere(self) -> None:
        a, b = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)).double()
        unit_a, unit_b = (nn.functional.normalize(each) for each in (a, b))
        for t in (0.0, 0.3, 1.0):
            point = slerp(unit_a, unit_b, torch.full((5, 1), t).double())
            torch.testing.assert_close(point.norm(dim=1), torch.ones(5).double())
            whole, part = ((unit_a * other).sum(1).clamp(-1, 1).acos() for other in (unit_b, point))
            torch.testing.assert_close(part, t * whole, atol=1e-3, rtol=1e-3)
