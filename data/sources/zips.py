"""A zip archive, read as streams into memory: nothing of it is written by its own name."""

import itertools
import os
import stat
import struct
import zipfile
import zlib

from data.codes import Rejected
from data.errors import UserError
from data.sources.members import (
    MAX_MEMBER_BYTES,
    MAX_RATIO,
    SMALL_MEMBER_BYTES,
    Allowance,
    Archive,
    Member,
    check_archive_name,
    clean_name,
)

MAX_MEMBERS = 5_000_000
LOCAL_HEADER_BYTES = 30
ENCRYPTED_FLAG = 1

# Asked for n bytes, these two decompress no more than that; the others do.
BOUNDED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What `zipfile` raises for a bad archive, and for a bad member.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


class ZipSource(Archive):
    """The members of a zip in the order of their names, so that a folder and its zip agree."""

    kind = "zip"

    def read(self, member: Member) -> bytes:
        info: zipfile.ZipInfo = member.handle
        try:
            with self._zip.open(info) as stream:
                content = stream.read(info.file_size + 1)  # bounds what is decompressed, too
        except DAMAGE as error:
            raise Rejected("CORRUPT_MEMBER", str(error)) from error
        self._allowance.spend(len(content))
        if len(content) != info.file_size:
            raise Rejected("CORRUPT_MEMBER", f"{info.file_size:,} bytes are {len(content):,}")
        return content

    def _list_archive(self) -> None:
        try:
            self._zip = self._closing.enter_context(zipfile.ZipFile(self._file))
        except DAMAGE as error:
            raise UserError(
                f"{self.path} is no whole zip archive ({error}); is the download complete?"
            ) from error
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise UserError(f"{self.path} has {len(infos):,} members; {MAX_MEMBERS:,} are the most")
        for info in infos:
            check_archive_name(self.name, info.orig_filename)
        self._refuse_overlaps(infos)
        self._allowance = Allowance(self.name, os.fstat(self._file.fileno()).st_size)
        for info in sorted(infos, key=lambda info: clean_name(info.filename)):
            if not info.is_dir():
                self.listing.add(clean_name(info.filename), info, member_problem(info))

    def _refuse_overlaps(self, infos: list[zipfile.ZipInfo]) -> None:
        """Members that share bytes make a small file expand without end: older Pythons read it."""
        ordered = sorted(infos, key=lambda info: info.header_offset)
        starts = [info.header_offset for info in ordered] + [self._zip.start_dir]
        for info, (start, following) in zip(ordered, itertools.pairwise(starts), strict=True):
            if start + LOCAL_HEADER_BYTES + info.compress_size > following:
                raise UserError(
                    f"{self.name} is refused: its members overlap, as in a decompression bomb"
                )


def member_problem(info: zipfile.ZipInfo) -> Rejected | None:
    """What speaks against a member before it is read."""
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was packed on Windows
    if kind == stat.S_IFLNK:
        return Rejected("LINK")
    if kind not in (0, stat.S_IFREG):
        return Rejected("NOT_A_FILE")
    if info.flag_bits & ENCRYPTED_FLAG:
        return Rejected("ENCRYPTED")
    if info.compress_type not in BOUNDED_METHODS:
        return Rejected("COMPRESSION")
    if info.file_size > MAX_MEMBER_BYTES:
        return Rejected("TOO_LARGE")
    if info.file_size > max(SMALL_MEMBER_BYTES, MAX_RATIO * info.compress_size):
        return Rejected("EXPANDS")
    return None
