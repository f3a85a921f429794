"""The data sets that commands take: stores, archives imported on first use, the drawn faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.console import file_progress, item_progress, say
from data.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.store import Store

DATASETS = Path("datasets")
FACES, FACES_SEED = 20_000, 0
HELDOUT_FACES = 10_000


def open_data(source: Path) -> "Store":
    """The data set that was asked for; an archive or a folder is imported on its first use.

    Raises:
        UserError: it cannot be used, or its pixels are not what they were.
    """
    from data.importer import open_dataset

    with file_progress() as progress:
        store = open_dataset(source, DATASETS / "imported", progress)
    if store.folder != source:  # an archive or a folder: say what became of its files
        say("\n".join([f"imported into {store.folder}", *import_lines(store.card)]))
    store.verify()
    return store


def training_data(source: Path | None, share: float, seed: int) -> "Store":
    """What a run trains on: a share of a data set's training images, drawn by its seed."""
    store = open_data(source) if source else training_faces()
    if share == 1:
        return store
    return store.subset(max(1, round(share * len(store.rows("train")))), seed)


def reopen(source: Path, data: "Mapping[str, Any]") -> "Store":
    """What a run was trained on, by the `data` of its configuration; `source` is where it is now.

    Raises:
        UserError: there are not as many images as the run's subset had.
    """
    store = open_data(source)
    return store.subset(**data["subset"]) if "subset" in data else store


def drawn_faces(name: str, count: int, seed: int, why: str) -> "Store":
    """The data set `name` of drawn faces, drawn on first use."""
    from data.faces import write_faces
    from data.store import ensure_store

    def draw(folder: Path) -> None:
        say(f"{why}: drawing {count:,} faces (seed {seed}) into {folder}")
        with item_progress("drawn", count, "face") as progress:
            write_faces(folder, count, seed, progress)

    store = ensure_store(DATASETS / name, draw)
    store.verify()
    return store


def training_faces() -> "Store":
    """The drawn faces, which stand in where no data is named."""
    store = drawn_faces("faces", FACES, FACES_SEED, "no --data")
    say(f"no --data: training on {len(store):,} drawn faces, {store.folder}")
    return store


def heldout_faces(trained_on: "Store") -> "Store":
    """Faces of the next seed: what a model of drawn faces has not seen.

    Raises:
        UserError: something else is in their place.
    """
    seed = trained_on.card["seed"] + 1
    store = drawn_faces(f"faces-seed{seed}", HELDOUT_FACES, seed, "to measure against")
    found = tuple(store.card.get(key) for key in ("kind", "seed", "count"))
    if found != ("faces", seed, HELDOUT_FACES):
        raise UserError(
            f"{store.folder} should hold {HELDOUT_FACES:,} drawn faces of seed {seed}: move away "
            "what is there, and they are drawn anew"
        )
    return store


def resized_note(store: "Store") -> str:
    """What must be said beside a number of imported images that were not 64x64; else nothing."""
    from data.store import RESOLUTION

    sizes = store.card.get("sizes", {})
    other = sum(sizes.values()) - sizes.get(f"{RESOLUTION}x{RESOLUTION}", 0)
    if not other:
        return ""
    return f"{store.name}: {other:,} images cropped and resized to {RESOLUTION} px on import"


def import_lines(card: dict[str, Any]) -> list[str]:
    """What is worth knowing of an import, a line a kind; nothing for other data sets."""
    if card.get("kind") != "import":
        return []
    from data.codes import NOTES, REJECTIONS

    files = card["files"]
    lines = [f"source      {source['name']} ({source['kind']})" for source in card["sources"]]
    lines.append("sizes       " + counted(card["sizes"]))
    for title, meanings in (("rejected", REJECTIONS), ("notes", NOTES)):
        for code, count in card[title].items():
            lines.append(f"{title:<11} {count:,} {code}: {meanings[code]}")
    lines += [f"ignored     {n:,} {kind}" for kind, n in card["ignored"].items()]
    if card["duplicates"]:
        kept = "dropped" if files["duplicates_dropped"] else "kept; --dedupe drops them"
        lines.append(f"duplicates  {card['duplicates']:,} {kept}")
    if card["name_collisions"]:
        lines.append(f"names       {card['name_collisions']:,} differ only in case or Unicode form")
    if files["not_read"]:
        lines.append(f"not read    {files['not_read']:,} files beyond --limit")
    return lines


def counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
