"""What a page is made of. A section has parts, and the template knows each kind.

Text is plain text everywhere, and escaped by the template; only `Chart.svg` is markup, which
`benchmarks.report.charts` makes without a word of anybody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Of a section; `kind` is what the template goes by."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Cell:
    """Of a table: a text, perhaps the best of its column, perhaps with a smaller line below.

    Attributes:
        arm: whose colour goes before it.
        span: how many columns it takes.
    """

    text: str
    best: bool = False
    small: str = ""
    arm: int | None = None
    span: int = 1


@dataclass(frozen=True)
class Row:
    """The first cell is the row's heading."""

    cells: Sequence[Cell]
    style: str = ""


@dataclass(frozen=True)
class Table(Part):
    """A table with its caption.

    Attributes:
        style: "numeric" has its numbers on the right, "dense" little room between rows.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    style: str = "numeric"


@dataclass(frozen=True)
class Text(Part):
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    style: str = ""


@dataclass(frozen=True)
class Bullets(Part):
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Code(Part):
    """Lines for a shell, with what they are for."""

    kind: ClassVar[str] = "code"
    caption: str
    lines: Sequence[str]
    arm: int | None = None


@dataclass(frozen=True)
class Download(Part):
    """A file inside the page."""

    kind: ClassVar[str] = "download"
    label: str
    name: str
    uri: str


@dataclass(frozen=True)
class Judgement(Part):
    """The verdict: a status and a sentence, what else to know, and the rule behind it."""

    kind: ClassVar[str] = "judgement"
    status: str
    sentence: str
    notes: Sequence[str]
    rule: str


@dataclass(frozen=True)
class Heading(Part):
    """Of what follows within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, eq=False)
class Image:
    """Tiles side by side.

    Attributes:
        tiles: uint8 [N, 3, H, W].
        alt: what is to be seen.
    """

    tiles: Tensor
    alt: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        count, _, height, width = self.tiles.shape
        return count * width, height


@dataclass(frozen=True)
class Strip:
    """A row of a gallery: images side by side, with a label on the left and words below."""

    label: str
    image: Image
    below: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery(Part):
    """Strips one below the other; `heads` stand above the tiles."""

    kind: ClassVar[str] = "gallery"
    title: str
    caption: str
    strips: Sequence[Strip]
    heads: Sequence[str] = ()
    arm: int | None = None


@dataclass(frozen=True)
class Chart(Part):
    """A drawing of lines, with what it shows in words, and names for its colours and dashes."""

    kind: ClassVar[str] = "chart"
    svg: Markup
    alt: str
    caption: str
    arm: int | None = None
    names: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Key(Part):
    """A legend: which colour and dash is which."""

    kind: ClassVar[str] = "key"
    names: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Columns(Part):
    """Parts side by side, where there is room."""

    kind: ClassVar[str] = "columns"
    parts: Sequence[Part]


@dataclass(frozen=True)
class Section:
    """A heading, what to make of what follows, and the parts."""

    id: str
    title: str
    lead: str = ""
    parts: Sequence[Part] = field(default_factory=list)
