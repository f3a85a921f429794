"""`bench data`: what it prints, where, and with which exit code it ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

import data.faces
from benchmarks.cli import main
from benchmarks.commands.data import data as data_group
from data.store import Store
from tests.image_files import folder_of, good_files, zip_of

GOOD = good_files()


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Bench = Callable[..., Result]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Runs `bench data ...` as the shell would."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["bench", "data", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        assert isinstance(code, int)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", GOOD)


@pytest.fixture
def store(bench: Bench, photos: Path, tmp_path: Path) -> Path:
    assert bench("import", photos, "--out", tmp_path / "store").code == 0
    return tmp_path / "store"


def test_import_says_what_it_found(bench: Bench, tmp_path: Path) -> None:
    files = GOOD | {"bad.png": b"", "copy.jpg": GOOD["good/001.png"], ".DS_Store": b""}
    done = bench(
        "import",
        folder_of(tmp_path / "in", files),
        "--out",
        tmp_path / "out",
        "--max-rejected",
        "2%",
    )
    assert done.code == 0
    assert f"{tmp_path / 'out'}: 65 images" in done.out
    assert "rejected    1 EMPTY_FILE: it has 0 bytes" in done.out
    assert "notes       1 EXT_MISMATCH" in done.out
    assert "duplicates  1 kept" in done.out
    assert "ignored     1 hidden or system files" in done.out
    assert "skipped.csv" in done.err


def test_import_as_json(bench: Bench, photos: Path, tmp_path: Path) -> None:
    done = bench("import", photos, "--out", tmp_path / "out", "--json")
    summary = json.loads(done.out)
    assert summary["out"] == str(tmp_path / "out")
    assert summary["count"] == 64
    assert summary["rejected_share"] == 0
    assert done.err == ""


@pytest.mark.parametrize(
    ("allowed", "code"), [("1%", 4), ("0.01", 4), ("0", 4), ("7%", 0), ("0.07", 0), ("100%", 0)]
)
def test_share_of_rejected_files(bench: Bench, allowed: str, code: int, tmp_path: Path) -> None:
    """4 of 68 are 5.9%: the store is written, whatever the exit code says."""
    source = folder_of(tmp_path / "in", GOOD | {f"bad{i}.png": b"" for i in range(4)})
    done = bench("import", source, "--out", tmp_path / "out", "--max-rejected", allowed)
    assert done.code == code
    assert len(Store(tmp_path / "out")) == 64
    assert ("5.9% of the files were rejected" in done.err) == (code == 4)


@pytest.mark.parametrize("share", ["1", "2", "-1%", "101%", "many", "nan", ""])
def test_what_is_no_share(bench: Bench, share: str, photos: Path, tmp_path: Path) -> None:
    done = bench("import", photos, "--out", tmp_path / "out", f"--max-rejected={share}")
    assert done.code == 2
    assert "write 1% or 0.01" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["import", "gone.zip", "--out", "new"], 3, "gone.zip does not exist"),
        (["import", "photos", "--out", "store"], 2, "store exists already"),
        (["import", "photos"], 2, "--out"),
        (["import", "--out", "new"], 2, "SOURCE"),
        (["import", "photos/good/000.png", "--out", "new"], 2, "name the folder that it is in"),
        (["import", "evil.zip", "--out", "new"], 2, "UNSAFE_NAME"),
        (["import", "empty", "--out", "new"], 2, "at least 64 are needed"),
        (["import", "photos", "--out", "new", "--limit", "5"], 2, "--limit 5"),
        (["export", "gone", "--out", "x.zip"], 3, "gone holds no data set"),
        (["export", "store", "--out", "evil.zip"], 2, "evil.zip exists already"),
        (["info", "photos"], 3, "photos holds no data set"),
        (["split", "store", "--heldout", "64"], 2, "--heldout 64"),
        (["split", "store"], 2, "--heldout"),
    ],
)
def test_mistakes(
    bench: Bench,
    store: Path,
    arguments: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(store.parent)
    zip_of(Path("evil.zip"), GOOD | {"../evil.png": b""})
    Path("empty").mkdir()
    done = bench(*arguments)
    assert done.code == code
    assert message in done.err
    assert done.out == ""
    assert not Path("new").exists()


def test_export_and_import_again(bench: Bench, store: Path, tmp_path: Path) -> None:
    done = bench("export", store, "--out", tmp_path / "x.zip")
    assert done.code == 0
    assert f"{tmp_path / 'x.zip'}: 64 images" in done.out
    assert bench("import", tmp_path / "x.zip", "--out", tmp_path / "again").code == 0
    assert Store(tmp_path / "again").card["sha256"] == Store(store).card["sha256"]


def test_split(bench: Bench, store: Path) -> None:
    assert bench("split", store, "--heldout", 20).out == f"{store}: train 44, heldout 20\n"
    assert json.loads(bench("split", store, "--heldout", 4, "--json").out) == {
        "train": 60,
        "heldout": 4,
    }


def test_info(bench: Bench, store: Path) -> None:
    bench("split", store, "--heldout", 20)
    (store / "factors.csv").write_text("hair,eyes\n")
    done = bench("info", store)
    assert done.code == 0
    assert "64 images, intact" in done.out
    assert "parts       train 44, heldout 20" in done.out
    assert "factors     hair, eyes" in done.out
    assert "source      photos (folder)" in done.out
    summary = json.loads(bench("info", store, "--json").out)
    assert summary["parts"] == {"train": 44, "heldout": 20}
    assert summary["factors"] == ["hair", "eyes"]
    assert summary["card"]["count"] == 64


def test_info_finds_damage(bench: Bench, store: Path) -> None:
    content = bytearray((store / "images.npy").read_bytes())
    content[-1] ^= 1
    (store / "images.npy").write_bytes(content)
    done = bench("info", store)
    assert done.code == 2
    assert "does not match the SHA-256" in done.err
    assert done.out == ""


def test_labels_are_counted(bench: Bench, tmp_path: Path) -> None:
    pairs = [[name, row % 5] for row, name in enumerate(GOOD)]
    labels = {"dataset.json": json.dumps({"labels": pairs}).encode()}
    bench("import", zip_of(tmp_path / "a.zip", GOOD | labels), "--out", tmp_path / "out")
    assert "labels      5 classes" in bench("info", tmp_path / "out").out


def test_faces(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Path, int, int]] = []

    def write_faces(
        out: Path, count: int, seed: int, progress: Callable[[int], None] | None = None
    ) -> None:
        calls.append((out, count, seed))
        assert progress is not None
        progress(count)

    monkeypatch.setattr(data.faces, "write_faces", write_faces)
    done = bench("faces", "--n", 7, "--seed", 3, "--out", tmp_path / "faces")
    assert calls == [(tmp_path / "faces", 7, 3)]
    assert done.out == f"{tmp_path / 'faces'}: 7 faces of seed 3\n"


@pytest.mark.parametrize("name", sorted(data_group.commands))
def test_help_teaches_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(data_group, [name, "--help"])
    assert shown.exit_code == 0
    assert f"bench data {name} " in shown.output


def test_help_loads_nothing_heavy() -> None:
    script = "import sys, benchmarks.commands.data; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    modules = set(loaded.stdout.split())
    assert "click" in modules
    assert not modules & {"torch", "numpy", "PIL", "tqdm", "data.importer"}
