"""What every source has in common: names, what is an image by its name, and how much is read."""

import hashlib
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from data.codes import Rejected
from data.decode import SUFFIXES
from data.errors import UserError
from data.nvidia_zip import DATASET_JSON, parse_labels

# Images that are not read. Listed, so that they are rejected aloud and not passed over.
FOREIGN_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("avif", "eps", "exr", "hdr", "heic", "heif", "ico", "j2k", "jp2", "jxl"),
        *("pbm", "pgm", "pnm", "ppm", "psd", "svg", "svgz", "tga"),
    )
)
ARCHIVE_SUFFIXES = frozenset((".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"))
LITTER = frozenset(("__macosx", "desktop.ini", "ehthumbs.db", "thumbs.db"))

MAX_MEMBER_BYTES = 256 * 2**20
MAX_RATIO = 200
SMALL_MEMBER_BYTES = 4 * 2**20  # a flat BMP shrinks more than 200 times and is no bomb
SMALL_TOTAL_BYTES = 2**30


@dataclass(frozen=True)
class File:
    """One file of a source, read.

    Attributes:
        content: its bytes, or why there are none.
        label: its class, where the source has labels.
    """

    source: str
    name: str
    content: bytes | Rejected
    label: int | None = None


@dataclass(frozen=True)
class Member:
    """One file of a source, not yet read. `handle` is what its source reads it by."""

    name: str
    handle: Any = None
    problem: Rejected | None = None


@dataclass
class Listing:
    """What a source holds, told from names alone.

    Attributes:
        members: what will be read, or is rejected already, in order.
        ignored: how many files were passed over, by kind.
        collisions: how many names differ from an earlier one only in case or Unicode form.
        dataset_json: the file with the labels, at the top of the source.
    """

    members: list[Member] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    collisions: int = 0
    dataset_json: Member | None = None
    _names: set[str] = field(default_factory=set)
    _folded: set[str] = field(default_factory=set)

    def add(self, name: str, handle: Any = None, problem: Rejected | None = None) -> None:
        """Sort one file in: an image, an archive inside the source, or something to pass over."""
        suffix = suffix_of(name)
        if is_litter(name):
            self.ignored["hidden or system files"] += 1
        elif name == DATASET_JSON:
            self.dataset_json = Member(name, handle, problem)
        elif suffix in ARCHIVE_SUFFIXES:
            self.reject(name, Rejected("NESTED_ARCHIVE"))
        elif suffix not in SUFFIXES and suffix not in FOREIGN_SUFFIXES:
            self.ignored["other files"] += 1
        elif name in self._names:
            self.reject(name, Rejected("DUPLICATE_MEMBER"))
        else:
            self._names.add(name)
            self._note_collision(name)
            self.members.append(Member(name, handle, problem))

    def reject(self, name: str, problem: Rejected) -> None:
        self.members.append(Member(name, problem=problem))

    def _note_collision(self, name: str) -> None:
        """Count names that macOS or Windows would take for one: `é` in two forms, `A` and `a`."""
        folded = unicodedata.normalize("NFC", name).casefold()
        self.collisions += folded in self._folded
        self._folded.add(folded)


class Source(ABC):
    """A folder or an archive, listed when it is made, and read once, in order.

    Attributes:
        kind: `folder`, `zip` or `tar`.
        name: the base name, printable.
        labels: class by name, from a dataset.json.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = printable(path.resolve().name)
        self.listing = Listing()
        self.labels: dict[str, int] | None = None
        self._closing = ExitStack()
        try:
            self._list()
            self._read_labels()
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def files(self) -> Iterator[File]:
        """Read the members one by one, in the order of the listing. Never raises Rejected."""
        labels = self.labels or {}
        for member in self.listing.members:
            yield File(self.name, member.name, self._content(member), labels.get(member.name))

    def digest(self) -> str | None:
        """SHA-256 of an archive; a folder has none."""
        return None

    @abstractmethod
    def _list(self) -> None:
        """Fill the listing.

        Raises:
            UserError: the source as a whole cannot be used.
        """

    @abstractmethod
    def read(self, member: Member) -> bytes:
        """The bytes of one member.

        Raises:
            Rejected: it cannot be read.
        """

    def _content(self, member: Member) -> bytes | Rejected:
        try:
            if member.problem:
                raise member.problem
            return self.read(member)
        except Rejected as problem:
            return problem

    def _read_labels(self) -> None:
        if not self.listing.dataset_json:
            return
        content = self._content(self.listing.dataset_json)
        if isinstance(content, Rejected):
            raise UserError(f"{self.name}: {DATASET_JSON}: {content.reason}")
        listed = {member.name for member in self.listing.members}
        usable = {member.name for member in self.listing.members if not member.problem}
        self.labels = parse_labels(content, listed, usable, self.name)


class Archive(Source):
    """A source in one file. It stays open, so that what is hashed is what was read."""

    def digest(self) -> str:
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def _list(self) -> None:
        self._file = self._closing.enter_context(self.path.open("rb"))
        self._list_archive()

    @abstractmethod
    def _list_archive(self) -> None:
        """Fill the listing from `self._file`."""


class Allowance:
    """How many bytes one archive may expand to: enforced on bytes read, whatever headers say."""

    def __init__(self, archive: str, size_bytes: int) -> None:
        self._archive = archive
        self._left = max(SMALL_TOTAL_BYTES, MAX_RATIO * size_bytes)

    def spend(self, count: int) -> None:
        """Raises UserError: the allowance is used up."""
        self._left -= count
        if self._left < 0:
            raise UserError(
                f"{self._archive} expands more than {MAX_RATIO} times: a decompression bomb"
            )


def clean_name(name: str) -> str:
    """A relative name without `.` parts and empty ones: `./faces//1.png` is `faces/1.png`."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def check_archive_name(archive: str, name: str) -> None:
    """Refuse an archive that tries to write outside a folder.

    Nothing is ever written by a member's name here; but whoever packed such an archive meant harm.

    Raises:
        UserError: the name is absolute, has a drive letter, a `..` part or a NUL.
    """
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or parts[0][1:] == ":" or ".." in parts or "\0" in name:
        raise UserError(
            f"{archive} is refused: its member '{printable(name)}' has an UNSAFE_NAME, which "
            "leads out of the folder that one would unpack it into"
        )


def is_litter(name: str) -> bool:
    """Hidden files, and what macOS and Windows leave in folders."""
    return any(part.startswith(".") or part.casefold() in LITTER for part in name.split("/"))


def suffix_of(name: str) -> str:
    """`.jpg` for `faces/1.JPG`, and `` where there is none."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return dot + suffix.lower() if stem else ""


def printable(name: str) -> str:
    """A name safe in a terminal, a table and UTF-8: what is not printable is escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in name
    )
