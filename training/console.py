"""What a run says: a bar where someone watches, plain lines where nobody does, both in log.txt."""

import sys
from pathlib import Path
from typing import Self

from tqdm import tqdm

from data.files import storage_errors
from training.world import by_writer, is_writer


class Console:
    """Lines and progress of one run, on stderr and in its log."""

    def __init__(self, log: Path, total: int) -> None:
        """Progress goes to `total` images."""
        self._log = log
        self._bar = tqdm(
            total=total,
            unit="img",
            unit_scale=True,
            smoothing=0.05,
            dynamic_ncols=True,
            disable=not (is_writer() and sys.stderr.isatty()),
        )

    @by_writer
    def say(self, line: str) -> None:
        with storage_errors(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        tqdm.write(line, file=sys.stderr)

    def advance(self, nimg: int) -> None:
        """Move the bar to `nimg` images."""
        self._bar.update(nimg - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
