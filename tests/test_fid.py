"""`bench fid`, `bench eval` and metrics during training, end to end with small networks."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cleanfid.fid
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import eval.weights
from benchmarks import evaluation
from data.files import read_json, sha256_file, write_json
from data.store import Store, write_store
from eval.compare import best
from eval.images import Samples
from eval.inception import SIZE
from eval.table import load
from eval.weights import WeightFile
from tests.conftest import FAST, TINY_STYLEGAN, Bench, write_pictures
from tests.test_extractors import Stand, save_script
from tests.test_frechet import root_without_disp
from training.run_dir import METRICS, RunDir
from training.snapshot import load_snapshot

DIMENSION = 16


class StandIn(nn.Module):
    """A tiny network in Inception's place: 299 pixels a side, 16 features."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, DIMENSION, 5, stride=4)

    def forward(self, images: Tensor) -> Tensor:
        return (self.convolution((images - 128) / 128)).square().mean((2, 3))


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[StandIn, Path]:
    """The network, and a folder with its file and card."""
    torch.manual_seed(0)
    network, folder = StandIn().eval(), tmp_path_factory.mktemp("standin")
    batch = torch.export.Dim("batch", min=1, max=1024)
    images = (torch.rand(4, 3, 299, 299),)
    program = torch.export.export(network, images, dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "standin.pt2")
    card = {"size": 299, "resize": "bicubic", "dimension": DIMENSION}
    (folder / "standin.json").write_text(json.dumps(card))
    return network, folder


@pytest.fixture
def stand_in(exported: tuple[StandIn, Path], tmp_path: Path) -> StandIn:
    """The network, whose file and card are in the current folder."""
    network, folder = exported
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return network


def write_folder(folder: Path, store: Store) -> Path:
    """A store's pictures as PNG files."""
    folder.mkdir()
    for row, image in enumerate(store.images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{row:04d}.png")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Store:
    """200 pictures, 100 of them held out."""
    store = write_pictures(tmp_path / "pictures", 200)
    store.split(100)
    return store


USING = "--extractor=standin.pt2"


def clean_fid(folders: list[Path], network: nn.Module) -> float:
    """What clean-fid says of two folders."""
    with torch.no_grad():
        features = [
            cleanfid.fid.get_folder_features(
                str(folder),
                network,
                num_workers=0,
                batch_size=16,
                device=torch.device("cpu"),
                mode="clean",
                verbose=False,
            )
            for folder in folders
        ]
    means = [each.mean(0) for each in features]
    spreads = [np.cov(each, rowvar=False) for each in features]
    return float(cleanfid.fid.frechet_distance(means[0], spreads[0], means[1], spreads[1]))


class TestImages:
    def test_folders_are_as_far_apart_as_clean_fid_says(
        self,
        bench: Bench,
        stand_in: StandIn,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        sets = [write_pictures(tmp_path / f"store{seed}", 90, seed) for seed in (0, 1)]
        folders = [write_folder(tmp_path / f"folder{n}", store) for n, store in enumerate(sets)]
        root_without_disp(monkeypatch)
        code, out, err = bench("fid", "folder0", "--against", "folder1", USING, "--json")
        (row,) = json.loads(out)
        assert code == 0
        assert row["metric"] == "fd_standin90_all"
        assert row["value"] == pytest.approx(clean_fid(folders, stand_in), rel=1e-5)
        assert "no floor" in row["note"]
        assert "resized" not in row["note"] + err

    def test_larger_images_are_measured_as_they_were_imported_and_that_is_said(
        self,
        bench: Bench,
        stand_in: StandIn,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        large = [tmp_path / "large0", tmp_path / "large1"]
        for seed, folder in enumerate(large):
            folder.mkdir()
            noise = np.random.default_rng(seed).integers(0, 256, (70, 128, 128, 3), dtype=np.uint8)
            for number, pixels in enumerate(noise):
                Image.fromarray(pixels).save(folder / f"{number:04d}.png")
        code, out, err = bench("fid", "large0", "--against", "large1", USING, "--json")
        (row,) = json.loads(out)
        assert code == 0
        for text in (row["note"], err):
            for folder in large:
                assert re.search(rf"{folder.name}\S*: 70 images cropped and resized to 64", text)
        imported = []
        for folder in large:
            (store,) = (tmp_path / "datasets" / "imported").glob(f"{folder.name}-*")
            imported.append(tmp_path / f"{folder.name}-64px")
            bench("data", "export", str(store), "--out", f"{folder.name}.zip")
            shutil.unpack_archive(f"{folder.name}.zip", imported[-1])
        root_without_disp(monkeypatch)
        assert row["value"] == pytest.approx(clean_fid(imported, stand_in), rel=1e-5)
        assert row["value"] != pytest.approx(clean_fid(large, stand_in), rel=0.1)

    def test_a_set_is_at_no_distance_from_itself(
        self, bench: Bench, stand_in: StandIn, tmp_path: Path
    ) -> None:
        write_pictures(tmp_path / "store", 90)
        _, out, _ = bench("fid", "store", "--against", "store", USING, "--json")
        assert json.loads(out)[0]["value"] == pytest.approx(0, abs=1e-9)

    def test_the_same_command_gives_the_same_digits(
        self, bench: Bench, stand_in: StandIn, tmp_path: Path, pictures: Store
    ) -> None:
        write_pictures(tmp_path / "store", 90, seed=2)
        write_pictures(tmp_path / "real", 280).split(100)
        command = ["eval", "store", "--against", "real", USING, "--metrics", "fd80,kd80,pr80"]
        first = bench(*command, "--json")[1]
        assert bench(*command, "--json")[1] == first
        rows = {row["metric"]: row for row in json.loads(first)}
        assert {"kd_standin80_heldout", "recall_standin80_train"} <= set(rows)
        for part in ("heldout", "train"):
            row = rows[f"fd_standin80_{part}"]
            assert row["reference"] == f"real {part}"
            assert row["reference_images"] == 100
            assert row["floor"] > 0

    def test_who_has_copied_the_training_set_does_better_on_it(
        self, bench: Bench, stand_in: StandIn, tmp_path: Path
    ) -> None:
        real = write_pictures(tmp_path / "real", 200)
        real.split(100)
        with write_store(tmp_path / "copies", {"kind": "test"}) as (writer, _):
            writer.append(real.images[real.rows("train")])
        out = bench("fid", "copies", "--against", "real", USING, "--json")[1]
        found = {row["metric"]: row["value"] for row in json.loads(out)}
        assert found["fd_standin100_train"] == pytest.approx(0, abs=1e-9)
        assert found["fd_standin100_heldout"] > 1e-6

    def test_a_training_part_of_a_few_images_is_no_reference(
        self, bench: Bench, stand_in: StandIn, tmp_path: Path
    ) -> None:
        write_pictures(tmp_path / "real", 130).split(67)  # 63 are left
        code, out, _ = bench("fid", "real", "--num=64", "--against", "real", USING, "--json")
        assert code == 0
        assert {row["metric"] for row in json.loads(out)} == {"fd_standin64_heldout"}

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["nowhere", "--against", "pictures"], 3, "nowhere"),
            (["pictures"], 2, "--against"),
            (["pictures", "--against", "empty"], 2, "empty"),
            (["pictures", "--against", "pictures", "--psi", "0.5"], 2, "--psi"),
            (["pictures", "--against", "pictures", "--snapshot", "all"], 2, "--snapshot"),
            (["pictures", "--against", "pictures", "--extractor", "inception"], 3, "inception"),
            (["pictures", "--against", "pictures", "--extractor", "vgg"], 2, "vgg"),
            ([], 3, "bench run"),
        ],
    )
    def test_mistakes_are_one_line(
        self,
        bench: Bench,
        pictures: Store,
        tmp_path: Path,
        arguments: list[str],
        code: int,
        words: str,
    ) -> None:
        (tmp_path / "empty").mkdir()
        found, out, err = bench("fid", *arguments)
        assert (found, out) == (code, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert words in err


class TestWeights:
    """With Inception's weights and without."""

    def test_without_them_the_features_are_our_own_and_that_is_said_once(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        write_pictures(tmp_path / "store", 70)
        code, out, err = bench("eval", "store", "--against=store", "--metrics=fd64,pr64", "--json")
        assert code == 0
        rows = json.loads(out)
        assert {row["extractor"] for row in rows} == {"faces"}
        assert "fd_faces64_all" in {row["metric"] for row in rows}
        (line,) = err.splitlines()
        assert line.startswith("FID cannot be computed here, for want of Inception's weights: ")
        assert "`bench weights fetch`" in line
        assert line.endswith("measuring in the features of `faces` instead, which is no FID")

    @pytest.mark.filterwarnings("error")
    def test_with_them_it_is_fid_and_nothing_is_said(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = save_script(Stand(), tmp_path / "script.pt")
        known = WeightFile("script.pt", "https://nowhere", sha256_file(path), path.stat().st_size)
        monkeypatch.setattr(eval.weights, "INCEPTION", (known,))
        monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(tmp_path))
        write_pictures(tmp_path / "store", 70)
        code, out, err = bench("eval", "store", "--against=store", "--metrics=fd64,kid64", "--json")
        assert (code, err) == (0, "")
        rows = {row["metric"]: row for row in json.loads(out)}
        assert set(rows) == {"fid64_all", "kid64_all"}
        assert rows["fid64_all"]["extractor_sha256"] == known.sha256
        assert rows["fid64_all"]["resize"] == f"bicubic to {SIZE}"

    @pytest.mark.parametrize("metrics", ["fid64", "fid64,pr64", "pr64,fid64"])
    def test_who_asks_for_fid_by_name_gets_one_line_before_any_import(
        self, bench: Bench, tmp_path: Path, metrics: str
    ) -> None:
        write_folder(tmp_path / "folder", write_pictures(tmp_path / "store", 70))
        code, out, err = bench("eval", "folder", "--against=folder", f"--metrics={metrics}")
        assert (code, out) == (3, "")
        assert err.startswith("error: FID cannot be computed here")
        assert err.count("\n") == 1
        assert not (tmp_path / "datasets").exists()

    def test_an_extractor_that_is_not_there_is_missed_before_any_import(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        write_folder(tmp_path / "folder", write_pictures(tmp_path / "store", 70))
        code, _, err = bench("fid", "folder", "--against=folder", "--extractor=none.pt")
        assert code == 3
        assert "none.pt" in err
        assert not (tmp_path / "datasets").exists()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures`, 100 of 200 held out, and a small DCGAN's run on them."""
    folder = tmp_path_factory.mktemp("trained")
    write_pictures(folder / "pictures", 200).split(100)
    command = [sys.executable, "-m", "benchmarks", "run", "--data=pictures"]
    command += ["--kimg=0.024", "--tick=0.008", "--snap=0.008", *FAST]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def run(bench: Bench, trained: Path, tmp_path: Path) -> RunDir:
    """A copy of that run with its three snapshots, and of the data."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    run = RunDir.find(tmp_path / "results", "latest")
    config = read_json(run.path / "config.json")
    config["data"]["path"] = str(tmp_path / "pictures")
    write_json(run.path / "config.json", config)
    return run


def measured(run: RunDir) -> list[dict[str, Any]]:
    return [row for row in run.rows(METRICS) if row["metric"] != "training"]


class TestRuns:
    def test_the_last_snapshot_is_measured_raw_and_averaged_against_both_parts(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        code, out, _ = bench("fid", "--num=80", USING, "--json")
        rows = json.loads(out)
        assert code == 0
        assert {(row["weights"], row["metric"]) for row in rows} == {
            (weights, f"fd_standin80_{part}")
            for weights in ("ema", "raw")
            for part in ("heldout", "train")
        }
        assert {row["nimg"] for row in rows} == {24}
        assert {row["sample_seed"] for row in rows} == {1}
        assert {row["batch_norm"] for row in rows if row["weights"] == "ema"} == {"re-estimated"}
        assert {row["batch_norm"] for row in rows if row["weights"] == "raw"} == {"running"}
        table = load(run.path.parent).set_index(["metric", "weights"])
        ema = next(row for row in rows if row["weights"] == "ema")
        assert table.loc[(ema["metric"], "ema"), "value"] == ema["value"]
        assert table.loc[(ema["metric"], "ema"), "train_sec"] > 0

    def test_the_best_is_chosen_on_one_seed_and_reported_on_another(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        _, out, _ = bench("fid", "--num=80", USING, "--snapshot=all", "--json")
        rows = json.loads(out)
        name = "fd_standin80_heldout"
        ranked = {
            row["nimg"]: row["value"]
            for row in rows
            if row["sample_seed"] == 0 and row["weights"] == "ema" and row["metric"] == name
        }
        assert set(ranked) == {8, 16, 24}
        reported = [row for row in rows if row["sample_seed"] == 1]

        def named(name: str) -> set[int]:
            return {row["nimg"] for row in reported if name in row["snapshot"].split(" and ")}

        best = min(ranked, key=lambda nimg: ranked[nimg])
        assert named("best") == {best}
        assert named("last") == {24}
        (best_raw,) = named("best raw")
        # What is known is not measured again, and the default reports it.
        before = len(measured(run))
        _, out, _ = bench("fid", "--num=80", USING, "--json")
        assert {row["nimg"] for row in json.loads(out)} == {best, best_raw, 24}
        assert len(measured(run)) - before == len(json.loads(out))

    def test_averaged_and_raw_weights_have_a_best_each_and_both_are_reported(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        bench("fid", "--num=80", USING, "--snapshot=all")
        row = next(row for row in measured(run) if row["metric"] == "fd_standin80_heldout")
        assert row["sample_seed"] == 0
        for nimg, weights, value in ((8, "raw", -1.0), (16, "ema", -1.0)):  # the least, by far
            how = {"ema": "re-estimated", "raw": "running"}[weights]
            chosen = {"nimg": nimg, "weights": weights, "batch_norm": how, "value": value}
            run.append(METRICS, {**row, **chosen})
        rows = json.loads(bench("fid", "--num=80", USING, "--json")[1])
        named = {row["snapshot"]: row["nimg"] for row in rows}
        assert named == {"best": 16, "best raw": 8, "last": 24}
        for nimg in named.values():
            assert {row["weights"] for row in rows if row["nimg"] == nimg} == {"ema", "raw"}
        table = load(run.path.parent)
        of_raw = table[(table.metric == "fd_standin80_heldout") & (table.weights == "raw")]
        assert list(best(of_raw).kimg) == [0.008]

    def test_a_measurement_repeated_is_one_row_of_the_table(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        first = bench("fid", "--num=80", USING, "--json")[1]
        assert bench("fid", "--num=80", USING, "--json")[1] == first
        assert (
            not load(run.path.parent).duplicated(["metric", "weights", "kimg", "sample_seed"]).any()
        )

    def test_what_was_half_measured_is_measured_again(
        self, bench: Bench, run: RunDir, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed_at_raw(snapshot: Path, weights: str) -> Any:
            if weights == "raw":
                raise KeyboardInterrupt
            return load_snapshot(snapshot, weights)

        command = ("fid", "--num=80", USING, "--snapshot=all", "--json")
        with monkeypatch.context() as patched:
            patched.setattr(evaluation, "load_snapshot", killed_at_raw)
            assert bench(*command)[0] == 130
        assert measured(run) == []
        bench(*command)
        found = {(row["nimg"], row["weights"]) for row in measured(run) if not row["sample_seed"]}
        assert found == {(nimg, weights) for nimg in (8, 16, 24) for weights in ("ema", "raw")}

    @pytest.mark.parametrize(("ema", "times"), [("0", 1), ("0.01", 2)])
    def test_weights_that_are_their_own_average_are_measured_once(
        self,
        bench: Bench,
        run: RunDir,
        stand_in: StandIn,
        monkeypatch: pytest.MonkeyPatch,
        ema: str,
        times: int,
    ) -> None:
        flags = ["--model=stylegan", "--variant=tiny", f"--ema={ema}", "--kimg=0.008"]
        settings = [f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()]
        plain = [flag for flag in FAST if not flag.startswith("--set")]
        assert bench("run", "--data=pictures", *flags, *settings, *plain)[0] == 0
        drawn = []
        monkeypatch.setattr(
            evaluation, "Samples", lambda gan, n, *how: drawn.append(n) or Samples(gan, n, *how)
        )
        rows = json.loads(bench("fid", "--num=80", USING, "--json")[1])
        assert drawn.count(80) == times
        values = {w: [r["value"] for r in rows if r["weights"] == w] for w in ("ema", "raw")}
        assert len(values["raw"]) == 2  # held-out and train
        assert (values["ema"] == values["raw"]) == (times == 1)

    def test_what_a_run_does_not_have_leaves_no_trace(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        code, _, err = bench("fid", "--num=80", USING, "--psi=0.5", "--snapshot=all")
        assert code == 2
        assert "--psi" in err
        assert measured(run) == []

    def test_other_protocols_never_rank(self, bench: Bench, run: RunDir, stand_in: StandIn) -> None:
        def the_best() -> int:
            rows = json.loads(bench("fid", "--num=80", USING, "--json")[1])
            return next(r["nimg"] for r in rows if "best" in r["snapshot"].split(" and "))

        assert bench("fid", "--num=80", USING, "--snapshot=all")[0] == 0
        first = the_best()
        row = next(
            row
            for row in measured(run)
            if row["weights"] == "ema" and row["sample_seed"] == 0 and row["nimg"] != first
        )
        assert row["metric"] == "fd_standin80_heldout"
        others = {"psi": 0.5, "extractor_sha256": "1", "reference_sha256": "1", "weights": "raw"}
        others |= {"feature_precision": "bf16", "batch_norm": "train", "sample_seed": 1}
        for name, value in others.items():  # each would win, if it counted
            run.append(METRICS, {**row, name: value, "value": -1.0})
        run.append(METRICS, {**row, "value": None})
        assert the_best() == first
        run.append(METRICS, {**row, "value": -1.0})
        assert the_best() == row["nimg"]

    def test_train_mode_never_ranks(self, bench: Bench, run: RunDir, stand_in: StandIn) -> None:
        code, _, err = bench("fid", "--num=80", USING, "--batch-norm=train", "--snapshot=best")
        assert code == 2
        assert "ranks" in err
        assert measured(run) == []
        assert bench("fid", "--num=80", USING, "--batch-norm=train", "--snapshot=all")[0] == 0
        assert {row["batch_norm"] for row in measured(run)} == {"train"}
        _, out, _ = bench("fid", "--num=80", USING, "--json")
        assert {row["snapshot"] for row in json.loads(out)} == {"last"}

    def test_a_damaged_snapshot_is_an_error_or_a_marked_row(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        damaged = run.snapshots[1]
        damaged.write_bytes(damaged.read_bytes()[:-1])
        code, _, err = bench("fid", "--num=80", USING, "--snapshot=0.016")
        assert code == 2
        assert damaged.name in err
        code, out, _ = bench("fid", "--num=80", USING, "--snapshot=all", "--json")
        assert code == 0
        (mark,) = (row for row in json.loads(out) if row["metric"] == "failed")
        assert mark["nimg"] == 16
        assert damaged.name in mark["note"]
        rows = load(run.path.parent)
        assert rows[rows.metric.str.startswith("fd")].value.notna().all()

    def test_data_that_changed_is_refused(
        self, bench: Bench, run: RunDir, stand_in: StandIn, tmp_path: Path
    ) -> None:
        pictures = Store(tmp_path / "pictures")
        pictures.split(90)
        code, _, err = bench("fid", "--num=80", USING)
        assert code == 2
        assert "its split into train and held-out changed" in err
        shutil.rmtree(pictures.folder)
        write_pictures(tmp_path / "pictures", 200, seed=4).split(100)
        code, _, err = bench("fid", "--num=80", USING)
        assert code == 2
        assert "its pixels changed" in err
        shutil.rmtree(pictures.folder)
        code, _, err = bench("fid", "--num=80", USING)
        assert code == 3
        assert "--against" in err
        write_pictures(tmp_path / "others", 90, seed=3)
        code, out, _ = bench("fid", "--num=80", USING, "--against=others", "--json")
        assert code == 0
        assert {row["reference"] for row in json.loads(out)} == {"others"}

    def test_path_length_and_pictures_do_not_go_together(
        self, bench: Bench, run: RunDir, stand_in: StandIn
    ) -> None:
        code, out, _ = bench("eval", "--metrics=ppl64", USING, "--json")
        assert code == 0
        assert {row["metric"] for row in json.loads(out)} == {"ppl_standin_z64"}
        code, _, err = bench("eval", "pictures", "--against=pictures", "--metrics=ppl64", USING)
        assert code == 2
        assert "ppl" in err


class TestTraining:
    def test_metrics_leave_training_as_it_is(
        self, bench: Bench, pictures: Store, tmp_path: Path
    ) -> None:
        flags = ["--data=pictures", "--kimg=0.024", "--tick=0.008", "--snap=0.008", *FAST]
        assert bench("run", *flags, "--results=plain")[0] == 0
        measuring = ["--metrics=fd_faces64", "--metric-every=0.016"]
        assert bench("run", *flags, "--results=measured", *measuring)[0] == 0
        plain, with_metrics = (
            RunDir.find(tmp_path / name, "latest") for name in ("plain", "measured")
        )
        a, b = (load_file(run.snapshot()) for run in (plain, with_metrics))
        assert all(torch.equal(a[name], b[name]) for name in a | b)
        rows = measured(with_metrics)
        assert {row["nimg"] for row in rows} == {16, 24}  # a multiple of 16, and the end
        assert {row["sample_seed"] for row in rows} == {0}
        assert with_metrics.config.measure["metrics"] == ["fd_faces64"]

    def test_a_resumed_run_goes_on_measuring(self, bench: Bench, pictures: Store) -> None:
        flags = ["--data=pictures", "--kimg=0.008", "--tick=0.008", "--snap=0.008", *FAST]
        assert bench("run", *flags, "--metrics=fd_faces64")[0] == 0
        assert bench("run", "--resume", "--kimg=0.016")[0] == 0
        run = RunDir.find(Path("results"), "latest")
        assert {row["nimg"] for row in measured(run)} == {8, 16}

    def test_what_cannot_be_measured_is_said_before_training(
        self, bench: Bench, pictures: Store
    ) -> None:
        code, _, err = bench("run", "--data=pictures", "--metrics=fid5k", *FAST)
        assert code == 3
        assert "weights" in err
        assert not Path("results").exists()
        assert bench("run", "--data=pictures", "--metric-every=4", *FAST)[0] == 2
