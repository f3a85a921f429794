"""Why a file is turned away, and what is worth knowing of one that is taken: a code for each."""

REJECTIONS = {
    "EMPTY_FILE": "it has 0 bytes",
    "NOT_AN_IMAGE": "it is no PNG, JPEG, WebP, BMP, GIF or TIFF image",
    "TRUNCATED": "the file ends before its picture does",
    "CORRUPT": "its bytes are damaged",
    "TOO_MANY_PIXELS": "its header promises too many pixels to be a photo",
    "TOO_SMALL": "it is smaller than 64 pixels; --allow-upscale takes it",
    "ASPECT": "so long and narrow that a square crop would lose nearly all of it",
    "FLOAT_IMAGE": "floating-point pixels have no agreed range; save it with 8 or 16 bits",
    "INTEGER_IMAGE": "32-bit or signed pixels have no agreed range; save it with 8 or 16 bits",
    "COLOUR_MODE": "its colours or bit depth are not supported; save it as RGB",
    "NESTED_ARCHIVE": "an archive inside the source; name it as a source of its own",
    "TOO_LARGE": "it is larger than 256 MB",
    "EXPANDS": "it expands more than 200 times: a decompression bomb",
    "ENCRYPTED": "it is encrypted; unpack the archive with its password first",
    "COMPRESSION": "only stored and deflated members are read; pack the archive again",
    "CORRUPT_MEMBER": "the archive's record of it is wrong",
    "DUPLICATE_MEMBER": "the archive has an earlier member of this name",
    "LINK": "links inside archives are not followed",
    "NOT_A_FILE": "it is a folder, pipe, socket or device",
    "DANGLING": "a link to nothing",
    "OUTSIDE": "a link that leaves its source; name the folder that it leads to as a source",
    "LINKED_FOLDER": "links to folders are not followed; name that folder as a source",
    "UNREADABLE": "it cannot be read",
    "CHANGED_DURING_SCAN": "it changed or vanished during the import",
}

NOTES = {
    "EXT_MISMATCH": "the suffix names another format than the bytes",
    "NO_EOI": "a JPEG without its end marker; its picture is whole",
    "NO_IEND": "a PNG without its end chunk",
    "BAD_EXIF": "unreadable EXIF: its orientation was ignored",
    "ANIMATED": "several frames: the first was taken",
    "ORIENTATION": "turned upright as its EXIF says",
    "ALPHA": "transparent parts were laid over white",
    "SIXTEEN_BIT": "16 bits a channel, rescaled to 8",
    "CMYK": "print colours, converted without their profile",
    "PALETTE": "a palette, converted to RGB",
    "GREY": "grey, repeated in all three channels",
    "UPSCALED": "smaller than 64 pixels, enlarged",
}


class Rejected(Exception):
    """One file that is not used. Never fatal: it is listed, counted, and the import goes on."""

    def __init__(self, code: str, detail: str = "") -> None:
        """`code` is a key of REJECTIONS; `detail` says what exactly was found."""
        super().__init__(code, detail)  # both, so that it survives pickling between processes
        self.code = code
        self.reason = f"{REJECTIONS[code]} ({detail})" if detail else REJECTIONS[code]

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"
