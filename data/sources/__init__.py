"""Where images come from: folders, zip archives and tar archives, behind one interface."""

from pathlib import Path

from data.decode import SUFFIXES
from data.errors import MissingError, UserError
from data.sources.folder import FolderSource
from data.sources.members import Source, suffix_of
from data.sources.tars import GZIP_SIGNATURE, TarSource
from data.sources.zips import ZipSource

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
TAR_SIGNATURE = b"ustar"
TAR_SIGNATURE_OFFSET = 257


def open_source(path: Path) -> Source:
    """Open and list a folder or an archive; use it in a `with` block.

    Raises:
        MissingError: there is nothing at `path`.
        UserError: it is no folder, zip or tar, it is damaged, or it means harm.
    """
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise MissingError(f"{path} does not exist")
    if not path.is_file():
        raise UserError(f"{path} is no folder, zip or tar")
    return _archive_class(path)(path)


def _archive_class(path: Path) -> type[ZipSource] | type[TarSource]:
    """By its first bytes; by its name where they say nothing, so that the damage gets a name."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    suffix = suffix_of(path.name)
    if head.startswith(ZIP_SIGNATURES):
        return ZipSource
    if head.startswith(GZIP_SIGNATURE) or head[TAR_SIGNATURE_OFFSET:].startswith(TAR_SIGNATURE):
        return TarSource
    if suffix == ".zip":
        return ZipSource
    if suffix in (".tar", ".tgz", ".gz"):
        return TarSource
    hint = "; name the folder that it is in" if suffix in SUFFIXES else ""
    raise UserError(f"{path} is no folder, zip or tar{hint}")
