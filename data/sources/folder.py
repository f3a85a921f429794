"""A folder of images, nested or not."""

import os
import stat
from pathlib import Path

from data.codes import Rejected
from data.errors import UserError
from data.sources.members import (
    MAX_MEMBER_BYTES,
    SUFFIXES,
    Member,
    Source,
    is_litter,
    suffix_of,
)

Fingerprint = tuple[int, int, int]

# Without O_NONBLOCK, opening a pipe waits for its writer: for ever, if there is none.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FolderSource(Source):
    """Every regular file below a folder, in the order of the relative names."""

    kind = "folder"

    def state(self) -> list[tuple[str, Fingerprint | None]]:
        """Names, sizes and times: another list once anything in the folder changes."""
        members = [*self.listing.members, self.listing.dataset_json]
        return [(m.name, m.handle and m.handle[1]) for m in members if m]

    def read(self, member: Member) -> bytes:
        path, listed = member.handle
        try:
            with open(os.open(path, OPEN_FLAGS), "rb") as file:
                before = fingerprint(os.fstat(file.fileno()))
                content = file.read() if before == listed else b""
                if fingerprint(os.fstat(file.fileno())) != listed:
                    raise Rejected("CHANGED_DURING_SCAN")
                return content
        except FileNotFoundError as error:
            raise Rejected("CHANGED_DURING_SCAN", "it vanished") from error
        except OSError as error:
            raise Rejected("UNREADABLE", error.strerror or "") from error

    def _list(self) -> None:
        self._root = Path(os.path.realpath(self.path))
        folders = [""]
        while folders:
            folders += self._list_folder(folders.pop())
        self.listing.members.sort(key=lambda member: member.name)

    def _list_folder(self, folder: str) -> list[str]:
        """List one folder by its relative name (`` or `a/b/`), and return the folders in it."""
        try:
            with os.scandir(self._root / folder) as entries:
                return [f"{folder}{entry.name}/" for entry in entries if self._add(entry, folder)]
        except OSError as error:
            if not folder:
                raise UserError(f"{self.path}: {error.strerror}") from error
            self.listing.reject(folder, Rejected("UNREADABLE", error.strerror or ""))
            return []

    def _add(self, entry: os.DirEntry[str], folder: str) -> bool:
        """Put one entry into the listing; or return True where it is a folder to look into."""
        name = folder + entry.name
        if is_litter(entry.name):
            self.listing.add(name)
        elif not entry.is_dir(follow_symlinks=False):
            self._add_file(entry, name)
        elif suffix_of(name) in SUFFIXES:
            self.listing.reject(name, Rejected("NOT_A_FILE", "a folder"))
        else:
            return True
        return False

    def _add_file(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            state = os.stat(entry.path)  # of a link, what it leads to
        except OSError as error:
            code = "DANGLING" if entry.is_symlink() else "UNREADABLE"
            self.listing.add(name, problem=Rejected(code, error.strerror or ""))
            return
        if entry.is_symlink() and stat.S_ISDIR(state.st_mode):
            self.listing.reject(name, Rejected("LINKED_FOLDER"))
        else:
            self.listing.add(name, (entry.path, fingerprint(state)), self._problem(entry, state))

    def _problem(self, entry: os.DirEntry[str], state: os.stat_result) -> Rejected | None:
        """What speaks against a file before it is opened: opening a device may do anything."""
        if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(self._root):
            return Rejected("OUTSIDE")
        if not stat.S_ISREG(state.st_mode):
            return Rejected("NOT_A_FILE")
        return Rejected("TOO_LARGE") if state.st_size > MAX_MEMBER_BYTES else None


def fingerprint(state: os.stat_result) -> Fingerprint:
    """Size in bytes, time of change in ns, inode: another one for a file that was written again."""
    return state.st_size, state.st_mtime_ns, state.st_ino
