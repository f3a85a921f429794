"""From the bytes of one file to pixels uint8 [3, 64, 64], or to the reason why not.

The only place that decodes pictures: a file's answer here is its answer everywhere. Nothing of
Pillow's global state is changed.
"""

import hashlib
import io
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

# Registers exactly the allowed formats. Were one missing, Pillow would load all its plugins, and
# EPS, PSD, PDF and FITS are where the holes are.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from data.codes import Rejected
from data.store import RESOLUTION

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"

# A JPEG that lacks only its end marker decodes to the same pixels with either of these behind it;
# where some of the picture is missing, they are taken for it and give different ones.
JPEG_ENDINGS = (JPEG_END, b"\xaa" * 64 + JPEG_END)

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B"}

MAX_PIXELS = 64_000_000
MAX_ASPECT = 8

TRANSFORM = (
    "first frame; EXIF orientation; centre square; 16 bits / 257; transparency over white; RGB, "
    f"colour profiles ignored; Pillow LANCZOS, antialiased, to {RESOLUTION}x{RESOLUTION} where "
    "the square is of another size"
)

# What undoes each EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Decoded:
    """One picture.

    Attributes:
        pixels: uint8 [3, 64, 64].
        digest: SHA-256 of the pixels, by which copies are known.
        size: (width, height) of the file's picture, in pixels.
        notes: keys of `data.codes.NOTES`.
    """

    pixels: NDArray[np.uint8]
    digest: bytes
    size: tuple[int, int]
    notes: frozenset[str]


def decode_image(content: bytes, name: str, allow_upscale: bool = False) -> Decoded:
    """Decode a whole file and bring it to 64x64 RGB.

    `name` is only compared with the format that the bytes have.

    Raises:
        Rejected: the file cannot be used; never anything else.
    """
    if not content:
        raise Rejected("EMPTY_FILE")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is judged here
            return _decode(content, name, allow_upscale)
    except Rejected:
        raise
    except UnidentifiedImageError as error:
        known = content.startswith(SIGNATURES)
        raise Rejected("CORRUPT" if known else "NOT_AN_IMAGE") from error
    except Image.DecompressionBombError as error:
        raise Rejected("TOO_MANY_PIXELS") from error
    except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, EOFError and more
        raise Rejected(_damage(error, content), str(error)) from error


def _decode(content: bytes, name: str, allow_upscale: bool) -> Decoded:
    image = _open(content)
    notes = _judge_header(image, allow_upscale)
    notes |= _judge_file(image, content, name)
    image = _loaded(image, content, notes)
    size = image.size
    image = _upright(image, notes)
    image = _rgb(_centre_square(image), notes)
    if image.size != (RESOLUTION, RESOLUTION):
        image = image.resize((RESOLUTION, RESOLUTION), Image.Resampling.LANCZOS)
    pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))  # [3, 64, 64]
    return Decoded(pixels, hashlib.sha256(pixels.tobytes()).digest(), size, frozenset(notes))


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _judge_header(image: Image.Image, allow_upscale: bool) -> set[str]:
    """Refuse what the header alone condemns: before a pixel is decoded, and at no cost."""
    small, large = sorted(image.size)
    shape = f"{image.width}x{image.height}"
    layout = str(getattr(image, "tile", [])[:1])  # names the bits a sample, as in 'RGB;16B'
    if small * large > MAX_PIXELS:
        raise Rejected("TOO_MANY_PIXELS", shape)
    if large > MAX_ASPECT * small:
        raise Rejected("ASPECT", shape)
    if small < RESOLUTION and not allow_upscale:
        raise Rejected("TOO_SMALL", shape)
    if image.mode == "F":
        raise Rejected("FLOAT_IMAGE")
    if image.mode == "I":
        raise Rejected("INTEGER_IMAGE")
    if image.mode not in MODES or ";12" in layout:
        raise Rejected("COLOUR_MODE", image.mode)
    found = {
        "UPSCALED": small < RESOLUTION,
        "SIXTEEN_BIT": ";16" in layout,
        "CMYK": image.mode == "CMYK",
        "PALETTE": image.mode in ("P", "PA"),
        "GREY": image.mode in ("1", "L", "LA") or image.mode.startswith("I;16"),
        "ANIMATED": getattr(image, "is_animated", False),
    }
    return {code for code, true in found.items() if true}


def _judge_file(image: Image.Image, content: bytes, name: str) -> set[str]:
    """What can be told from the bytes and the name."""
    file_format = "JPEG" if image.format == "MPO" else image.format  # MPO: a phone's JPEG
    last_scan = content.rfind(b"\xff\xda")  # beyond the thumbnail, which has an end of its own
    found = {
        "EXT_MISMATCH": SUFFIXES.get(PurePosixPath(name).suffix.lower()) != file_format,
        "NO_EOI": file_format == "JPEG" and content.find(JPEG_END, last_scan) < 0,
        "NO_IEND": file_format == "PNG" and content.rfind(PNG_END) < 0,
        # Pillow turns a TIFF, and only a TIFF, while loading it; `_upright` does the others.
        "ORIENTATION": file_format == "TIFF" and image.getexif().get(EXIF_ORIENTATION) in UPRIGHT,
    }
    return {code for code, true in found.items() if true}


def _loaded(image: Image.Image, content: bytes, notes: set[str]) -> Image.Image:
    try:
        image.load()
        return image
    except OSError:
        if "NO_EOI" in notes:
            with suppress(OSError):
                first, second = (_open(content + ending) for ending in JPEG_ENDINGS)
                if first.tobytes() == second.tobytes():
                    return first
        raise


def _upright(image: Image.Image, notes: set[str]) -> Image.Image:
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except Exception:  # as many kinds as above: the picture itself is whole
        notes.add("BAD_EXIF")
        return image
    if orientation not in UPRIGHT:
        return image
    notes.add("ORIENTATION")
    return image.transpose(UPRIGHT[orientation])


def _centre_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    if image.size == (side, side):
        return image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _rgb(image: Image.Image, notes: set[str]) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _rgb_of_16_bits(image, notes)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    opacity, _ = image.getchannel("A").getextrema()
    if opacity == 255:
        return image.convert("RGB")
    notes.add("ALPHA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _rgb_of_16_bits(image: Image.Image, notes: set[str]) -> Image.Image:
    """Grey of 16 bits: 65,535 is 257 times 255. Pillow's own conversion clips instead."""
    values = np.asarray(image)  # uint16 [H, W]
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    transparent = values == image.info.get("transparency", -1)
    if transparent.any():
        notes.add("ALPHA")
        grey[transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _damage(error: Exception, content: bytes) -> str:
    """Tell a file that was cut short from one that was altered, as well as can be."""
    webp_bytes = int.from_bytes(content[4:8], "little") + 8 if content.startswith(b"RIFF") else 0
    cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return "TRUNCATED" if cut or len(content) < webp_bytes else "CORRUPT"
