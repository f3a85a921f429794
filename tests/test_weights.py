"""Weight files: whatever a network or a disk does, a file has its name only when it is right."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import eval.weights
from benchmarks.commands.weights import weights as weights_group
from data.errors import MissingError, UserError
from eval.weights import INCEPTION, WeightFile, fetch, find_inception

CONTENT = bytes(range(256)) * 1000
REAL = INCEPTION


@dataclass
class Site:
    """What a server serves, and how it was asked.

    Attributes:
        content: the file.
        ranges: whether it knows of Range.
        cut: stop after so many bytes.
        silent: then wait for this event before the connection is closed.
        asked: the Range of each request.
    """

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cut: int | None = None
    silent: threading.Event | None = None
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            served.asked.append(wanted)
            if served.status:
                self.send_error(served.status)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if served.ranges else 0
            body = served.content[start:]
            self.send_response(206 if served.ranges else 200)
            if served.ranges:
                whole = len(served.content)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.cut])
            if served.silent:
                served.silent.wait()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}/net.pt"
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def file(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightFile:
    """A known file, published on the site; none is there yet."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    known = WeightFile("net.pt", site.url, digest, len(CONTENT))
    other = WeightFile("net.pth", site.url, "0" * 64, len(CONTENT))
    monkeypatch.setattr(eval.weights, "INCEPTION", (known, other))
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return known


@pytest.fixture
def command(file: WeightFile) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(weights_group, arguments)

    return run


def test_a_file_is_fetched_once(site: Site, file: WeightFile, tmp_path: Path) -> None:
    seen: list[int] = []
    path = fetch(file, progress=seen.append)
    assert path == tmp_path / "weights" / "net.pt"
    assert path.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, len(CONTENT))
    assert fetch(file) == path
    assert len(site.asked) == 1
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == ["net.pt"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_is_finished_by_the_next(site: Site, file: WeightFile, ranges: bool) -> None:
    site.ranges, site.cut = ranges, 1000
    with pytest.raises(
        MissingError, match=r"1,000 of 256,000 bytes are there, and the same"
    ) as cut:
        fetch(file)
    assert "\n" not in str(cut.value)
    assert not file.path.exists()
    site.cut = None
    seen: list[int] = []
    fetch(file, progress=seen.append)
    assert site.asked == ["bytes=0-", "bytes=1000-"]
    assert seen[0] == (1000 if ranges else 0)
    assert file.path.read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_left(
    site: Site, file: WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval.weights, "TIMEOUT_SEC", 0.2)
    site.cut, site.silent = 1000, threading.Event()
    with pytest.raises(MissingError, match=r"timed out; 1,000 of 256,000 bytes are there"):
        fetch(file)
    site.silent.set()


def test_a_wrong_file_leaves_nothing(site: Site, file: WeightFile) -> None:
    site.content = b"!" * len(CONTENT)
    with pytest.raises(UserError) as wrong:
        fetch(file)
    assert hashlib.sha256(site.content).hexdigest() in str(wrong.value)
    assert file.sha256 in str(wrong.value)
    assert not [path for path in file.path.parent.iterdir() if not path.name.startswith(".")]
    site.content = CONTENT
    fetch(file)
    assert site.asked[-1] == "bytes=0-"


def test_a_download_that_was_spoiled_is_begun_again(site: Site, file: WeightFile) -> None:
    site.cut = 1000
    with pytest.raises(MissingError):
        fetch(file)
    part = next(file.path.parent.glob("*.part"))
    part.write_bytes(bytes(1000))
    site.cut = None
    with pytest.raises(UserError, match="nothing of it is kept"):
        fetch(file)
    assert fetch(file).read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_another_size_is_not_read(site: Site, file: WeightFile, ranges: bool) -> None:
    site.ranges, site.content = ranges, b"<html>log in first</html>"
    with pytest.raises(UserError, match="is another file: 25 bytes, not 256,000"):
        fetch(file)
    assert not file.path.exists()


def test_a_damaged_file_is_replaced(file: WeightFile) -> None:
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(CONTENT[:-1])
    fetch(file)
    assert file.path.read_bytes() == CONTENT


def test_a_server_that_refuses_is_one_line(site: Site, file: WeightFile) -> None:
    site.status = 404
    with pytest.raises(MissingError, match="the server answers 404"):
        fetch(file)


def test_no_server_is_one_line(file: WeightFile) -> None:
    with pytest.raises(MissingError, match=r"refused.*0 of 256,000 bytes"):
        fetch(file, "http://127.0.0.1:9/net.pt")


def test_a_full_disk_is_no_network_error(
    site: Site, file: WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(eval.weights, "sync", full)
    with pytest.raises(MissingError, match=r"cannot write .*No space left.*256,000 bytes"):
        fetch(file)
    assert not file.path.exists()


def test_offline_touches_no_network(site: Site, file: WeightFile, tmp_path: Path) -> None:
    with pytest.raises(MissingError) as missing:
        fetch(file, offline=True)
    for words in (site.url, "256,000 bytes", str(file.path), "--from"):
        assert words in str(missing.value)
    with pytest.raises(UserError, match="--offline forbids"):
        fetch(file, site.url, offline=True)
    (tmp_path / "copy").write_bytes(CONTENT)
    fetch(file, str(tmp_path / "copy"), offline=True)
    assert file.path.read_bytes() == CONTENT
    assert fetch(file, offline=True) == file.path
    assert site.asked == []


def test_from_takes_a_file_or_another_site(site: Site, file: WeightFile, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        fetch(file, str(tmp_path / "nothing"))
    (tmp_path / "cut").write_bytes(CONTENT[:100])
    with pytest.raises(UserError, match=f"{file.sha256} is needed"):
        fetch(file, str(tmp_path / "cut"))
    assert not file.path.exists()
    fetch(file, site.url + "?mirror")
    assert file.path.read_bytes() == CONTENT


def test_inception_is_found_only_whole(file: WeightFile) -> None:
    with pytest.raises(MissingError) as missing:
        find_inception()
    for words in ("FID", file.url, "256,000 bytes", str(file.path), "`bench weights fetch`"):
        assert words in str(missing.value)
    assert "\n" not in str(missing.value)
    fetch(file)
    assert find_inception() == (file.path, file.sha256)
    file.path.write_bytes(CONTENT[:-1])
    with pytest.raises(UserError) as damaged:
        find_inception()
    assert damaged.value.exit_code == 2
    for digest in (hashlib.sha256(CONTENT[:-1]).hexdigest(), file.sha256):
        assert digest in str(damaged.value)


def test_the_second_form_is_found_too(file: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    second = WeightFile("second.pth", file.url, file.sha256, file.size_bytes)
    monkeypatch.setattr(eval.weights, "INCEPTION", (file, second))
    fetch(second)
    assert find_inception() == (second.path, second.sha256)


def test_weights_are_in_the_cache_unless_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GAN_VERSUS_WEIGHTS", raising=False)
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path))
    assert REAL[0].path == tmp_path / "weights" / "inception-2015-12-05.pt"
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", "~/nets")
    assert REAL[0].path == Path.home() / "nets" / "inception-2015-12-05.pt"


def test_what_is_pinned_agrees_with_itself() -> None:
    # pytorch-fid's file carries the start of its SHA-256 in its name.
    assert REAL[1].sha256.startswith(Path(REAL[1].name).stem.rpartition("-")[2])
    for known in REAL:
        assert known.url.startswith("https://")
        assert known.url.endswith(known.name)
        assert len(known.sha256) == 64


def test_commands(
    command: Callable[..., Result], site: Site, file: WeightFile, tmp_path: Path
) -> None:
    other = str(file.path.with_name("net.pth"))
    assert command("path").output.split() == [str(file.path), other]
    assert command("path", "net.pth").output.split() == [other]
    found = command("verify")
    assert isinstance(found.exception, MissingError)
    assert found.output.split() == ["missing", str(file.path), "missing", other]
    assert isinstance(command("fetch", "--offline").exception, MissingError)
    assert site.asked == []

    assert command("fetch").output.strip() == str(file.path)
    assert command("verify").exit_code == 0
    states = [row["state"] for row in json.loads(command("verify", "--json").output)]
    assert states == ["intact", "missing"]

    file.path.write_bytes(b"")
    found = command("verify")
    assert type(found.exception) is UserError
    assert found.output.split()[:2] == ["damaged", str(file.path)]
    (tmp_path / "copy").write_bytes(CONTENT)
    assert command("fetch", "net.pt", "--from", str(tmp_path / "copy")).exit_code == 0
    assert command("verify").exit_code == 0

    mistyped = command("fetch", "nett.pt").exception
    assert isinstance(mistyped, UserError)
    assert "choose net.pt or net.pth" in str(mistyped)
