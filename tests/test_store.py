"""The store: what it promises to whoever opens, splits or verifies one."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import MissingError, UserError
from data.store import HEADER_BYTES, Store, write_store


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)


def make(folder: Path, images: NDArray[np.uint8]) -> Store:
    with write_store(folder, {"kind": "test"}) as (writer, _):
        for image in images:
            writer.append(image[np.newaxis])
    return Store(folder)


def heldout_pictures(store: Store) -> list[bytes]:
    return sorted(store.images[row].tobytes() for row in store.rows("heldout"))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    images = pictures(5)
    store = make(tmp_path / "a", images)
    assert (store.images == images).all()
    assert (np.load(tmp_path / "a" / "images.npy") == images).all()  # any numpy can
    assert len(store) == store.card["count"] == 5
    assert store.card["shape"] == [5, 3, 64, 64]
    assert store.labels is None
    store.verify()


def test_store_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with write_store(tmp_path / "a", {"kind": "test"}) as (writer, _):
            writer.append(pictures(5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a", pictures(2))
    with pytest.raises(UserError, match="exists already"):
        make(tmp_path / "a", pictures(3))
    assert len(Store(tmp_path / "a")) == 2


@pytest.mark.parametrize("place", [HEADER_BYTES, -1, HEADER_BYTES + 12_345])
def test_one_flipped_bit_is_found(place: int, tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(4))
    content = bytearray((tmp_path / "a" / "images.npy").read_bytes())
    content[place] ^= 1
    (tmp_path / "a" / "images.npy").write_bytes(content)
    damaged = Store(tmp_path / "a")  # opening reads no pixels
    with pytest.raises(UserError, match=r"images\.npy does not match the SHA-256"):
        damaged.verify()
    assert len(damaged) == len(store)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("images.npy", b""),
        ("images.npy", b"no numpy"),
        ("card.json", b"{"),
        ("card.json", b"[]"),
        ("card.json", b"{}"),
        ("card.json", b'{"count": 3}'),
    ],
)
def test_damaged_store_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    make(tmp_path / "a", pictures(2))
    (tmp_path / "a" / name).write_bytes(content)
    with pytest.raises(UserError, match="a is damaged"):
        Store(tmp_path / "a")


def test_cut_store_is_named(tmp_path: Path) -> None:
    make(tmp_path / "a", pictures(2))
    images = tmp_path / "a" / "images.npy"
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(UserError, match="a is damaged"):
        Store(tmp_path / "a")


def test_folder_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="bench data import"):
        Store(tmp_path)


def test_before_a_split_all_rows_train(tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(6))
    assert store.rows().tolist() == [0, 1, 2, 3, 4, 5]
    assert store.rows("heldout").tolist() == []


@pytest.mark.parametrize("heldout", [1, 7, 19])
def test_split_has_the_exact_count_and_no_overlap(heldout: int, tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(20))
    store.split(heldout)
    train, held = set(store.rows("train").tolist()), set(store.rows("heldout").tolist())
    assert len(held) == heldout
    assert train | held == set(range(20))
    assert not train & held


@pytest.mark.parametrize("seed", range(5))
def test_split_does_not_depend_on_the_order(seed: int, tmp_path: Path) -> None:
    images = pictures(30)
    order = random.Random(seed).sample(range(30), 30)
    one, two = make(tmp_path / "a", images), make(tmp_path / "b", images[order])
    for store in (one, two):
        store.split(8)
    assert heldout_pictures(one) == heldout_pictures(two)


def test_split_mostly_survives_added_images(tmp_path: Path) -> None:
    images = pictures(200)
    few, many = make(tmp_path / "a", images[:180]), make(tmp_path / "b", images)
    few.split(60)
    many.split(60)
    assert len(set(heldout_pictures(few)) & set(heldout_pictures(many))) >= 40


@pytest.mark.parametrize("seed", range(5))
def test_copies_go_to_the_same_side(seed: int, tmp_path: Path) -> None:
    """Some pictures two or three times, in any order: none is on both sides."""
    draw = random.Random(seed)
    rows = [row for row in range(20) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    draw.shuffle(rows)
    store = make(tmp_path / "a", pictures(20)[rows])
    store.split(6)
    sides = [{rows[row] for row in store.rows(part).tolist()} for part in ("train", "heldout")]
    assert len(store.rows("heldout")) == 6
    assert not sides[0] & sides[1]


def test_split_that_copies_make_impossible(tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(2)[[0, 0, 0, 1, 1, 1]])
    with pytest.raises(UserError, match="--dedupe"):
        store.split(2)
    assert not (tmp_path / "a" / "split.json").exists()


@pytest.mark.parametrize("heldout", [-1, 0, 6, 7])
def test_split_that_leaves_a_side_empty(heldout: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--heldout {heldout}"):
        make(tmp_path / "a", pictures(6)).split(heldout)


def test_later_split_replaces_an_earlier_one(tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(10))
    store.split(3)
    store.split(5)
    assert len(store.rows("heldout")) == 5
    assert json.loads((tmp_path / "a" / "split.json").read_text())["method"]


def test_damaged_split_is_named(tmp_path: Path) -> None:
    store = make(tmp_path / "a", pictures(4))
    (tmp_path / "a" / "split.json").write_text("{")
    with pytest.raises(UserError, match="split"):
        store.rows()
    store.split(2)  # a new one mends it
    assert len(store.rows()) == 2
