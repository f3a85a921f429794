"""Which arms a claim is held against: recognised by what they are, whatever they are called."""

import math
from collections.abc import Callable, Sequence

from data.augment import Augmentation
from eval.studies.cases import Arm

LONGEST = 30_000  # steps, of the Sapienza report's
MILD = 0.4  # the highest share of images that AnimeRush augmented and did not call too bold
STRONG = "equalize"  # what it called too bold

Finder = Callable[[Sequence[Arm]], list[tuple[Arm, ...]]]
Relation = Callable[[Arm, Arm], bool]


def any_arm(model: str = "") -> Finder:
    """The arms of a family, or of both, one at a time, finished or not."""

    def find(arms: Sequence[Arm]) -> list[tuple[Arm, ...]]:
        return [(arm,) for arm in arms if model in ("", arm.config.model)]

    return find


def each(wanted: Callable[[Arm], bool]) -> Finder:
    """The arms that are as wanted, one at a time."""

    def find(arms: Sequence[Arm]) -> list[tuple[Arm, ...]]:
        return [(arm,) for arm in _finished(arms) if wanted(arm)]

    return find


def pairs(related: Relation) -> Finder:
    """Each arm, behind the one that is most like it of those that are related to it."""

    def find(arms: Sequence[Arm]) -> list[tuple[Arm, ...]]:
        whole = _finished(arms)
        found: list[tuple[Arm, ...]] = []
        for arm in whole:
            others = [other for other in whole if related(other, arm)]
            if others:
                found.append((min(others, key=lambda other: len(other.unlike(arm))), arm))
        return found

    return find


def all_together(arms: Sequence[Arm]) -> list[tuple[Arm, ...]]:
    """One trial of every run, whatever became of it."""
    return [tuple(arms)] if arms else []


def _finished(arms: Sequence[Arm]) -> list[Arm]:
    return [arm.finished for arm in arms if arm.finished.cases]


def is_dcgan(arm: Arm) -> bool:
    return arm.config.model == "dcgan"


def has_cross_entropy(arm: Arm) -> bool:
    return is_dcgan(arm) and arm.choices["loss"] == "bce"


def is_long_sapienza(arm: Arm) -> bool:
    """Whether its full length, whatever the budget, is as many steps as the source's longest."""
    return is_dcgan(arm) and arm.choices["network"] == "sapienza" and whole_steps(arm) >= LONGEST


def families(dcgan: Arm, stylegan: Arm) -> bool:
    models = dcgan.config.model, stylegan.config.model
    return models == ("dcgan", "stylegan") and _same_data(dcgan, stylegan)


def fewer_images(smaller: Arm, larger: Arm) -> bool:
    """Of one store: another one may hold other images, and not only fewer."""
    alike = [
        (arm.config.model, arm.config.variant, arm.config.data["sha256"])
        for arm in (smaller, larger)
    ]
    return alike[0] == alike[1] and smaller.images < larger.images


def twice_the_epochs(smaller: Arm, larger: Arm) -> bool:
    return fewer_images(smaller, larger) and 1.8 <= smaller.epochs / larger.epochs <= 2.2


def equal_kimg(smaller: Arm, larger: Arm) -> bool:
    return fewer_images(smaller, larger) and 0.95 <= smaller.kimg / larger.kimg <= 1.05


def more_maps(simple: Arm, larger: Arm) -> bool:
    variants = simple.config.variant, larger.config.variant
    return variants in (("simple", "extended"), ("simple", "buffed")) and _same_data(simple, larger)


def mildly_augmented(plain: Arm, augmented: Arm) -> bool:
    return _augmented(plain, augmented) and not _is_strong(augmented)


def strongly_augmented(plain: Arm, augmented: Arm) -> bool:
    return _augmented(plain, augmented) and _is_strong(augmented)


def clipped_critic(bce: Arm, wgan: Arm) -> bool:
    if not has_cross_entropy(bce) or not is_dcgan(wgan):
        return False
    return bool(wgan.choices["loss"] == "wgan") and _same_data(bce, wgan)


def decaying_rate(constant: Arm, decaying: Arm) -> bool:
    if not (is_dcgan(constant) and is_dcgan(decaying)):
        return False
    return not _decays(constant) and _decays(decaying) and _same_data(constant, decaying)


def _same_data(a: Arm, b: Arm) -> bool:
    return a.images == b.images and a.config.data["sha256"] == b.config.data["sha256"]


def _augmented(plain: Arm, augmented: Arm) -> bool:
    if not (is_dcgan(plain) and is_dcgan(augmented)):
        return False
    is_one = not plain.choices["augment"] and augmented.choices["augment"]
    return bool(is_one) and _same_data(plain, augmented)


def _is_strong(arm: Arm) -> bool:
    acts = [Augmentation.parse(spec) for spec in arm.choices["augment"]]
    untouched = math.prod(1 - act.p for act in acts)
    return 1 - untouched > MILD + 1e-9 or any(act.name == STRONG for act in acts)


def _decays(arm: Arm) -> bool:
    reached = any(kimg < arm.kimg for kimg in arm.choices["lr_milestones_kimg"])
    return reached and arm.choices["lr_gamma"] < 1


def whole_steps(arm: Arm) -> float:
    """Steps of its full length, whatever the budget has made of that."""
    return float(arm.config.recipe.get("kimg", arm.kimg) * 1000 / arm.choices["batch"])
