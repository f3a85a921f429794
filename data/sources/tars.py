"""A tar archive, gzipped or not: listed in one pass and read in a second, never unpacked."""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from data.codes import Rejected
from data.errors import UserError
from data.sources.members import (
    MAX_MEMBER_BYTES,
    Allowance,
    Archive,
    File,
    Member,
    check_archive_name,
    clean_name,
)

GZIP_SIGNATURE = b"\x1f\x8b"
MAX_EXTENSION_BYTES = 2**20
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


class TarSource(Archive):
    """The members of a tar in its own order: it may be compressed, so it is read front to back."""

    kind = "tar"

    def files(self) -> Iterator[File]:
        self._rest = self._infos()
        return super().files()

    def read(self, member: Member) -> bytes:
        """Read on to `member`: they are asked for in the order of the listing."""
        with self._damage():
            for info in self._rest:
                if info.offset == member.handle:
                    stream = self._tar.extractfile(info)
                    assert stream is not None  # only regular files are asked for
                    return stream.read()
            raise tarfile.ReadError("it changed during the import")

    def _list_archive(self) -> None:
        for info in self._infos():
            check_archive_name(self.name, info.name)
            if not info.isdir():
                self.listing.add(clean_name(info.name), info.offset, member_problem(info))
        self._rest = self._infos()

    def _infos(self) -> Iterator[tarfile.TarInfo]:
        """The headers, from the start. Between two, `self._tar` stands at the first one's bytes."""
        self._file.seek(0)
        zipped = self._file.read(2) == GZIP_SIGNATURE
        self._file.seek(0)
        plain = gzip.GzipFile(fileobj=self._file) if zipped else self._file
        metered = _Metered(plain, Allowance(self.name, os.fstat(self._file.fileno()).st_size))
        with (
            self._damage(),
            tarfile.open(fileobj=metered, mode="r|", tarinfo=_StrictTarInfo) as self._tar,
        ):
            while info := self._tar.next():
                self._tar.members.clear()  # type: ignore[attr-defined]  # it keeps every header
                yield info

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise UserError(
                f"{self.path} is no whole tar archive ({error}); is the download complete?"
            ) from error


class _Metered(io.BufferedIOBase):
    """A stream that counts what is read from it."""

    def __init__(self, stream: io.BufferedIOBase, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, size: int | None = -1, /) -> bytes:
        content = self._stream.read(size)
        self._allowance.spend(len(content))
        return content


class _StrictTarInfo(tarfile.TarInfo):
    """A header that is not forgiven: `tarfile` takes a damaged one for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not buf.strip(b"\0"):
                raise  # the end, indeed
            raise tarfile.ReadError(str(error)) from error
        if not info.isreg() and info.size > MAX_EXTENSION_BYTES:  # it is read into memory whole
            raise tarfile.ReadError("a header of more than 1 MB")
        return info


def member_problem(info: tarfile.TarInfo) -> Rejected | None:
    """What speaks against a member before it is read."""
    if info.issym() or info.islnk():
        return Rejected("LINK")
    if not info.isreg() or info.issparse():
        return Rejected("NOT_A_FILE")
    return Rejected("TOO_LARGE") if info.size > MAX_MEMBER_BYTES else None
