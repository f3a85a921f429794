"""How colourful images are to people: a number of pixels, without any network."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def colourfulness(images: Tensor) -> NDArray[np.float64]:
    """M3 of Hasler and Suesstrunk (2003, section 4) of uint8 images [N, 3, H, W]: [N].

    From the opponent colours rg = R - G and yb = (R + G) / 2 - B: how far they spread, plus 0.3 of
    how far they are from grey on average. 0 is grey, about 33 moderately colourful, 109 extremely.
    """
    red, green, blue = images.double().flatten(2).unbind(1)  # [N, H * W] each
    rg, yb = red - green, (red + green) / 2 - blue
    spread = (rg.var(1, correction=0) + yb.var(1, correction=0)).sqrt()
    away = (rg.mean(1).square() + yb.mean(1).square()).sqrt()
    found: NDArray[np.float64] = (spread + 0.3 * away).cpu().numpy()
    return found
