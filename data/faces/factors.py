"""The factors of a drawn face: what varies, between which ends, how often, and what it does.

The declaration is the distribution: `sample_factors` walks the fields in order, and the table of
docs/faces.md is printed from them. Left and right are the viewer's. Lengths, widths and strengths
run from 0 to 1, hues in degrees from 0 to 360, positions from -1 (left, down) to 1 (right, up).
"""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from data.faces.distributions import (
    Bell,
    Choice,
    Distribution,
    FromSwatch,
    Leaning,
    Same,
    Seed,
    Skewed,
    Sometimes,
    Swatch,
    Uniform,
)

# Natural colours are over half of the hair, the dyed ones of anime are the rest.
HAIR_SWATCHES = {
    "black": Swatch(0.14, hue=(235, 25), saturation=(0.05, 0.30), lightness=(0.13, 0.22)),
    "brown": Swatch(0.20, hue=(22, 7), saturation=(0.30, 0.55), lightness=(0.24, 0.42)),
    "blond": Swatch(0.17, hue=(44, 5), saturation=(0.60, 0.90), lightness=(0.58, 0.74)),
    "orange": Swatch(0.07, hue=(22, 5), saturation=(0.65, 0.85), lightness=(0.48, 0.60)),
    "red": Swatch(0.06, hue=(356, 5), saturation=(0.50, 0.75), lightness=(0.36, 0.50)),
    "pink": Swatch(0.10, hue=(340, 8), saturation=(0.55, 0.85), lightness=(0.68, 0.80)),
    "violet": Swatch(0.07, hue=(275, 10), saturation=(0.30, 0.55), lightness=(0.42, 0.68)),
    "blue": Swatch(0.08, hue=(215, 12), saturation=(0.40, 0.75), lightness=(0.38, 0.68)),
    "green": Swatch(0.05, hue=(150, 18), saturation=(0.30, 0.55), lightness=(0.38, 0.66)),
    "silver": Swatch(0.06, hue=(225, 30), saturation=(0.05, 0.22), lightness=(0.72, 0.88)),
}


def factor(distribution: Distribution, default: Any, does: str) -> Any:
    """A field of Factors: its distribution, its value in the plain face, and what it does."""
    return field(default=default, metadata={"distribution": distribution, "does": does})


@dataclass(frozen=True)
class Factors:
    """Everything that a drawn face depends on. `Factors()` is a plain face to start from."""

    # The person. Femininity comes first because other factors lean on it.
    femininity: float = factor(
        Sometimes(0.28, 0.15, Bell(0.85, 0.10, 0.5, 1)),
        0.8,
        "jaw and neck from broad to slender, and taller eyes",
    )
    face_width: float = factor(Bell(0.5, 0.2, 0, 1), 0.5, "width of the face")
    chin_sharpness: float = factor(Uniform(0, 1), 0.5, "chin from round to pointed")
    skin_tone: float = factor(Skewed(0, 1, 2.2), 0.12, "skin from pale to dark")
    blush: float = factor(Uniform(0, 1), 0.5, "pink of the cheeks")
    head_yaw: float = factor(Bell(0, 0.4, -1, 1), 0.0, "turn of the head to the left or right")
    head_tilt: float = factor(Bell(0, 5, -14, 14), 0.0, "lean of the head, degrees clockwise")

    # Hair.
    hair_hue: float = factor(FromSwatch(HAIR_SWATCHES, "hue", 0, 360), 22.0, "hue of the hair")
    hair_saturation: float = factor(
        FromSwatch(HAIR_SWATCHES, "saturation", 0.05, 0.9), 0.5, "saturation of the hair"
    )
    hair_lightness: float = factor(
        FromSwatch(HAIR_SWATCHES, "lightness", 0.13, 0.88), 0.4, "lightness of the hair"
    )
    hair_style: str = factor(
        Choice(
            {
                "loose": 0.34,
                "bob": 0.16,
                "twin tails": 0.14,
                "ponytail": 0.09,
                "side tail": 0.06,
                "braids": 0.08,
                "buns": 0.07,
                "spiky": 0.06,
            },
            masculine={"loose": 0.34, "bob": 0.08, "ponytail": 0.06, "spiky": 0.52},
        ),
        "loose",
        "how the hair is worn",
    )
    hair_length: float = factor(Leaning(0.4), 0.6, "hair from ear to beyond the frame")
    hair_volume: float = factor(Bell(0.5, 0.25, 0, 1), 0.5, "hair from close to full")
    hair_wave: float = factor(Skewed(0, 1, 1.6), 0.2, "texture from straight to wavy")
    hair_shine: float = factor(Uniform(0, 1), 0.6, "brightness of the shine on the hair")
    hairline_sharpness: float = factor(
        Uniform(0, 1), 0.8, "edge of the hair on the face from soft to crisp"
    )
    fringe: str = factor(
        Choice(
            {
                "feathered": 0.30,
                "blunt": 0.20,
                "swept": 0.20,
                "parted": 0.16,
                "jagged": 0.08,
                "open": 0.06,
            },
            masculine={
                "feathered": 0.20,
                "blunt": 0.04,
                "swept": 0.26,
                "parted": 0.12,
                "jagged": 0.28,
                "open": 0.10,
            },
        ),
        "feathered",
        "how the hair falls over the forehead (open: it does not)",
    )
    fringe_length: float = factor(Uniform(0, 1), 0.5, "fringe from the forehead to the eyes")
    parting: float = factor(Uniform(-1, 1), -0.4, "where the hair parts, left to right")
    ahoge: float = factor(
        Sometimes(0.7, 0, Uniform(0.3, 1)), 0.0, "height of a lone strand that stands up"
    )
    strand_seed: int = factor(Seed(0, 9_999), 0, "the irregularities of the locks")

    # Eyes. The right eye follows the left one nearly always: real faces differ in few cases.
    eye_left_hue: float = factor(Uniform(0, 360), 210.0, "hue of the left iris")
    eye_right_hue: float = factor(
        Same("eye_left_hue", 0.97, Uniform(0, 360)), 210.0, "hue of the right iris"
    )
    eye_saturation: float = factor(Uniform(0.25, 0.9), 0.65, "saturation of both irises")
    eye_lightness: float = factor(Uniform(0.25, 0.6), 0.42, "lightness of both irises")
    eye_left_size: float = factor(Bell(1, 0.08, 0.8, 1.2), 1.0, "size of the left eye")
    eye_right_size: float = factor(
        Same("eye_left_size", 0.97, Uniform(0.8, 1.2)), 1.0, "size of the right eye"
    )
    eye_left_openness: float = factor(
        Sometimes(0.05, 0, Bell(0.88, 0.12, 0.4, 1)), 0.95, "left eye from closed to wide open"
    )
    eye_right_openness: float = factor(
        Same("eye_left_openness", 0.96, Sometimes(0.5, 0, Uniform(0.4, 1))),
        0.95,
        "right eye from closed to wide open",
    )
    eye_left_height: float = factor(Bell(0, 0.35, -1, 1), 0.0, "left eye from low to high")
    eye_right_height: float = factor(
        Same("eye_left_height", 0.97, Uniform(-1, 1)), 0.0, "right eye from low to high"
    )
    eye_spacing: float = factor(Bell(0.5, 0.18, 0, 1), 0.5, "distance between the eyes")
    eye_slant: float = factor(Bell(0.1, 0.45, -1, 1), 0.1, "outer corners from low to high")
    gaze: float = factor(Bell(0, 0.4, -1, 1), 0.0, "look to the left or right")
    lashes: float = factor(Leaning(0.5), 0.6, "weight of the upper lashes")

    # Brows, nose, mouth.
    brow_angle: float = factor(Bell(0, 0.45, -1, 1), 0.0, "brows from worried (-1) to stern (1)")
    brow_thickness: float = factor(Leaning(-0.5), 0.4, "brows from thin to thick")
    brow_height: float = factor(Bell(0.5, 0.22, 0, 1), 0.5, "brows from low to high")
    nose_size: float = factor(Uniform(0, 1), 0.4, "nose from none to large")
    mouth_shape: str = factor(
        Choice({"smile": 0.46, "neutral": 0.20, "smirk": 0.10, "cat": 0.11, "frown": 0.13}),
        "smile",
        "line of the lips",
    )
    mouth_openness: float = factor(
        Sometimes(0.55, 0, Uniform(0.1, 1)), 0.0, "mouth from closed to wide open"
    )
    mouth_width: float = factor(Bell(0.5, 0.2, 0, 1), 0.5, "width of the mouth")
    mouth_clarity: float = factor(Uniform(0.3, 1), 0.9, "contrast of the mouth with the skin")

    # Light, clothes, things worn, background.
    shading: float = factor(Uniform(0, 1), 0.6, "strength of the shadows on skin and hair")
    light: float = factor(Uniform(-1, 1), -0.5, "where the light comes from, left to right")
    clothes: str = factor(
        Choice({"round": 0.30, "shirt": 0.25, "sailor": 0.25, "hood": 0.20}),
        "sailor",
        "neckline",
    )
    clothes_hue: float = factor(Uniform(0, 360), 220.0, "hue of the clothes")
    accessory: str = factor(
        Choice(
            {
                "bare": 0.54,
                "glasses": 0.08,
                "ribbon": 0.10,
                "hairclip": 0.09,
                "headband": 0.07,
                "flower": 0.05,
                "cat ears": 0.07,
            },
            masculine={"bare": 0.76, "glasses": 0.16, "headband": 0.04, "cat ears": 0.04},
        ),
        "bare",
        "thing worn on the head",
    )
    accessory_hue: float = factor(Uniform(0, 360), 350.0, "hue of the thing worn")
    background: str = factor(
        Choice({"plain": 0.28, "gradient": 0.36, "halo": 0.12, "stripes": 0.12, "dots": 0.12}),
        "gradient",
        "pattern of the background",
    )
    background_hue: float = factor(Uniform(0, 360), 195.0, "hue of the background")
    background_lightness: float = factor(Uniform(0.4, 0.95), 0.82, "lightness of the background")


DISTRIBUTIONS: dict[str, Any] = {
    field.name: field.metadata["distribution"] for field in fields(Factors)
}

# Four decimals are finer than any pixel shows and survive every CSV reader unchanged.
DECIMALS = 4


def sample_factors(seed: int, index: int) -> Factors:
    """Draw the factors of image `index` of data set `seed`: they depend on nothing else."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    known: dict[str, Any] = {}
    for name, distribution in DISTRIBUTIONS.items():
        value = distribution.sample(rng, known)
        known[name] = round(value, DECIMALS) if isinstance(value, float) else value
    return Factors(**{name: known[name] for name in DISTRIBUTIONS})


def factor_table() -> str:
    """All factors as a Markdown table: name, what it does, distribution."""
    rows = ["| factor | what it does | distribution |", "| --- | --- | --- |"]
    for each in fields(Factors):
        does, distribution = each.metadata["does"], each.metadata["distribution"]
        rows.append(f"| `{each.name}` | {does} | {distribution} |")
    return "\n".join(rows)
