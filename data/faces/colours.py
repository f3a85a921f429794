"""The paints of one face, mixed from its factors."""

import colorsys
from dataclasses import dataclass

from data.faces.factors import Factors

Colour = tuple[int, int, int]

WHITE = (255, 255, 255)
INK = (46, 28, 40)

# From pale to dark, evenly spaced along skin_tone.
SKIN_TONES = ((255, 238, 228), (253, 221, 200), (236, 190, 155), (190, 135, 98), (128, 82, 60))


def hsl(hue: float, saturation: float, lightness: float) -> Colour:
    """A colour from its hue in degrees, saturation and lightness from 0 to 1."""
    lightness = min(max(lightness, 0.0), 1.0)
    red, green, blue = colorsys.hls_to_rgb(hue / 360.0, lightness, min(max(saturation, 0.0), 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The first colour with a share of the second stirred in."""
    keep = 1.0 - share
    return (
        round(keep * first[0] + share * second[0]),
        round(keep * first[1] + share * second[1]),
        round(keep * first[2] + share * second[2]),
    )


def multiply(first: Colour, second: Colour) -> Colour:
    """One colour seen through the other, as a shadow tints what it falls on."""
    return (
        first[0] * second[0] // 255,
        first[1] * second[1] // 255,
        first[2] * second[2] // 255,
    )


@dataclass(frozen=True)
class Paints:
    """Every colour that more than one part of the face needs."""

    skin: Colour
    skin_shadow: Colour
    skin_line: Colour
    blush: Colour
    hair: Colour
    hair_shadow: Colour
    hair_deep: Colour
    hair_line: Colour
    hair_light: Colour
    lash: Colour
    clothes: Colour
    clothes_shadow: Colour
    accessory: Colour
    accessory_shadow: Colour


def mix_paints(factors: Factors) -> Paints:
    """Mix the paints of one face. Shadows are cool and warm, not grey: they keep colours alive."""
    skin = _skin(factors.skin_tone)
    hair = hsl(factors.hair_hue, factors.hair_saturation, factors.hair_lightness)
    clothes = hsl(factors.clothes_hue, 0.45, 0.52)
    accessory = hsl(factors.accessory_hue, 0.75, 0.60)
    shade = 0.25 + 0.75 * factors.shading
    # Neighbouring hues keep the shadows of fair hair from turning grey.
    neighbour = hsl(factors.hair_hue - 25, 0.15 + 0.5 * factors.hair_saturation, 0.66)
    tint = mix((176, 150, 190), neighbour, 0.5)
    hair_shadow = mix(hair, multiply(hair, tint), shade)
    hair_line = multiply(hair, (112, 92, 120))
    return Paints(
        skin=skin,
        skin_shadow=mix(skin, multiply(skin, (232, 186, 190)), shade),
        skin_line=multiply(skin, (172, 106, 104)),
        blush=mix(skin, (255, 90, 110), 0.6),
        hair=hair,
        hair_shadow=hair_shadow,
        hair_deep=mix(hair_shadow, multiply(hair_shadow, (190, 165, 190)), shade),
        hair_line=hair_line,
        hair_light=mix(hair, (255, 250, 240), 0.08 + 0.62 * factors.hair_shine),
        lash=mix(INK, hair_line, 0.35),
        clothes=clothes,
        clothes_shadow=multiply(clothes, (180, 165, 200)),
        accessory=accessory,
        accessory_shadow=multiply(accessory, (190, 150, 170)),
    )


def _skin(tone: float) -> Colour:
    place = tone * (len(SKIN_TONES) - 1)
    step = min(int(place), len(SKIN_TONES) - 2)
    return mix(SKIN_TONES[step], SKIN_TONES[step + 1], place - step)
