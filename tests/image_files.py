"""Image files and archives that the tests build for themselves."""

import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def noise(width: int = 64, height: int = 64, seed: int = 0) -> Image.Image:
    """An RGB image that no codec makes small."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def raw_png(
    samples: NDArray[np.generic], colour: int = GREY, bits: int = 8, extra: bytes = b""
) -> bytes:
    """A PNG written by hand, [H, W] or [H, W, C]: Pillow has no part in it."""
    height, width = samples.shape[:2]
    big_endian = samples.astype(">u2" if bits == 16 else np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    return (
        PNG_SIGNATURE
        + png_header(width, height, colour, bits)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def png_header(width: int, height: int, colour: int = GREY, bits: int = 8) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def pixel_bomb(side: int) -> bytes:
    """A PNG of 65 bytes or so, whose header promises side x side pixels."""
    content = chunk(b"IDAT", zlib.compress(b""))
    return PNG_SIGNATURE + png_header(side, side) + content + chunk(b"IEND", b"")


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def good_files(count: int = 64, prefix: str = "good/") -> dict[str, bytes]:
    """`count` sound images of 64x64, small and all different, by name."""
    return {
        f"{prefix}{row:03}.png": encode(Image.new("RGB", (64, 64), (row % 256, row // 256, 7)))
        for row in range(count)
    }


def folder_of(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def zip_of(
    path: Path,
    files: Mapping[str, bytes] | Sequence[tuple[str | zipfile.ZipInfo, bytes]],
    method: int = zipfile.ZIP_STORED,
) -> Path:
    pairs = files.items() if isinstance(files, Mapping) else files
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that come twice, on purpose
        for name, content in pairs:
            archive.writestr(name, content)
    return path


def tar_of(
    path: Path, files: Mapping[str, bytes], *links: tarfile.TarInfo, mode: str = "w"
) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for link in links:
            archive.addfile(link)
    return path


def patch_zip(path: Path, name: str, **fields: int) -> Path:
    """Change fields of a member's records: flags, size, offset."""
    content = bytearray(path.read_bytes())
    central = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
    local = struct.unpack_from("<I", content, central + 42)[0]
    for field, value in fields.items():
        if field == "flags":
            struct.pack_into("<H", content, central + 8, value)
            struct.pack_into("<H", content, local + 6, value)
        elif field == "size":
            struct.pack_into("<I", content, central + 24, value)
        elif field == "offset":
            struct.pack_into("<I", content, central + 42, value)
        else:
            raise ValueError(field)
    path.write_bytes(content)
    return path
