"""Claims of the source reports, each as numbers that can contradict it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from eval.studies import latent_claims as on_latents
from eval.studies import training_claims as on_training
from eval.studies import trials
from eval.studies.cases import FACES
from eval.studies.latent_claims import by_seed
from eval.studies.verdicts import LEAST_SEEDS, Found
from eval.studies.walk import SINGLE_FACTOR_BREADTH


@dataclass(frozen=True)
class Needs:
    """What a claim is held against.

    Attributes:
        words: it takes ...
        find: the arms to hold it against, a tuple each time, among those that there are.
        model: the family of a plain run that would do; empty for either.
        recipes: what would do where a plain run would not: a recipe for each arm ...
        suite: ... and the suite that has such arms.
        seeds: of each arm.
        everywhere: it is held against all runs of a folder, and not against the latest alone.
    """

    words: str
    find: trials.Finder
    model: str = ""
    recipes: tuple[str, ...] = ()
    suite: str = ""
    seeds: int = LEAST_SEEDS
    everywhere: bool = True


@dataclass(frozen=True)
class Picture:
    """What shows a claim; `{run}` is the run's folder, `{results}` the one above.

    Attributes:
        command: draws it.
        file: where it is then; empty where the command prints a table.
    """

    command: str
    file: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of a source.

    Attributes:
        number: as in the list of claims, with a letter where a claim says several things.
        source: the report.
        measured: what, and when it holds.
        measure: of as many arms as `needs` finds.
    """

    number: str
    statement: str
    source: str
    measured: str
    needs: Needs
    measure: Callable[..., Found]
    picture: Picture


# What claims need

DCGAN, STYLEGAN = (
    Needs(f"a {model} run", trials.any_arm(model), model, seeds=1, everywhere=False)
    for model in ("dcgan", "stylegan")
)
SCORES = Needs(
    "a run whose loss gives D probabilities", trials.any_arm(), seeds=1, everywhere=False
)


def _arms(words: str, find: trials.Finder, recipes: tuple[str, ...], suite: str = "") -> Needs:
    seeds = f"{words}, of {LEAST_SEEDS} training seeds each"
    return Needs(seeds, find, recipes=recipes, suite=suite)


BOTH = _arms(
    "a DCGAN and a StyleGAN on the same images",
    trials.pairs(trials.families),
    ("versus-dcgan-19k", "versus-stylegan"),
    "versus",
)
SIZES = _arms(
    "two arms of one model and variant on different numbers of the same images",
    trials.pairs(trials.fewer_images),
    ("versus-dcgan-full", "versus-dcgan-19k-equal"),
    "data-size",
)
PLAIN = "animerush-8.4"

# What is said of several

MIXED = (
    "How far attributes of {} go from A to B with B's {} styles, less how far they go with those "
    "of whichever other group moves them most; mean over attributes, over pairs of A and B. Holds "
    "above 0."
)
SLOPE = (
    "Slope of {} with the mean of the latents, at std 0.4: its size, as the sign of z is "
    "arbitrary. Holds where it is larger than in random directions: p is the share of those at "
    "least as large."
)
NEARER = "Distance to held-out images, {}. Holds below 0."
NO_CHANGE = (
    f"Holds within {on_training.MARGIN:.0%}, by two one-sided tests: an equivalence, which much "
    "worse contradicts as much as much better does."
)
BY_SIZE = "{}, the arm with more data less the one with less. Holds {} 0."

# What shows them

REPORT = Picture("bench report --results {results}", "{results}/report.html")
WALK, TRENDS = (
    Picture(f"bench latents {{run}} --study {study}", f"{{run}}/latents-{study}.png")
    for study in ("walk", "gaussian")
)
MIX = {
    group: Picture(f"bench mix {{run}} --layers {group}", f"{{run}}/mix-{group}.png")
    for group in ("coarse", "middle", "fine")
}
TRUNCATE = Picture("bench truncate {run}", "{run}/truncate.png")
LOSSES, SCORE_CURVES = (
    Picture("bench plot {run}", f"{{run}}/{name}.png") for name in ("losses", "scores")
)

CLAIMS = (
    Claim(
        "1a",
        "A whole data set for 50 epochs is better than three tenths of it for 100.",
        "003",
        NEARER.format("the arm with all images less the one with a part, for twice the epochs")
        + " Confounded, as the source has it: the lengths differ too. 1b has them equal.",
        _arms(
            "one model and variant on many images, and on a part of them for twice the epochs",
            trials.pairs(trials.twice_the_epochs),
            ("versus-dcgan-full", "versus-dcgan-19k"),
            "data-size",
        ),
        on_training.more_data,
        REPORT,
    ),
    Claim(
        "1b",
        "A whole data set is better than a part of it, shown as often.",
        "003",
        NEARER.format("the arm with all images less the one with a part, at equal kimg"),
        _arms(
            "one model and variant on many images, and on a part of them for as many kimg",
            trials.pairs(trials.equal_kimg),
            ("versus-dcgan-full", "versus-dcgan-19k-equal"),
            "data-size",
        ),
        on_training.more_data,
        REPORT,
    ),
    Claim(
        "2a",
        "A DCGAN trains faster than a StyleGAN.",
        "003",
        "Hours of training to the end, and images a second, of runs on one kind of machine. Holds "
        "where a DCGAN takes fewer hours and sees more images a second.",
        BOTH,
        on_training.faster,
        REPORT,
    ),
    Claim(
        "2b",
        "A StyleGAN's faces look better than a DCGAN's.",
        "003",
        NEARER.format("a StyleGAN less a DCGAN, at the end of each"),
        BOTH,
        on_training.better,
        REPORT,
    ),
    Claim(
        "2c",
        "A StyleGAN's faces look better than a DCGAN's after as many hours.",
        "003",
        NEARER.format("a StyleGAN less a DCGAN, in the hours that every run of both has had"),
        BOTH,
        on_training.better_for_the_hours,
        REPORT,
    ),
    Claim(
        "3a",
        "The loss of a DCGAN's G stays above that of its D.",
        "003",
        "Loss of G less loss of D, at the edge of the lowest tenth of a run's ticks. Holds above "
        "0: then G's is above in nine ticks of ten.",
        _arms(
            "a DCGAN with cross-entropy",
            trials.each(trials.has_cross_entropy),
            ("versus-dcgan-full",),
        ),
        on_training.loss_above,
        LOSSES,
    ),
    Claim(
        "3b",
        "More epochs give better faces.",
        "000, 001",
        "Slope of the distance to held-out images with the logarithm of kimg, within a run. Holds "
        "below 0.",
        _arms("any arm", trials.each(lambda arm: True), ("akbari-lsgan",)),
        on_training.improves,
        REPORT,
    ),
    Claim(
        "3c",
        "Steps 20,000 to 30,000 of the Sapienza DCGAN bring no progress.",
        "002",
        "Logarithm of the ratio of the distances to held-out images at these two steps, or at the "
        f"same shares of a smaller budget, within a run. {NO_CHANGE}",
        _arms("a Sapienza DCGAN", trials.each(trials.is_long_sapienza), ("sapienza-b",)),
        on_training.no_progress,
        REPORT,
    ),
    Claim(
        "4",
        "One z variable of a DCGAN changes several attributes at once, and other ones in other "
        "faces.",
        "003",
        "Walks along ten variables. Holds where both: movement spreads over more than "
        f"{SINGLE_FACTOR_BREADTH:.3g} attributes (breadth), which is what drawn faces "
        "read as that differ in a single factor; and what a variable does to two faces agrees by "
        "less than 0.5 (consistency: 1 if alike). Means over variables, over base latents.",
        DCGAN,
        by_seed(on_latents.one_variable),
        WALK,
    ),
    Claim(
        "5a",
        "Coarse styles set the shape of the face, pose, hair style and mouth.",
        "003",
        MIXED.format("face shape, pose, hair style and mouth", "coarse"),
        STYLEGAN,
        by_seed(partial(on_latents.styles, "coarse")),
        MIX["coarse"],
    ),
    Claim(
        "5b",
        "Middle styles set eyebrows, eye colour, nose and the texture of the hair.",
        "003",
        MIXED.format("brows, eye colour, nose and hair texture", "middle"),
        STYLEGAN,
        by_seed(partial(on_latents.styles, "middle")),
        MIX["middle"],
    ),
    Claim(
        "5c",
        "Fine styles set the colours, the sharpness of the hairline and shading.",
        "003",
        MIXED.format("colours, hairline and shading", "fine"),
        STYLEGAN,
        by_seed(partial(on_latents.styles, "fine")),
        MIX["fine"],
    ),
    Claim(
        "6a",
        "psi 0 gives one mean face, and below 0 come opposite attributes.",
        "003",
        "How far attributes are at psi -1, as a share of the way from the mean face to the plain "
        "one; mean over attributes, over latents. Holds below 0. That psi 0 gives one face is so "
        "by construction and not tested.",
        STYLEGAN,
        by_seed(on_latents.opposite),
        TRUNCATE,
    ),
    Claim(
        "6b",
        "A large psi turns gender, hair length and hair colour into others.",
        "003",
        "Of faces at psi 1, the share that at psi 2 are past the middle of the range of femininity "
        "or of hair length, or have hair whose hue has turned by more than "
        f"{on_latents.TURNED_HUE:g} degrees. Holds where each of the three is above "
        f"{on_latents.LEAST_TURNED:g}: the source has no number, and this one is ours.",
        STYLEGAN,
        by_seed(on_latents.turned),
        TRUNCATE,
    ),
    Claim(
        "7a",
        "A DCGAN's faces are better from latents of std 0.4 than of std 1.",
        "002",
        "Distance to real images in `faces` features, at std 0.4 less at std 1, both of mean 0; by "
        "jackknife, as if the two were independent. Holds below 0.",
        DCGAN,
        by_seed(on_latents.narrow),
        TRENDS,
    ),
    *(
        Claim(
            "7b",
            f"Latents of a larger mean give {words}.",
            "002",
            SLOPE.format(quality),
            DCGAN,
            by_seed(partial(on_latents.trend, quality)),
            TRENDS,
        )
        for quality, words in (
            ("hair warmth", "warmer hair"),
            ("eye roundness", "rounder eyes"),
            ("eye symmetry", "more symmetric eyes"),
            ("mouth clarity", "a clearer mouth"),
        )
    ),
    Claim(
        "7c",
        "Faces at the middle mean are darker than those at either end.",
        "002",
        "Darkness (1 less the mean luma) at mean 0, less that at mean -1 and less that at mean 1, "
        "all at std 0.4 and of the same noise. Holds where both are above 0.",
        DCGAN,
        by_seed(on_latents.darkest),
        TRENDS,
    ),
    Claim(
        "8a",
        "More filters or layers do not make a DCGAN better.",
        "004",
        "Logarithm of the ratio of the distances to held-out images, `extended` or `buffed` over "
        f"`simple`. {NO_CHANGE}",
        _arms(
            "`simple`, and `extended` or `buffed`, on the same images",
            trials.pairs(trials.more_maps),
            (PLAIN, PLAIN),
            "dcgan-variants",
        ),
        on_training.no_better,
        REPORT,
    ),
    Claim(
        "8b",
        "Mild augmentation of the real images makes a DCGAN better.",
        "004",
        NEARER.format("the arm with augmentation less the one without")
        + f" Mild: at most {trials.MILD:.0%} of the images, and none equalised.",
        _arms(
            "a DCGAN without augmentation and one with little, on the same images",
            trials.pairs(trials.mildly_augmented),
            (PLAIN, PLAIN),
            "augmentation",
        ),
        partial(on_training.nearer, about=on_training.AUGMENTED),
        REPORT,
    ),
    Claim(
        "8c",
        "Strong augmentation of the real images makes a DCGAN worse.",
        "004",
        "Distance to held-out images, the arm with augmentation less the one without. Holds above "
        "0. Strong: what is not mild.",
        _arms(
            "a DCGAN without augmentation and one with much, on the same images",
            trials.pairs(trials.strongly_augmented),
            (PLAIN, PLAIN),
            "augmentation",
        ),
        partial(on_training.farther, about=on_training.AUGMENTED),
        REPORT,
    ),
    Claim(
        "8d",
        "A WGAN with clipped weights learns more slowly than a DCGAN.",
        "004",
        "Distance to held-out images, averaged over kimg as far as both went, the WGAN less the "
        "DCGAN with cross-entropy. Holds above 0.",
        _arms(
            "a DCGAN with cross-entropy and one with the loss wgan, on the same images",
            trials.pairs(trials.clipped_critic),
            (PLAIN, PLAIN),
            "dcgan-variants",
        ),
        on_training.slower,
        REPORT,
    ),
    Claim(
        "9a",
        "After training on less data, the two eyes of a face differ more in colour and size.",
        "003",
        BY_SIZE.format(
            "Difference of the eyes' hue and size, as shares of what can be, in the mean of "
            f"{FACES} faces of each run",
            "below",
        )
        + " The source says more often, which is not measured: how far they differ is.",
        SIZES,
        on_training.eyes,
        REPORT,
    ),
    Claim(
        "9b",
        "After training on less data, mouths are blurred.",
        "003",
        BY_SIZE.format(
            "Contrast of the mouth with the skin, as a share of its range, in the mean of "
            f"{FACES} faces of each run",
            "above",
        )
        + " That mouths and lower faces are distorted is not measured.",
        SIZES,
        on_training.mouths,
        REPORT,
    ),
    Claim(
        "10",
        "Where D scores fakes at 0.02, D takes the fakes for real.",
        "001",
        "D's probability that fakes are real, less 0.5, over the ticks that score them at most "
        f"{on_latents.LOW_SCORE:g}. Holds above 0, where D would call them real; below 0 by "
        "construction, as the claim has a score the wrong way round.",
        SCORES,
        by_seed(on_latents.low_scores),
        SCORE_CURVES,
    ),
    Claim(
        "11",
        "More data gives more colourful images.",
        "004",
        BY_SIZE.format(
            f"Mean colourfulness (M3 of Hasler and Suesstrunk 2003) of {FACES} faces of each run",
            "above",
        ),
        SIZES,
        on_training.more_colourful,
        REPORT,
    ),
    Claim(
        "12a",
        "Longer training raises the risk of collapse.",
        "004",
        "Of the first collapse of each run, as the monitor records it, the share that came in the "
        "second half of its kimg (exact binomial). Holds above the second halves' share of the "
        "kimg without a collapse.",
        Needs("a run", trials.all_together, seeds=1),
        on_training.collapses_late,
        Picture("bench table --results {results}"),
    ),
    Claim(
        "12b",
        "A high learning rate that decays later makes a DCGAN better.",
        "004",
        NEARER.format("the arm whose rate falls less the one whose rate stays"),
        _arms(
            "a DCGAN with a constant learning rate and one whose rate falls, on the same images",
            trials.pairs(trials.decaying_rate),
            ("animerush-9.4", "animerush-9.8"),
            "animerush",
        ),
        partial(on_training.nearer, about=on_training.RATE),
        REPORT,
    ),
)
