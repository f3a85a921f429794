"""Whole imports: order, sameness, labels, the card, and what `--data photos.zip` opens."""

import csv
import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import data.decoding_pool
from data.decode import decode_image
from data.errors import MissingError, UserError
from data.importer import MIN_IMAGES, import_images, open_dataset, rejected_share
from data.nvidia_zip import export_zip
from data.store import Store
from tests.image_files import encode, folder_of, good_files, noise, tar_of, zip_of

GOOD = good_files()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_store_holds_the_decoded_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    files = GOOD | {"Z.png": encode(noise(seed=1)), "a/b/c.jpg": encode(noise(seed=2), "JPEG")}
    backwards = dict(reversed(files.items()))
    import_images([folder_of(tmp_path / "in", backwards)], tmp_path / "out")
    expected = [decode_image(files[name], name).pixels for name in sorted(files)]
    assert (Store(tmp_path / "out").images == np.stack(expected)).all()
    Store(tmp_path / "out").verify()


def test_folder_and_archives_give_the_same_pixels(tmp_path: Path) -> None:
    sources = [
        folder_of(tmp_path / "in", GOOD),
        zip_of(tmp_path / "in.zip", dict(reversed(GOOD.items()))),
        zip_of(tmp_path / "deflated.zip", GOOD, method=zipfile.ZIP_DEFLATED),
        tar_of(tmp_path / "in.tar", GOOD),
        tar_of(tmp_path / "in.tgz", {f"./{name}": GOOD[name] for name in GOOD}, mode="w:gz"),
    ]
    cards = [import_images([source], tmp_path / f"out{i}") for i, source in enumerate(sources)]
    assert len({card["sha256"] for card in cards}) == 1
    assert [card["sources"][0]["kind"] for card in cards] == ["folder", "zip", "zip", "tar", "tar"]


def test_importing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    files = GOOD | {"bad.png": b"", "odd.jpg": GOOD["good/000.png"], "notes.txt": b""}
    source = folder_of(tmp_path / "in", files)
    import_images([source], tmp_path / "one")
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    import_images([source], tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == {"images.npy", "card.json", "skipped.csv"}


def test_sources_come_in_the_order_given(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "b", good_files(40))
    second = zip_of(tmp_path / "a.zip", good_files(30, prefix="more/") | {"x.png": b""})
    card = import_images([first, second], tmp_path / "out")
    images = Store(tmp_path / "out").images
    assert len(images) == 70
    assert (images[:30] == images[40:]).all()
    assert card["duplicates"] == 30
    assert [source["name"] for source in card["sources"]] == ["b", "a.zip"]
    with (tmp_path / "out" / "skipped.csv").open(encoding="utf-8") as file:
        (skipped,) = csv.DictReader(file)
    assert (skipped["source"], skipped["name"]) == ("a.zip", "x.png")


def test_card(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "photos.zip", GOOD | {"a.png": encode(noise(100, 90))})
    card = import_images([source], tmp_path / "out")
    assert card == json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["kind"] == "import"
    assert card["name"] == "photos"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert card["sources"] == [{"name": "photos.zip", "kind": "zip", "sha256": digest}]
    assert card["sizes"] == {"64x64": 64, "100x90": 1, "others": 0}
    assert card["versions"].keys() == {"gan-versus", "numpy", "pillow", "python"}
    assert "LANCZOS" in card["transform"]
    assert str(tmp_path) not in (tmp_path / "out" / "card.json").read_text()


def test_limit(tmp_path: Path) -> None:
    files = good_files(100) | {"good/001.png": b"", "good/070.png": b""}
    source = folder_of(tmp_path / "in", files)
    card = import_images([source], tmp_path / "out", limit=66)
    assert card["files"] == {
        "found": 100,
        "accepted": 66,
        "rejected": 1,
        "duplicates_dropped": 0,
        "not_read": 33,
    }
    assert rejected_share(card) == 1 / 67
    whole = import_images([source], tmp_path / "whole")
    assert whole["count"] == 98
    both = Store(tmp_path / "out").images == Store(tmp_path / "whole").images[:66]
    assert both.all()


def test_limit_below_the_least(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--limit 63: .* at least {MIN_IMAGES}"):
        import_images([folder_of(tmp_path / "in", GOOD)], tmp_path / "out", limit=63)


def test_dedupe_keeps_the_first_copy(tmp_path: Path) -> None:
    files = GOOD | {"zcopy.png": GOOD["good/005.png"], "acopy.png": GOOD["good/006.png"]}
    source = folder_of(tmp_path / "in", files)
    kept = import_images([source], tmp_path / "kept")
    dropped = import_images([source], tmp_path / "dropped", dedupe=True)
    assert (kept["count"], kept["duplicates"]) == (66, 2)
    assert (dropped["count"], dropped["duplicates"]) == (64, 2)
    assert dropped["files"]["duplicates_dropped"] == 2
    first = Store(tmp_path / "dropped").images[0]
    assert (first == decode_image(GOOD["good/006.png"], "a.png").pixels).all()
    assert rejected_share(dropped) == 0


def test_upscaling_on_request(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", GOOD | {"small.png": encode(noise(9, 9))})
    card = import_images([source], tmp_path / "out", allow_upscale=True)
    assert (card["count"], card["notes"]) == (65, {"UPSCALED": 1})


def test_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists already"):
        import_images([tmp_path / "gone"], tmp_path / "out")


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = folder_of(tmp_path / "in", GOOD | {"bad.png": b""})
    import_images([source], tmp_path / "out", progress=lambda *done: seen.append(done))
    assert seen == [(done, 65) for done in range(1, 66)]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_labels_follow_their_images(kind: str, tmp_path: Path) -> None:
    """A rejected image takes its label with it; in a tar, dataset.json stands anywhere."""
    rows = list((good_files(70) | {"good/003.png": b""}).items())
    pairs = [[name, 7 * row] for row, (name, _) in enumerate(rows)]
    labels = {"dataset.json": json.dumps({"labels": pairs}).encode()}
    files = dict(rows[:9]) | labels | dict(rows[9:])
    make = {"folder": folder_of, "zip": zip_of, "tar": tar_of}[kind]
    import_images([make(tmp_path / f"in.{kind}", files)], tmp_path / "out")
    found = Store(tmp_path / "out").labels
    assert found is not None
    assert found.tolist() == [7 * row for row in range(70) if row != 3]


def test_round_trip_through_nvidias_zip(tmp_path: Path) -> None:
    pairs = [[name, row % 5] for row, name in enumerate(sorted(GOOD))]
    labels = {"dataset.json": json.dumps({"labels": pairs}).encode()}
    import_images([zip_of(tmp_path / "a.zip", GOOD | labels)], tmp_path / "one")
    export_zip(Store(tmp_path / "one"), tmp_path / "b.zip")
    import_images([tmp_path / "b.zip"], tmp_path / "two")
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert (one.images == two.images).all()
    assert one.labels is not None
    assert one.labels.tolist() == [row % 5 for row in range(64)]
    assert two.labels is not None
    assert two.labels.tolist() == one.labels.tolist()
    assert two.labels.dtype == np.int64


def test_exported_zip_is_laid_out_as_nvidias(tmp_path: Path) -> None:
    import_images([folder_of(tmp_path / "in", GOOD)], tmp_path / "store")
    export_zip(Store(tmp_path / "store"), tmp_path / "a.zip")
    export_zip(Store(tmp_path / "store"), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
        assert names[:2] == ["00000/img00000000.png", "00000/img00000001.png"]
        assert names[-1] == "dataset.json"
        assert json.loads(archive.read("dataset.json")) == {"labels": None}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        assert decode_image(archive.read(names[5]), "a.png").notes == set()


def test_export_does_not_overwrite(tmp_path: Path) -> None:
    import_images([folder_of(tmp_path / "in", GOOD)], tmp_path / "store")
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        export_zip(Store(tmp_path / "store"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"mine"


def test_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    import_images([folder_of(tmp_path / "in", GOOD)], tmp_path / "store")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_zip(Store(tmp_path / "store"), tmp_path / "new" / "a.zip", interrupt)
    assert list((tmp_path / "new").iterdir()) == []


def test_labels_of_some_sources_only(tmp_path: Path) -> None:
    pairs = [[name, 1] for name in GOOD]
    labels = {"dataset.json": json.dumps({"labels": pairs}).encode()}
    sources = [zip_of(tmp_path / "a.zip", GOOD | labels), folder_of(tmp_path / "b", GOOD)]
    with pytest.raises(UserError, match="b has no labels and another source has"):
        import_images(sources, tmp_path / "out")


@pytest.mark.parametrize("content", [b'{"labels": null}', b'{"title": "my photos"}', b"[1, 2]"])
def test_dataset_json_without_labels(content: bytes, tmp_path: Path) -> None:
    card = import_images(
        [folder_of(tmp_path / "in", GOOD | {"dataset.json": content})], tmp_path / "out"
    )
    assert Store(tmp_path / "out").labels is None
    assert card["ignored"] == {}


class TestOpenDataset:
    def test_store(self, tmp_path: Path) -> None:
        import_images([folder_of(tmp_path / "in", GOOD)], tmp_path / "store")
        assert open_dataset(tmp_path / "store", tmp_path / "cache").folder == tmp_path / "store"
        assert not (tmp_path / "cache").exists()

    @pytest.mark.parametrize("kind", ["folder", "zip"])
    def test_import_on_first_use(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / "my photos.zip"
        source = zip_of(path, GOOD) if kind == "zip" else folder_of(path, GOOD)
        cache = tmp_path / "cache"
        store = open_dataset(source, cache)
        assert len(store) == 64
        assert store.folder.parent == cache
        assert store.name.startswith("my_photos-")

        written = (store.folder / "images.npy").stat().st_mtime_ns
        again = open_dataset(source, cache)
        assert again.folder == store.folder
        assert (again.folder / "images.npy").stat().st_mtime_ns == written

    def test_changed_source_is_imported_again(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "in", GOOD)
        before = open_dataset(source, tmp_path / "cache")
        folder_of(source, {"more.png": encode(noise())})
        after = open_dataset(source, tmp_path / "cache")
        assert (len(before), len(after)) == (64, 65)
        assert before.folder != after.folder

    def test_archive_of_the_same_size_is_imported_again(self, tmp_path: Path) -> None:
        source = zip_of(tmp_path / "in.zip", GOOD)
        before = open_dataset(source, tmp_path / "cache")
        os.utime(source, (1, 1))
        assert open_dataset(source, tmp_path / "cache").folder != before.folder

    def test_what_a_killed_import_left_is_removed(self, tmp_path: Path) -> None:
        source, cache = zip_of(tmp_path / "a.zip", GOOD), tmp_path / "cache"
        name = open_dataset(source, cache).name
        shutil.rmtree(cache / name)
        (cache / f".partial-1-{name}").mkdir()
        (cache / ".partial-1-other").mkdir()
        open_dataset(source, cache)
        assert not (cache / f".partial-1-{name}").exists()
        assert (cache / ".partial-1-other").exists()

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match="does not exist"):
            open_dataset(tmp_path / "gone", tmp_path / "cache")


def test_many_files_go_through_processes_and_come_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bundles than are decoded alone: bad files, order and bytes are as without processes."""
    files = good_files(300) | {f"good/{row:03}.png": b"" for row in range(0, 300, 7)}
    source = zip_of(tmp_path / "in.zip", files)
    import_images([source], tmp_path / "processes")
    monkeypatch.setattr(data.decoding_pool, "_decode_in_processes", None)  # would fail if called
    with pytest.raises(TypeError):
        import_images([source], tmp_path / "alone")
    monkeypatch.setattr(data.decoding_pool, "ALONE_CHUNKS", 1000)
    import_images([source], tmp_path / "alone")
    assert contents(tmp_path / "processes") == contents(tmp_path / "alone")
