"""From factors to a picture: the order of painting."""

from PIL import Image

from data.faces.accessories import draw_behind_hair, draw_on_hair
from data.faces.background import new_background
from data.faces.body import draw_body
from data.faces.colours import mix_paints
from data.faces.eyes import both_eyes, draw_brows, draw_eyes
from data.faces.factors import Factors
from data.faces.hair_back import draw_back_hair, draw_braids
from data.faces.hair_front import covers_ears, cut_fringe, draw_fringe_shadow, draw_front_hair
from data.faces.head import draw_ears, draw_face, draw_mouth, draw_nose
from data.faces.pen import SCALE, Canvas, new_pen


def draw(factors: Factors) -> Image.Image:
    """Draw one face, RGB 64x64. The same factors give the same pixels."""
    return draw_large(factors).reduce(SCALE)


def draw_large(factors: Factors) -> Image.Image:
    """The same face before it is reduced, RGB 256x256."""
    canvas = Canvas(new_background(factors))
    head, body = new_pen(canvas, factors.head_yaw, factors.head_tilt), new_pen(canvas)
    paints = mix_paints(factors)
    fringe = cut_fringe(factors)
    eyes = both_eyes(factors)

    draw_back_hair(head, factors, paints)
    draw_body(body, factors, paints)
    draw_braids(head, factors, paints)
    if not covers_ears(factors):
        draw_ears(head, factors, paints)
    draw_face(head, factors, paints)
    draw_fringe_shadow(head, fringe, factors, paints)
    draw_nose(head, factors, paints)
    draw_mouth(head, factors, paints)
    draw_eyes(head, eyes, factors, paints)
    draw_behind_hair(head, factors, paints)
    draw_front_hair(head, fringe, factors, paints)
    draw_brows(head, eyes, factors, paints)
    draw_on_hair(head, eyes, factors, paints)
    canvas.paint()
    return canvas.image
