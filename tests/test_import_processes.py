"""Interrupts, killed processes and bombs: what only shows in processes of their own."""

import multiprocessing
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from data.errors import MissingError
from data.importer import import_images
from tests.image_files import encode, noise, patch_zip, pixel_bomb, zip_of

IMPORT = """
import sys
import time
from pathlib import Path
from data.importer import import_images

def show(*_):
    print("on", flush=True)
    time.sleep(0.05)  # else a busy machine may be done before the test gets its turn

if __name__ == "__main__":
    try:
        import_images([Path("in.zip")], Path("out"), progress=show)
    except KeyboardInterrupt:
        sys.exit(130)
"""
ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


def many_files(folder: Path) -> None:
    """More than are imported before a test has acted."""
    photos = [encode(noise(400, 400, seed), "JPEG") for seed in range(8)]
    zip_of(folder / "in.zip", {f"{row:05}.jpg": photos[row % 8] for row in range(1600)})


def start_import(folder: Path) -> subprocess.Popen[str]:
    """Start an import in a process group of its own, and wait until it is under way."""
    many_files(folder)
    (folder / "script.py").write_text(IMPORT)
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    return process


@posix
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    process = start_import(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells the whole group
    _, errors = process.communicate(timeout=30)  # ends when every worker has closed its output
    assert process.returncode == 130
    assert errors == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.zip", "script.py"]


@posix
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    process = start_import(tmp_path)
    process.kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()


def test_killed_worker_is_reported(tmp_path: Path) -> None:
    many_files(tmp_path)

    def kill_one(*_: int) -> None:
        for worker in multiprocessing.active_children()[:1]:
            worker.kill()

    with pytest.raises(MissingError, match="want of memory"):
        import_images([tmp_path / "in.zip"], tmp_path / "out", progress=kill_one)
    assert [path.name for path in tmp_path.iterdir()] == ["in.zip"]


BOMBS = """
import resource
from pathlib import Path
from data.codes import Rejected
from data.decoding_pool import decode_files
from data.sources import open_source

used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used_bytes + 48 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with open_source(Path("in.zip")) as source:
    for file, outcome in decode_files(source.files(), False):
        print(file.name, outcome.code if isinstance(outcome, Rejected) else "accepted")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_bombs_fit_into_little_memory(tmp_path: Path) -> None:
    """In 48 MB above what is loaded; decoding any of them would take 144 MB and more."""
    bombs = {
        "1.png": pixel_bomb(12_000),
        "2.png": pixel_bomb(20_000),
        "3.bmp": bytes(200 * 2**20),
        "4.bmp": bytes(200 * 2**20),
        "5.png": encode(noise()),
    }
    zip_of(tmp_path / "in.zip", bombs, method=zipfile.ZIP_DEFLATED)
    patch_zip(tmp_path / "in.zip", "4.bmp", size=1000)
    done = subprocess.run(
        [sys.executable, "-c", BOMBS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1.png TOO_MANY_PIXELS",
        "2.png TOO_MANY_PIXELS",
        "3.bmp EXPANDS",
        "4.bmp CORRUPT_MEMBER",
        "5.png accepted",
    ]


def test_workers_load_nothing_heavy() -> None:
    script = "import sys, data.decoding_pool; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    modules = set(loaded.stdout.split())
    assert "data.decode" in modules
    assert not modules & {"torch", "pandas", "matplotlib", "scipy", "click", "tqdm"}
