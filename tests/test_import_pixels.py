"""What the pixels of each kind of file become, against closed forms that Pillow has no part in."""

import pickle
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from data.codes import Rejected
from data.decode import FORMATS, decode_image
from tests.image_files import (
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    chunk,
    encode,
    exif,
    noise,
    pixel_bomb,
    raw_png,
)

RAMP = np.arange(64 * 64).reshape(64, 64)


def pixels(content: bytes, name: str = "a.png", allow_upscale: bool = False) -> NDArray[np.int64]:
    """The decoded image, [64, 64, 3], in a type that can be subtracted."""
    decoded = decode_image(content, name, allow_upscale).pixels
    assert decoded.shape == (3, 64, 64)
    assert decoded.dtype == np.uint8
    return decoded.transpose(1, 2, 0).astype(np.int64)


def flat(*colour: int) -> NDArray[np.int64]:
    return np.broadcast_to(np.array(colour), (64, 64, 3))


def test_64_pixels_pass_through() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    assert (pixels(raw_png(samples, RGB)) == samples).all()


def test_grey_is_repeated() -> None:
    assert (pixels(raw_png(RAMP % 256)) == (RAMP % 256)[..., np.newaxis]).all()


def test_16_bit_grey_is_rescaled_and_not_clipped() -> None:
    samples = RAMP * 16  # 0 to 65,520
    expected = np.round(samples / 257)
    assert (pixels(raw_png(samples, bits=16)) == expected[..., np.newaxis]).all()


def test_16_bit_colour_is_rescaled_and_not_clipped() -> None:
    """Pillow hands on the upper byte of each sample: at most one level from the exact value."""
    samples = np.stack([RAMP * 16, RAMP[::-1] * 16, np.full_like(RAMP, 65_535)], axis=2)
    error = pixels(raw_png(samples, RGB, bits=16)) - samples / 257
    assert np.abs(error).max() <= 1
    assert (
        pixels(raw_png(RAMP[..., np.newaxis].repeat(3, 2) % 256 * 257, RGB, bits=16))
        == (RAMP % 256)[..., np.newaxis]
    ).all()  # 8-bit values written with 16 bits are exact


def test_16_bit_grey_with_a_transparent_value() -> None:
    transparent = raw_png(RAMP * 16, bits=16, extra=chunk(b"tRNS", (320).to_bytes(2, "big")))
    expected = np.round(RAMP * 16 / 257)
    expected[RAMP * 16 == 320] = 255
    assert (pixels(transparent) == expected[..., np.newaxis]).all()
    assert "ALPHA" in decode_image(transparent, "a.png").notes


def test_transparency_is_laid_over_white() -> None:
    samples = np.zeros((64, 64, 4))
    samples[..., 0] = 200
    samples[..., 3] = RAMP % 256
    alpha = (RAMP % 256 / 255)[..., np.newaxis]
    expected = alpha * np.array([200, 0, 0]) + (1 - alpha) * 255
    assert np.abs(pixels(raw_png(samples, RGBA)) - expected).max() <= 1


def test_hidden_colours_do_not_show() -> None:
    """Fully transparent red is white, whatever is under it: at the edges of a resize, too."""
    samples = np.zeros((100, 100, 4))
    samples[..., 0] = 255
    assert (pixels(raw_png(samples, RGBA)) == 255).all()


def test_grey_with_transparency() -> None:
    samples = np.stack([np.full((64, 64), 100), np.full((64, 64), 51)], axis=2)
    assert np.abs(pixels(raw_png(samples, GREY_ALPHA)) - (100 * 0.2 + 255 * 0.8)).max() <= 1


def test_palette() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]])
    extra = chunk(b"PLTE", colours.astype(np.uint8).tobytes())
    assert (pixels(raw_png(RAMP % 4, PALETTE, extra=extra)) == colours[RAMP % 4]).all()


def test_transparent_palette_entries_are_white() -> None:
    colours = chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255))) + chunk(b"tRNS", bytes((0, 255)))
    expected = np.array([[255, 255, 255], [0, 0, 255]])[RAMP % 2]
    assert (pixels(raw_png(RAMP % 2, PALETTE, extra=colours)) == expected).all()


def test_transparent_colour_is_white() -> None:
    samples = np.where(RAMP[..., np.newaxis] % 2, (10, 20, 30), (40, 50, 60))
    extra = chunk(b"tRNS", bytes((0, 10, 0, 20, 0, 30)))
    expected = np.where(RAMP[..., np.newaxis] % 2, (255, 255, 255), (40, 50, 60))
    assert (pixels(raw_png(samples, RGB, extra=extra)) == expected).all()


def test_1_bit_is_black_and_white() -> None:
    bits = RAMP % 3 == 0
    content = encode(Image.fromarray(bits))
    assert (pixels(content) == 255 * bits[..., np.newaxis]).all()


def cmyk_jpeg(colour: tuple[int, int, int, int], transform: int) -> bytes:
    """A flat JPEG of four components that are stored inverted, as Adobe does.

    transform: what the marker says of them, 0 for CMYK and 2 for YCCK.
    """
    content = encode(Image.new("CMYK", (64, 64), colour), "JPEG", quality=100, subsampling=0)
    marker = content.index(b"Adobe") + 11
    assert content[marker] == 0
    return content[:marker] + bytes([transform]) + content[marker + 1 :]


def test_cmyk_with_the_inversion_of_adobe() -> None:
    ink = np.array((51, 102, 204)) / 255
    black = 51 / 255
    expected = 255 * (1 - ink) * (1 - black)
    assert np.abs(pixels(cmyk_jpeg((51, 102, 204, 51), 0), "a.jpg") - expected).max() <= 3


def test_ycck() -> None:
    """The JFIF equations give C, M and Y, once for the inversion and once for Adobe's."""
    y, cb, cr, black = 150, 100, 140, 51
    ink = np.array(
        (
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
        )
    )
    expected = (255 - ink) * (1 - black / 255)
    content = cmyk_jpeg((255 - y, 255 - cb, 255 - cr, black), 2)
    assert np.abs(pixels(content, "a.jpg") - expected).max() <= 3


EXACT: dict[str, dict[str, object]] = {
    "PNG": {},
    "TIFF": {},
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True},
}
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]])  # R G / B Y


@pytest.mark.parametrize("file_format", EXACT)
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda image: image),
        (2, lambda image: image[:, ::-1]),
        (3, lambda image: image[::-1, ::-1]),
        (4, lambda image: image[::-1]),
        (5, lambda image: image.transpose(1, 0, 2)),
        (6, lambda image: np.rot90(image, -1)),
        (7, lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda image: np.rot90(image)),
    ],
)
def test_orientation(
    file_format: str, orientation: int, upright: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> None:
    picture = CORNERS.repeat(32, 0).repeat(32, 1)
    image = Image.fromarray(picture.astype(np.uint8))
    content = encode(image, file_format, exif=exif(orientation), **EXACT[file_format])
    error = np.abs(pixels(content, "a") - upright(picture))
    assert error.max() <= 4
    turned = "ORIENTATION" in decode_image(content, "a").notes
    assert turned == (orientation != 1)


def test_orientation_comes_before_the_crop() -> None:
    """64 x 128, and the crop is the middle of what one sees."""
    samples = np.zeros((128, 64, 3))
    samples[32:96] = (10, 200, 30)
    image = Image.fromarray(samples.astype(np.uint8))
    assert (pixels(encode(image, exif=exif(6))) == (10, 200, 30)).all()


def test_damaged_exif_costs_only_the_orientation() -> None:
    content = encode(noise(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff damaged")
    decoded = decode_image(content, "a.png")
    assert decoded.pixels.tobytes() == decode_image(encode(noise()), "a.png").pixels.tobytes()


def test_unreadable_exif(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: Image.Image) -> Image.Exif:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", damaged)
    assert decode_image(encode(noise()), "a.png").notes == {"BAD_EXIF"}


@pytest.mark.parametrize(("width", "height"), [(64, 100), (100, 64), (65, 64), (64, 65)])
def test_crop_is_central(width: int, height: int) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    top, left = (height - 64) // 2, (width - 64) // 2
    expected = samples[top : top + 64, left : left + 64]
    assert (pixels(raw_png(samples, RGB)) == expected).all()


def test_resize_is_antialiased() -> None:
    """A checkerboard of single pixels is mid-grey; taking every second pixel makes it flat."""
    board = np.indices((128, 128)).sum(axis=0) % 2 * 255
    inner = pixels(raw_png(board))[4:-4, 4:-4]
    assert np.abs(inner - 127.5).max() <= 1


def test_resize_keeps_a_flat_colour() -> None:
    samples = np.broadcast_to((12, 200, 99), (200, 150, 3))
    assert (pixels(raw_png(samples, RGB)) == flat(12, 200, 99)).all()


def test_small_images_are_enlarged_on_request() -> None:
    content = raw_png(np.full((1, 1), 77))
    assert (pixels(content, allow_upscale=True) == 77).all()
    assert "UPSCALED" in decode_image(content, "a.png", allow_upscale=True).notes
    with pytest.raises(Rejected, match="TOO_SMALL"):
        decode_image(content, "a.png")


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(file_format: str) -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encode(red, file_format, save_all=True, append_images=[blue], **options)
    assert (pixels(content, "a") == flat(255, 0, 0)).all()
    assert "ANIMATED" in decode_image(content, "a").notes


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_jpeg_that_lacks_its_end_marker(progressive: bool, seed: int) -> None:
    """The marker alone costs no pixel; with two bytes more, some are missing."""
    whole = encode(noise(70, 90, seed), "JPEG", progressive=progressive)
    marked, unmarked = decode_image(whole, "a.jpg"), decode_image(whole[:-2], "a.jpg")
    assert marked.digest == unmarked.digest
    assert (marked.notes, unmarked.notes) == (set(), {"NO_EOI"})
    with pytest.raises(Rejected, match="TRUNCATED"):
        decode_image(whole[:-4], "a.jpg")


def test_end_marker_of_a_thumbnail_does_not_count() -> None:
    thumbnail = encode(noise(), "JPEG")
    comment = b"\xff\xfe" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    photo = encode(noise(), "JPEG")
    with_comment = photo[:2] + comment + photo[2:]
    assert decode_image(with_comment, "a.jpg").notes == set()
    assert decode_image(with_comment[:-2], "a.jpg").notes == {"NO_EOI"}


def test_photo_of_a_phone() -> None:
    """MPO: a JPEG with a second one behind it."""
    content = encode(noise(), "MPO", save_all=True, append_images=[noise(seed=1)])
    assert decode_image(content, "a.jpg").notes == {"ANIMATED"}


def test_pixel_bombs_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: ImageFile.ImageFile) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for side in (8_001, 12_000, 20_000):
        with pytest.raises(Rejected, match="TOO_MANY_PIXELS"):
            decode_image(pixel_bomb(side), "a.png")
    with pytest.raises(Rejected, match="decoded"):  # one that is small enough gets that far
        decode_image(pixel_bomb(8_000), "a.png")


def test_global_limits_of_pillow_stay() -> None:
    limits = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    decode_image(encode(noise()), "a.png")
    assert limits == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damage_is_never_more_than_a_rejection(file_format: str) -> None:
    """Cut and altered files: a picture or a reason, twice the same, and no other error."""
    draw = random.Random(file_format)
    whole = encode(noise(70, 80), file_format)
    for _ in range(60):
        content = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.randrange(1, 8)):
            if content:
                content[draw.randrange(min(len(content), draw.choice((64, len(whole)))))] = (
                    draw.randrange(256)
                )
        assert answer(bytes(content)) == answer(bytes(content))


def answer(content: bytes) -> str:
    try:
        return decode_image(content, "a.png").digest.hex()
    except Rejected as problem:
        return str(problem)


def test_a_rejection_survives_the_way_between_processes() -> None:
    problem = pickle.loads(pickle.dumps(Rejected("TOO_SMALL", "1x1")))
    assert str(problem) == str(Rejected("TOO_SMALL", "1x1"))
    assert "1x1" in problem.reason


def test_foreign_plugins_stay_unloaded() -> None:
    """The formats with the holes are not even imported."""
    script = (
        "import sys\n"
        "from data.decode import decode_image\n"
        "from data.codes import Rejected\n"
        "try: decode_image(b'%!PS-Adobe-3.0 EPSF-3.0', 'a.eps')\n"
        "except Rejected: pass\n"
        "print([m for m in sys.modules if m.startswith('PIL.') and m.endswith('Plugin')])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "PIL.PngImagePlugin" in loaded.stdout
    assert "Eps" not in loaded.stdout
    assert "Psd" not in loaded.stdout
