"""The bad inputs that real archives hold: each has one documented answer."""

import csv
import json
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import data.sources.members
import data.sources.zips
from data.codes import NOTES, REJECTIONS, Rejected
from data.errors import MissingError, UserError
from data.importer import MIN_IMAGES, import_images
from data.sources import open_source
from data.sources.folder import FolderSource
from tests.image_files import (
    PALETTE,
    PNG_SIGNATURE,
    RGB,
    chunk,
    encode,
    exif,
    folder_of,
    good_files,
    noise,
    patch_zip,
    pixel_bomb,
    png_header,
    raw_png,
    tar_of,
    zip_of,
)

GOOD = good_files()
PHOTO = encode(noise(), "JPEG")
PICTURE = encode(noise())
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n"
HTML = b"<!DOCTYPE html><title>404 Not Found</title>"


@dataclass(frozen=True)
class Counts:
    """What the card says of the files beside the good ones; whatever is not named is zero."""

    accepted: int = 0
    rejected: dict[str, int] | None = None
    notes: dict[str, int] | None = None
    ignored: dict[str, int] | None = None
    duplicates: int = 0
    name_collisions: int = 0


@dataclass(frozen=True)
class Refused:
    """The whole source is turned down with one line that matches."""

    message: str
    error: type[UserError] = UserError


@dataclass(frozen=True)
class Case:
    """`build` makes a source out of a folder and the good images."""

    number: int
    what: str
    build: Callable[[Path], Path]
    outcome: Counts | Refused


def in_folder(**files: bytes) -> Callable[[Path], Path]:
    """Files in a folder beside the good ones; `__` stands for the dot of the name."""
    named = {name.replace("__", "."): content for name, content in files.items()}
    return lambda path: folder_of(path / "photos", GOOD | named)


def in_zip(files: dict[str, bytes], **options: Any) -> Callable[[Path], Path]:
    return lambda path: zip_of(path / "photos.zip", GOOD | files, **options)


def in_both(files: dict[str, bytes]) -> tuple[Callable[[Path], Path], Callable[[Path], Path]]:
    return (
        lambda path: folder_of(path / "photos", GOOD | files),
        lambda path: zip_of(path / "photos.zip", GOOD | files),
    )


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]


def animated(file_format: str) -> bytes:
    return encode(noise(), file_format, save_all=True, append_images=[noise(seed=1)])


def text_bomb() -> bytes:
    """A PNG with 20 MB of compressed text before its pixels."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20 * 2**20)))
    return raw_png(np.zeros((64, 64)), extra=text)


def with_links(path: Path) -> Path:
    folder = folder_of(path / "photos", GOOD)
    (path / "elsewhere.png").write_bytes(PICTURE)
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    (folder / "outside.png").symlink_to(path / "elsewhere.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "again.png").symlink_to(folder / "good" / "000.png")
    return folder


def with_loop(path: Path) -> Path:
    folder = folder_of(path / "photos", GOOD)
    (folder / "good" / "loop").symlink_to(folder)
    return folder


def with_pipe(path: Path) -> Path:
    folder = folder_of(path / "photos", GOOD)
    os.mkfifo(folder / "pipe.png")
    return folder


def with_folder_named_as_image(path: Path) -> Path:
    return folder_of(path / "photos", GOOD | {"album.png/1.png": PICTURE})


def with_odd_names(path: Path) -> Path:
    names = ("a b", "\U0001f98a", "\u202eabc", "new\nline", "-rf", "100%", "<script>", "n" * 251)
    pictures = {f"{name}.png": encode(noise(seed=s)) for s, name in enumerate(names)}
    pictures |= {"caf\u00e9.png": encode(noise(seed=90)), "cafe\u0301.png": encode(noise(seed=91))}
    pictures |= {"IMG.PNG": encode(noise(seed=92)), "img.png": encode(noise(seed=93))}
    return folder_of(path / "photos", GOOD | pictures)


def with_undecodable_names(path: Path) -> Path:
    return folder_of(
        path / "photos", GOOD | {os.fsdecode(b"a\xff.png"): PICTURE, os.fsdecode(b"b\xff.png"): b""}
    )


def zip_with_link(path: Path) -> Path:
    link = zipfile.ZipInfo("link.png")
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    return zip_of(path / "photos.zip", [*GOOD.items(), (link, b"/etc/passwd")])


def tar_with_links(path: Path) -> Path:
    kinds = {
        "soft.png": tarfile.SYMTYPE,
        "hard.png": tarfile.LNKTYPE,
        "device.png": tarfile.CHRTYPE,
        "sparse.png": tarfile.GNUTYPE_SPARSE,
    }
    links = []
    for name, kind in kinds.items():
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, "good/000.png"
        links.append(link)
    return tar_of(path / "photos.tar", GOOD, *links)


def zip_with_nul(path: Path) -> Path:
    archive = zip_of(path / "photos.zip", GOOD | {"nul!evil.png": PICTURE})
    archive.write_bytes(archive.read_bytes().replace(b"nul!evil.png", b"nul\0evil.png"))
    return archive


def overlapping_zip(path: Path) -> Path:
    archive = zip_of(path / "photos.zip", GOOD)
    with zipfile.ZipFile(archive) as opened:
        offset = opened.getinfo("good/000.png").header_offset
    return patch_zip(archive, "good/001.png", offset=offset)


def cut_zip(path: Path) -> Path:
    archive = zip_of(path / "photos.zip", GOOD)
    archive.write_bytes(archive.read_bytes()[:-4000])
    return archive


def zip64(path: Path) -> Path:
    with zipfile.ZipFile(path / "photos.zip", "w") as archive:
        for name, content in GOOD.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return path / "photos.zip"


def labelled(labels: list[Any]) -> Callable[[Path], Path]:
    content = json.dumps({"labels": labels}).encode()
    return lambda path: zip_of(path / "photos.zip", GOOD | {"dataset.json": content})


PAIRS = [[name, row % 3] for row, name in enumerate(GOOD)]
NAMES = list(GOOD)
NOISE_16 = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
OPAQUE_WHITE = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
TRNS = raw_png(
    np.arange(64 * 64).reshape(64, 64) % 2,
    PALETTE,
    extra=chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255))) + chunk(b"tRNS", bytes((255, 0))),
)
RGBA_NOISE = noise().convert("RGBA")
RGBA_NOISE.putalpha(Image.new("L", (64, 64), 100))
SMALL_PICTURES = {"one.png": encode(noise(1, 1)), "nearly.png": encode(noise(63, 64))}
NO_FORMAT = {"NOT_AN_IMAGE": 1}

CASES = [
    Case(1, "empty file", in_folder(a__png=b""), Counts(rejected={"EMPTY_FILE": 1})),
    Case(
        2,
        "text and HTML named .jpg",
        in_folder(a__jpg=b"no picture", b__jpg=HTML),
        Counts(rejected={"NOT_AN_IMAGE": 2}),
    ),
    Case(
        3,
        "JPEG cut in half",
        in_folder(a__jpg=PHOTO[: len(PHOTO) // 2]),
        Counts(rejected={"TRUNCATED": 1}),
    ),
    Case(
        4,
        "JPEG without its end marker",
        in_folder(a__jpg=PHOTO[:-2]),
        Counts(accepted=1, notes={"NO_EOI": 1}),
    ),
    Case(
        4,
        "JPEG without its last pixels",
        in_folder(a__jpg=PHOTO[:-12]),
        Counts(rejected={"TRUNCATED": 1}),
    ),
    Case(5, "20 bytes of a JPEG", in_folder(a__jpg=PHOTO[:20]), Counts(rejected={"CORRUPT": 1})),
    Case(
        6,
        "PNG cut in half",
        in_folder(a__png=PICTURE[: len(PICTURE) // 2]),
        Counts(rejected={"TRUNCATED": 1}),
    ),
    Case(
        7,
        "PNG without its end",
        in_folder(a__png=PICTURE[:-12]),
        Counts(accepted=1, notes={"NO_IEND": 1}),
    ),
    Case(
        8,
        "PNG with a flipped byte",
        in_folder(a__png=flipped(PICTURE, len(PICTURE) // 2)),
        Counts(rejected={"CORRUPT": 1}),
    ),
    Case(
        9,
        "JPEG with a flipped byte, which nobody can tell",
        in_folder(a__jpg=flipped(PHOTO, len(PHOTO) - 500)),
        Counts(accepted=1),
    ),
    Case(
        10,
        "PNG named .jpg",
        in_folder(a__jpg=PICTURE),
        Counts(accepted=1, notes={"EXT_MISMATCH": 1}),
    ),
    Case(
        11,
        "400 million pixels",
        in_folder(a__png=pixel_bomb(20_000)),
        Counts(rejected={"TOO_MANY_PIXELS": 1}),
    ),
    Case(
        12,
        "144 million pixels",
        in_folder(a__png=pixel_bomb(12_000)),
        Counts(rejected={"TOO_MANY_PIXELS": 1}),
    ),
    Case(13, "text bomb", in_folder(a__png=text_bomb()), Counts(rejected={"CORRUPT": 1})),
    Case(
        14,
        "smaller than 64 pixels",
        lambda path: folder_of(path / "photos", GOOD | SMALL_PICTURES),
        Counts(rejected={"TOO_SMALL": 2}),
    ),
    Case(
        15,
        "65535x1",
        in_folder(a__png=raw_png(np.zeros((1, 65_535)))),
        Counts(rejected={"ASPECT": 1}),
    ),
    Case(
        15,
        "8:1, the longest that is taken",
        in_folder(a__png=encode(noise(512, 64))),
        Counts(accepted=1),
    ),
    Case(
        16,
        "width 0",
        in_folder(a__png=PNG_SIGNATURE + png_header(0, 64) + chunk(b"IEND", b"")),
        Counts(rejected={"CORRUPT": 1}),
    ),
    Case(
        17,
        "palette",
        in_folder(a__png=encode(noise().quantize(16))),
        Counts(accepted=1, notes={"PALETTE": 1}),
    ),
    Case(
        18,
        "palette with transparency",
        in_folder(a__png=TRNS),
        Counts(accepted=1, notes={"PALETTE": 1, "ALPHA": 1}),
    ),
    Case(
        19,
        "RGBA and LA",
        in_folder(a__png=encode(RGBA_NOISE), b__png=encode(RGBA_NOISE.convert("LA"))),
        Counts(accepted=2, notes={"ALPHA": 2, "GREY": 1}),
    ),
    Case(
        19,
        "RGBA without a transparent pixel",
        in_folder(a__png=encode(OPAQUE_WHITE)),
        Counts(accepted=1),
    ),
    Case(
        20,
        "16 bits",
        in_folder(
            a__png=raw_png(NOISE_16, bits=16),
            b__png=raw_png(np.stack([NOISE_16 * 9] * 3, axis=2), RGB, bits=16),
        ),
        Counts(accepted=2, notes={"SIXTEEN_BIT": 2, "GREY": 1}),
    ),
    Case(
        21,
        "floating point and 32-bit integers",
        in_folder(
            a__tif=encode(noise().convert("F"), "TIFF"), b__tif=encode(noise().convert("I"), "TIFF")
        ),
        Counts(rejected={"FLOAT_IMAGE": 1, "INTEGER_IMAGE": 1}),
    ),
    Case(
        22,
        "1 bit",
        in_folder(a__png=encode(noise().convert("1"))),
        Counts(accepted=1, notes={"GREY": 1}),
    ),
    Case(
        23,
        "CMYK",
        in_folder(a__jpg=encode(noise().convert("CMYK"), "JPEG")),
        Counts(accepted=1, notes={"CMYK": 1}),
    ),
    Case(
        24,
        "EXIF orientation",
        in_folder(
            a__jpg=encode(noise(64, 80), "JPEG", exif=exif(6)),
            b__tif=encode(noise(64, 80), "TIFF", exif=exif(6)),
            c__jpg=encode(noise(64, 90), "JPEG", exif=exif(1)),
        ),
        Counts(accepted=3, notes={"ORIENTATION": 2}),
    ),
    Case(
        25,
        "animations",
        in_folder(a__gif=animated("GIF"), b__webp=animated("WEBP")),
        Counts(accepted=2, notes={"ANIMATED": 2, "PALETTE": 1}),
    ),
    Case(26, "SVG", in_folder(a__svg=SVG), Counts(rejected=NO_FORMAT)),
    Case(27, "EPS named .jpg", in_folder(a__jpg=EPS), Counts(rejected=NO_FORMAT)),
    Case(
        28,
        "grey among colours",
        in_folder(a__jpg=encode(noise().convert("L"), "JPEG")),
        Counts(accepted=1, notes={"GREY": 1}),
    ),
    Case(
        29,
        "mixed sizes",
        in_folder(a__png=encode(noise(200, 100)), b__jpg=encode(noise(70, 90), "JPEG")),
        Counts(accepted=2),
    ),
    Case(
        30,
        "the same pixels under two names",
        in_folder(a__png=PICTURE, b__bmp=encode(noise(), "BMP")),
        Counts(accepted=2, duplicates=1),
    ),
    Case(31, "odd names", with_odd_names, Counts(accepted=12, name_collisions=2)),
    Case(
        32,
        "names that are no UTF-8",
        with_undecodable_names,
        Counts(accepted=1, rejected={"EMPTY_FILE": 1}),
    ),
    Case(33, "loop of links", with_loop, Counts(rejected={"LINKED_FOLDER": 1})),
    Case(
        34,
        "links to nothing, out of the source, in a circle, within the source",
        with_links,
        Counts(accepted=1, rejected={"DANGLING": 2, "OUTSIDE": 1}, duplicates=1),
    ),
    Case(35, "pipe", with_pipe, Counts(rejected={"NOT_A_FILE": 1})),
    Case(
        36,
        "folder named as an image",
        with_folder_named_as_image,
        Counts(rejected={"NOT_A_FILE": 1}),
    ),
    Case(
        38,
        "empty folder",
        lambda path: folder_of(path, {}),
        Refused(rf"0 usable images, at least {MIN_IMAGES} .*: nothing"),
    ),
    Case(
        38,
        "three images",
        lambda path: folder_of(path / "photos", good_files(3) | {"a.png": b"", "b.txt": b""}),
        Refused(r"photos has 3 usable images, .*EMPTY_FILE 1, 1 other files ignored"),
    ),
    *(
        Case(
            39,
            f"zip with {name}",
            lambda path, name=name: zip_of(path / "photos.zip", GOOD | {name: PICTURE}),
            Refused("photos.zip is refused: its member .*evil.* has an UNSAFE_NAME"),
        )
        for name in ("../../evil.png", "/evil.png", "C:\\evil.png", "a\\..\\..\\evil", "..\\evil")
    ),
    Case(
        39,
        "tar with ..",
        lambda path: tar_of(path / "photos.tar", GOOD | {"a/../../evil.txt": PICTURE}),
        Refused("photos.tar is refused: its member 'a/../../evil.txt' has an UNSAFE_NAME"),
    ),
    Case(39, "NUL in a name", zip_with_nul, Refused(r"'nul\\x00evil.png' has an UNSAFE_NAME")),
    Case(
        39,
        "names that only look unsafe",
        in_zip({"a..b.png": PICTURE, "./c.png": encode(noise(seed=2)), "...png": b""}),
        Counts(accepted=2, ignored={"hidden or system files": 1}),
    ),
    Case(40, "link in a zip", zip_with_link, Counts(rejected={"LINK": 1})),
    Case(40, "links in a tar", tar_with_links, Counts(rejected={"LINK": 2, "NOT_A_FILE": 2})),
    Case(
        41,
        "one name twice in a zip",
        lambda path: zip_of(path / "a.zip", [*GOOD.items(), ("good/000.png", PICTURE)]),
        Counts(rejected={"DUPLICATE_MEMBER": 1}),
    ),
    Case(
        42,
        "ratio bomb",
        in_zip({"a.bmp": bytes(8 * 2**20)}, method=zipfile.ZIP_DEFLATED),
        Counts(rejected={"EXPANDS": 1}),
    ),
    Case(
        42,
        "a flat picture that shrinks 300 times",
        in_zip({"a.bmp": encode(Image.new("RGB", (640, 640)), "BMP")}, method=zipfile.ZIP_DEFLATED),
        Counts(accepted=1),
    ),
    Case(43, "overlapping members", overlapping_zip, Refused("members overlap|[Oo]verlapped")),
    Case(
        44,
        "size smaller than the member",
        lambda path: patch_zip(in_zip({"a.png": PICTURE})(path), "a.png", size=1000),
        Counts(rejected={"CORRUPT_MEMBER": 1}),
    ),
    Case(
        44,
        "size greater than the member",
        lambda path: patch_zip(in_zip({"a.png": PICTURE})(path), "a.png", size=20_000),
        Counts(rejected={"CORRUPT_MEMBER": 1}),
    ),
    Case(45, "cut zip", cut_zip, Refused("photos.zip is no whole zip archive")),
    Case(
        45,
        "text named .zip",
        lambda path: folder_of(path, {"photos.zip": HTML}) / "photos.zip",
        Refused("photos.zip is no whole zip archive"),
    ),
    Case(
        45,
        "encrypted member",
        lambda path: patch_zip(in_zip({"a.png": PICTURE})(path), "a.png", flags=1),
        Counts(rejected={"ENCRYPTED": 1}),
    ),
    Case(
        45,
        "member packed with bzip2",
        lambda path: zip_of(path / "photos.zip", GOOD, method=zipfile.ZIP_BZIP2),
        Refused("COMPRESSION 64"),
    ),
    *(
        Case(45, "archives inside", build, Counts(rejected={"NESTED_ARCHIVE": 2}))
        for build in in_both({"a.zip": b"PK", "b/c.tar.gz": b""})
    ),
    Case(45, "zip64", zip64, Counts()),
    *(
        Case(45, "litter", build, Counts(ignored={"hidden or system files": 6, "other files": 2}))
        for build in in_both(
            {
                "._x.png": b"",
                ".DS_Store": b"",
                "good/Thumbs.db": b"",
                "good/desktop.ini": b"",
                "__MACOSX/._x.png": b"",
                ".hidden/x.png": b"",
                "README.txt": b"",
                "good/list_attr.csv": b"",
            }
        )
    ),
    Case(46, "labels", labelled(PAIRS), Counts()),
    Case(46, "label missing", labelled(PAIRS[1:]), Refused("1 mistakes: 'good/000.png' has no")),
    Case(46, "no integer", labelled([[NAMES[0], "cat"], *PAIRS[1:]]), Refused("no integer: cat")),
    Case(46, "a fraction", labelled([[NAMES[0], 1.5], *PAIRS[1:]]), Refused("no integer: 1.5")),
    Case(46, "NaN", labelled([[NAMES[0], float("nan")], *PAIRS[1:]]), Refused("integer: nan")),
    Case(46, "true", labelled([[NAMES[0], True], *PAIRS[1:]]), Refused("no integer: True")),
    Case(46, "huge", labelled([[NAMES[0], 2**63], *PAIRS[1:]]), Refused("no integer: 9223")),
    Case(46, "no pair", labelled([7, *PAIRS]), Refused("no pair of name and label: 7")),
    Case(46, "two labels", labelled([PAIRS[0], *PAIRS]), Refused("two labels")),
    Case(46, "file missing", labelled([*PAIRS, ["x.png", 1]]), Refused("'x.png' is not in")),
    Case(
        46,
        "dataset.json cut short",
        lambda path: zip_of(path / "photos.zip", GOOD | {"dataset.json": b'{"labels": [['}),
        Refused("dataset.json is damaged"),
    ),
    Case(46, "nothing there", lambda path: path / "gone", Refused("not exist", MissingError)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number:02} {case.what}")
def test_case(case: Case, tmp_path: Path) -> None:
    if case.number in (31, 32) and sys.platform != "linux":
        pytest.skip("the file system has no such names")
    (tmp_path / "in").mkdir()
    source, out = case.build(tmp_path / "in"), tmp_path / "out"
    if isinstance(case.outcome, Refused):
        with pytest.raises(case.outcome.error, match=case.outcome.message):
            import_images([source], out)
        assert [path.name for path in tmp_path.iterdir()] == ["in"]  # nothing half made
        return
    card = import_images([source], out)
    found = Counts(
        accepted=card["files"]["accepted"] - len(GOOD),
        rejected=card["rejected"] or None,
        notes=card["notes"] or None,
        ignored=card["ignored"] or None,
        duplicates=card["duplicates"],
        name_collisions=card["name_collisions"],
    )
    assert found == case.outcome
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        listed = [row["code"] for row in csv.DictReader(file)]
    assert sorted(listed) == sorted(
        code for code, count in card["rejected"].items() for _ in range(count)
    )


def test_every_case_of_the_policy_is_here() -> None:
    elsewhere = {37}  # the two tests of files that change
    assert {case.number for case in CASES} | elsewhere == set(range(1, 47))


def test_every_code_is_reached() -> None:
    """A code without a case is dead; these few have tests of their own."""
    outcomes = [case.outcome for case in CASES if isinstance(case.outcome, Counts)]
    rejected = {code for outcome in outcomes for code in outcome.rejected or ()}
    notes = {code for outcome in outcomes for code in outcome.notes or ()}
    own_tests = {"COLOUR_MODE", "TOO_LARGE", "UNREADABLE", "CHANGED_DURING_SCAN", "COMPRESSION"}
    assert rejected | own_tests == set(REJECTIONS)
    assert notes | {"BAD_EXIF", "UPSCALED"} == set(NOTES)


def only_problem(source: Path) -> str:
    with open_source(source) as opened:
        problems = [f.content.code for f in opened.files() if isinstance(f.content, Rejected)]
    (code,) = problems
    return code


def test_file_that_changes_between_listing_and_reading(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.png": PICTURE, "b.png": PICTURE, "c.png": PICTURE})
    with FolderSource(folder) as source:
        (folder / "a.png").unlink()
        (folder / "b.png").write_bytes(PICTURE + b"more")
        contents = {file.name: file.content for file in source.files()}
    assert contents["c.png"] == PICTURE
    for name in ("a.png", "b.png"):
        problem = contents[name]
        assert isinstance(problem, Rejected)
        assert problem.code == "CHANGED_DURING_SCAN"


def test_file_that_turns_into_a_pipe_does_not_block(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.png": PICTURE})
    with FolderSource(folder) as source:
        (folder / "a.png").unlink()
        os.mkfifo(folder / "a.png")
        (file,) = source.files()
    assert isinstance(file.content, Rejected)
    assert file.content.code == "CHANGED_DURING_SCAN"


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser may read everything, so the refusal of the system is played."""
    folder_of(tmp_path, {"locked.png": PICTURE})

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert only_problem(tmp_path) == "UNREADABLE"


def test_file_without_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that vanishes while its folder is listed: the others are not lost with it."""
    folder_of(tmp_path, {"a.png": PICTURE, "b.png": PICTURE, "c/d.png": PICTURE})
    stat = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if Path(path).name == "a.png":
            raise FileNotFoundError(2, "No such file")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    with FolderSource(tmp_path) as source:
        problems = [(m.name, m.problem and m.problem.code) for m in source.listing.members]
    assert problems == [("a.png", "UNREADABLE"), ("b.png", None), ("c/d.png", None)]


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, {"a.png": PICTURE, "locked/b.png": PICTURE})
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert only_problem(tmp_path) == "UNREADABLE"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_file_larger_than_the_limit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {
        "folder": lambda: folder_of(tmp_path / "in", {"a.png": PICTURE}),
        "zip": lambda: zip_of(tmp_path / "in.zip", {"a.png": PICTURE}),
        "tar": lambda: tar_of(tmp_path / "in.tar", {"a.png": PICTURE}),
    }[kind]()
    for module in (data.sources.folder, data.sources.zips, data.sources.tars):
        monkeypatch.setattr(module, "MAX_MEMBER_BYTES", len(PICTURE) - 1)
    assert only_problem(source) == "TOO_LARGE"
    for module in (data.sources.folder, data.sources.zips, data.sources.tars):
        monkeypatch.setattr(module, "MAX_MEMBER_BYTES", len(PICTURE))
    with open_source(source) as opened:
        assert [file.content for file in opened.files()] == [PICTURE]


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz"])
def test_archive_that_expands_without_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many members that are each within bounds."""
    files = {f"{i}.bmp": bytes(2**20) for i in range(32)}
    if name.endswith("zip"):
        source = zip_of(tmp_path / name, files, method=zipfile.ZIP_DEFLATED)
    else:
        source = tar_of(tmp_path / name, files, mode="w:gz")
    monkeypatch.setattr(data.sources.members, "SMALL_TOTAL_BYTES", 2**24)
    with pytest.raises(UserError, match="expands more than 200 times"), open_source(source) as zip_:
        list(zip_.files())


def test_header_that_fills_the_memory(tmp_path: Path) -> None:
    """A tar extension header is read whole by the standard library."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**32
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(4096))
    with pytest.raises(UserError, match="more than 1 MB"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("damage", ["cut", "flipped header"])
def test_damaged_tar(mode: str, damage: str, tmp_path: Path) -> None:
    """The standard library takes a damaged header for the archive's end, and says nothing."""
    source = tar_of(tmp_path / "a.tar", {f"{i}.png": encode(noise(seed=i)) for i in range(5)})
    content = source.read_bytes()
    second_header = content.index(b"1.png\0")
    damaged = content[: second_header + 900] if damage == "cut" else flipped(content, second_header)
    if mode == "w:gz":
        compressor = zlib.compressobj(wbits=31)
        damaged = compressor.compress(damaged) + compressor.flush()
    source.write_bytes(damaged)
    with pytest.raises(UserError, match=r"a\.tar is no whole tar archive"):
        open_source(source)


def test_cut_gzip(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tgz", GOOD, mode="w:gz")
    source.write_bytes(source.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"a\.tgz is no whole tar archive"):
        open_source(source)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", PICTURE, "no folder, zip or tar; name the folder that it is in"),
        ("a.txt", HTML, "no folder, zip or tar$"),
        ("a.tar", HTML, "no whole tar archive"),
        ("a.tar", b"", "no whole tar archive"),
        ("a.zip", b"", "no whole zip archive"),
        ("a.csv.gz", zlib.compress(HTML, wbits=31), "no whole tar archive"),
    ],
)
def test_source_that_is_no_archive(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_source(tmp_path / name)


def test_source_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(UserError, match="no folder, zip or tar"):
        open_source(tmp_path / "a.zip")


def test_only_five_mistakes_in_labels_are_shown(tmp_path: Path) -> None:
    source = labelled([])(tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(source)
    assert str(caught.value).count("has no label") == 5
    assert "64 mistakes" in str(caught.value)


def test_skipped_names_are_printable(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", GOOD | {os.fsdecode(b"a\xff\n\x1b[31m.png"): b""})
    import_images([folder], tmp_path / "out")
    content = (tmp_path / "out" / "skipped.csv").read_text(encoding="utf-8")
    row = r"in,a\udcff\n\x1b[31m.png,EMPTY_FILE,it has 0 bytes"
    assert content == f"source,name,code,reason\n{row}\n"


def test_unsupported_bit_depth(tmp_path: Path) -> None:
    """12-bit grey: Pillow opens it as 16-bit, and it would come out nearly black."""
    tags = {256: 64, 257: 64, 258: 12, 259: 1, 262: 1, 273: 200, 277: 1, 278: 64, 279: 64 * 96}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    tiff = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    folder_of(tmp_path / "in", GOOD | {"a.tif": tiff.ljust(200, b"\0") + bytes(64 * 96)})
    card = import_images([tmp_path / "in"], tmp_path / "out")
    assert card["rejected"] == {"COLOUR_MODE": 1}
