"""Layers by name, resolution or number: `coarse`, `px:4,8`, `layers:0-3`.

A layer is a style's place in ws [N, num_ws, w_dim]. `resolutions`, [num_ws], has for each the
pixels along a side of the maps that its style acts on first: how many there are is the network's
affair.
"""

from collections.abc import Sequence

from data.errors import UserError
from data.ranges import in_ranges, whole_numbers

GROUPS = ("coarse", "middle", "fine")


def groups(resolutions: Sequence[int]) -> dict[str, list[int]]:
    """The layers of each group (1812.04948, figure 3). A small network has none in some."""
    return {
        group: [layer for layer, pixels in enumerate(resolutions) if group_of(pixels) == group]
        for group in GROUPS
    }


def group_of(pixels: int) -> str:
    """4 and 8 px are coarse, 16 and 32 middle, 64 and above fine."""
    return "coarse" if pixels < 16 else "middle" if pixels < 64 else "fine"


def select(selector: str, resolutions: Sequence[int]) -> list[int]:
    """The layers that a selector names, in ascending order.

    Raises:
        UserError: the selector is malformed, or the network has no such layer; the message says
            which it has.
    """
    kind, _, numbers = selector.partition(":")
    layers = range(len(resolutions))
    named = {**groups(resolutions), "all": list(layers)}
    if named.get(selector):
        return named[selector]
    if kind == "px" and numbers:
        pixels = _known(selector, numbers, "{} px", resolutions, resolutions)
        return [layer for layer in layers if resolutions[layer] in pixels]
    if kind == "layers" and numbers:
        return sorted(_known(selector, numbers, "layer {}", layers, resolutions))
    raise _refusal(selector, "such layers", resolutions)


def describe(layers: Sequence[int], resolutions: Sequence[int]) -> str:
    """Layers in words: `layers 0-2 (4, 8, 8 px)`."""
    noun = "layer" if len(layers) == 1 else "layers"
    pixels = ", ".join(str(resolutions[layer]) for layer in layers)
    return f"{noun} {in_ranges(layers)} ({pixels} px)"


def _known(
    selector: str, text: str, noun: str, existing: Sequence[int], resolutions: Sequence[int]
) -> set[int]:
    numbers = whole_numbers(f"--layers {selector}", text)
    for number in numbers:
        if number not in existing:
            raise _refusal(selector, noun.format(number), resolutions)
    return set(numbers)


def _refusal(selector: str, lacking: str, resolutions: Sequence[int]) -> UserError:
    every = describe(range(len(resolutions)), resolutions)
    names = ", ".join(name for name, layers in groups(resolutions).items() if layers)
    pixels = ",".join(str(pixels) for pixels in sorted(set(resolutions)))
    return UserError(
        f"--layers {selector}: this network has no {lacking}; it has {every}; write {names}, all, "
        f"or numbers out of px:{pixels} or layers:0-{len(resolutions) - 1}"
    )
