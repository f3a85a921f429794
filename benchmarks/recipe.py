"""Recipes: what a source did, as presets that `bench run --recipe NAME` fills in."""

import dataclasses
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.datasets import FACES, training_data
from data.errors import MissingError, UserError, require
from data.store import Store
from models.registry import family, known
from training.config import (
    RunConfig,
    TrainConfig,
    choose,
    data_identity,
    parse_settings,
    typed_settings,
)

RECIPES = Path(__file__).with_name("recipes")
LENGTHS = ("kimg", "epochs", "steps")
TICKS = 100  # in a run, at least
EPOCHS = "_epochs"  # a recipe's option that ends so is one in kimg, when the data is known
NOT_A_RECIPES = ("kimg", "seed", "device")  # its length stands above; the others are the user's


@dataclass(frozen=True)
class Role:
    """What data a recipe asks for.

    Attributes:
        images: how many its source had; None where it does not say.
        share: of all the images that the source had.
    """

    images: int | None
    share: float
    summary: str


ROLES: Mapping[str, Role] = {
    "full": Role(63_632, 1.0, "Churchill's Anime Face Dataset"),
    "small": Role(19_000, 19_000 / 63_632, "19,000 images of it"),
    "toy": Role(9_000, 9_000 / 63_632, "9,000 images of it"),
    "full100k": Role(100_000, 1.0, "four sets of anime faces as one"),
    "oulu36k": Role(36_740, 36_740 / 100_000, "one of these: the Oulu course's, NTU-MLDS"),
    "two-folders": Role(None, 1.0, "photos and cartoons as one set"),
}


@dataclass(frozen=True)
class Recipe:
    """One source's training. Exactly one of `kimg`, `epochs` and `steps` is its length.

    Attributes:
        source: whose it is, and where it stands.
        note: where its code differs from its text, and what was assumed.
        like: a recipe that ships, which this one is but for what its file says. That one's source,
            note and published numbers are not this one's.
        role: the data that it asks for, of `ROLES`.
        snapshots: how many of them, unless `training` says how often.
        options: the family's, over the variant's. Those that end in `_epochs` become `_kimg`.
        training: `TrainConfig`'s, over the variant's.
        published: what the source reported, as numbers and words.
    """

    name: str
    model: str
    variant: str
    summary: str = ""
    source: str = ""
    note: str = ""
    like: str = ""
    role: str = "full"
    kimg: float | None = None
    epochs: float | None = None
    steps: float | None = None
    snapshots: int = 20
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: getattr(self, name) for name in LENGTHS if getattr(self, name) is not None}
        if len(lengths) != 1:
            raise UserError(f"one of {', '.join(LENGTHS)} is needed, and one only")
        for name, length in (*lengths.items(), ("snapshots", self.snapshots)):
            require(f"{name} =", length, above=0)
        known(self.role, ROLES, "role")

    @property
    def length(self) -> str:
        """Its length in words."""
        return next(f"{getattr(self, n):,.6g} {n}" for n in LENGTHS if getattr(self, n))

    def whole_kimg(self, images: int, batch: int) -> float:
        """Its length on a data set of so many images, in batches of that size."""
        if self.epochs:
            return _times(self.epochs, images / 1000)
        return _times(self.steps, batch / 1000) if self.steps else self.kimg or 0.0


def recipe_names() -> list[str]:
    """The recipes that ship, in the order of their numbers."""
    names = (path.stem for path in RECIPES.glob("*.toml"))
    return sorted(names, key=lambda name: re.sub(r"\d+", lambda n: n[0].zfill(9), name))


def load_recipe(name: str) -> Recipe:
    """A recipe that ships, by name, or a file of one's own, by its path.

    Raises:
        UserError: there is no such recipe, or its file cannot be used; the message says which key.
        MissingError: there is no such file.
    """
    return _read(recipe_path(name))


def recipe_path(name: str) -> Path:
    """The file of a recipe that ships, by name, or of one's own, which is its path."""
    if name.endswith(".toml"):
        return Path(name)
    return RECIPES / f"{known(name, recipe_names(), '--recipe')}.toml"


def _read(path: Path) -> Recipe:
    try:
        return _checked(_table(path), path.stem)
    except FileNotFoundError:
        raise MissingError(f"--recipe {path}: there is no such file") from None
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{path}: {error}") from None


def _table(path: Path) -> dict[str, Any]:
    """What a recipe's file says, over what the one that it is like does."""
    table = typed_settings(Recipe, tomllib.loads(path.read_text(encoding="utf-8")))
    if "like" not in table:
        return table
    if "model" in table:
        raise UserError("key model: it is that of the recipe which this one is like")
    base = _table(RECIPES / f"{known(table['like'], recipe_names(), 'like')}.toml")
    its_own = ["source", "note", "published"]
    its_own += LENGTHS if not table.keys().isdisjoint(LENGTHS) else ()
    said = {_family_name(name) for name in table.get("options", {})}
    options = {n: v for n, v in base.get("options", {}).items() if _family_name(n) not in said}
    parts = {
        "options": options | table.get("options", {}),
        "training": base.get("training", {}) | table.get("training", {}),
    }
    return {key: value for key, value in base.items() if key not in its_own} | table | parts


def _checked(table: dict[str, Any], name: str) -> Recipe:
    """A recipe of which every name, type and value can be used."""
    if "name" in table:
        raise UserError("key name: a recipe has the name of its file")
    chosen = family(table.setdefault("model", "dcgan"))
    table["variant"], preset = chosen.variant(table.get("variant"))
    options = _options(chosen.options, table.get("options", {}))
    training = typed_settings(TrainConfig, table.get("training", {}))
    for misplaced in training.keys() & NOT_A_RECIPES:
        raise UserError(f"[training] {misplaced}: not a recipe's to say there")
    recipe = Recipe(**{**table, "name": name, "options": options, "training": training})
    chosen.resolve(recipe.variant, _in_kimg(options, 1))
    TrainConfig(**{**preset.training, **training})
    return recipe


def _options(kind: type, table: Mapping[str, Any]) -> dict[str, Any]:
    """Typed options, of which those in epochs keep their names."""
    named = {name: _family_name(name) for name in table}
    typed = typed_settings(kind, {named[name]: value for name, value in table.items()})
    return {name: typed[named[name]] for name in table}


def _family_name(name: str) -> str:
    """What a family calls an option that may be in epochs here."""
    return name.removesuffix(EPOCHS) + "_kimg" * name.endswith(EPOCHS)


def _in_kimg(options: Mapping[str, Any], images: int) -> dict[str, Any]:
    """Options as a family knows them: epochs of so many images become kimg."""
    known_ones = {name: v for name, v in options.items() if not name.endswith(EPOCHS)}
    epochs = {
        _family_name(name): _times(value, images / 1000)
        for name, value in options.items()
        if name.endswith(EPOCHS)
    }
    return known_ones | epochs


def _times(length: Any, factor: float) -> Any:
    if isinstance(length, tuple):
        return tuple(_times(each, factor) for each in length)
    return round(length * factor, 6)  # a thousandth of an image


def planned_run(
    recipe_name: str | None,
    budget: float,
    model: str | None,
    variant: str | None,
    sources: Iterable[str],
    settings: Iterable[str],
    training: Mapping[str, Any],
    opened: Callable[[Path | None, float, int], Store] = training_data,
) -> tuple[RunConfig, Store]:
    """The run that flags of `bench run` make, in which `auto` is left open, and its data.

    Args:
        opened: as `training_data` does.

    Raises:
        UserError, MissingError: a flag, a recipe or the data cannot be used.
    """
    recipe = load_recipe(recipe_name) if recipe_name else None
    if recipe and model not in (None, recipe.model):
        raise UserError(f"--model {model}: {recipe_name} is a recipe for {recipe.model}")
    model = recipe.model if recipe else model or "dcgan"
    options = parse_settings(family(model).options, settings)

    def chosen(images: int) -> RunConfig:
        if recipe:
            return configure(recipe, images, variant, options, training, budget)
        return without_recipe(model, variant, options, training, budget)

    role = recipe.role if recipe else None
    chosen((ROLES[role].images if role else None) or FACES)  # mistakes show before data is made
    source, whole = source_for(role, sources)
    share = ROLES[role].share if role and not whole else 1.0
    store = opened(source, share, training.get("seed", TrainConfig.seed))
    config = chosen(len(store.rows("train")))
    return dataclasses.replace(config, data=data_identity(store, role)), store


def configure(
    recipe: Recipe,
    images: int,
    variant: str | None = None,
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    budget: float = 1.0,
) -> RunConfig:
    """The run that a recipe makes of a data set, without that data.

    Args:
        images: how many are trained on.
        variant: whose layers stand in for the recipe's; all else stays the recipe's.
        options, training: the user's own, which are taken as they are.
        budget: multiplies every other length.

    Raises:
        UserError: a name or a value cannot be used; the message names the flag.
    """
    options, training = options or {}, training or {}
    chosen = family(recipe.model)
    settings = _in_kimg(recipe.options, images)
    if variant not in (None, recipe.variant):
        settings = chosen.training_of(recipe.variant) | settings
        settings = {name: settings[name] for name in chosen.training_options}
    preset = chosen.variants[recipe.variant].training
    defaults = TrainConfig(**{**preset, **recipe.training})
    kimg = recipe.whole_kimg(images, training.get("batch", defaults.batch))
    config = choose(
        recipe.model,
        variant or recipe.variant,
        {**settings, **options},
        {**dataclasses.asdict(defaults), "kimg": kimg, **training},
    )
    config = scaled(config, budget, {*options, *training})
    length = config.training.kimg
    intervals = {
        "snap_kimg": _times(length, 1 / recipe.snapshots),
        "tick_kimg": min(_times(length, 1 / TICKS), images / 1000),
    }
    said = {*recipe.training, *training}
    unsaid: dict[str, Any] = {name: v for name, v in intervals.items() if name not in said}
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, **unsaid),
        recipe={"name": recipe.name, "budget": budget, "kimg": kimg, "role": recipe.role},
    )


def without_recipe(
    model: str,
    variant: str | None,
    options: Mapping[str, Any],
    training: Mapping[str, Any],
    budget: float = 1.0,
) -> RunConfig:
    """The same for a plain run."""
    config = choose(model, variant, options, training)
    if budget == 1:
        return config
    whole = {"budget": budget, "kimg": config.training.kimg}
    return dataclasses.replace(scaled(config, budget, {*options, *training}), recipe=whole)


def scaled(config: RunConfig, budget: float, kept: Collection[str]) -> RunConfig:
    """A configuration with every length but the `kept` ones times `budget`.

    Lengths say so: their names end in `kimg`.
    """

    def scale(part: Any) -> Any:
        names = [f.name for f in dataclasses.fields(part) if f.name.endswith("kimg")]
        lengths = {n: _times(getattr(part, n), budget) for n in names if n not in kept}
        return dataclasses.replace(part, **lengths)

    return dataclasses.replace(
        config, options=scale(config.options), training=scale(config.training)
    )


def parse_budget(text: str) -> float:
    """`5%` as a share, 0.05.

    Raises:
        UserError: it is no percentage above 0.
    """
    try:
        budget = float(text.removesuffix("%")) / 100
    except ValueError:
        budget = 0.0
    if not text.endswith("%") or not 0 < budget < float("inf"):
        raise UserError(f"--budget {text}: a percentage is needed, such as 5%")
    return budget


def source_for(role: str | None, sources: Iterable[str]) -> tuple[Path | None, bool]:
    """Which of `--data DATA` and `--data ROLE=DATA` stands in for a role, and whether all of it.

    Args:
        role: what the recipe asks for; None without one.

    Raises:
        UserError: a role is none, is named twice, or there is nothing for the one asked for.
    """
    named: dict[str | None, Path] = {}
    for text in sources:
        of, path = _split(text)
        if of in named:
            raise UserError(f"--data {text}: {'its role' if of else 'data'} was named before")
        named[of] = path
    if role in named:
        return named[role], role is not None
    if None in named or not named:
        return named.get(None), False
    if role is None:
        raise UserError("--data ROLE=DATA is for a --recipe, which asks for a role")
    asked = f"the recipe asks for {role} ({ROLES[role].summary})"
    raise UserError(f"--data: {asked}: name --data {role}=DATA, or --data DATA to take its share")


def _split(text: str) -> tuple[str | None, Path]:
    role, equals, path = text.partition("=")
    if not equals or (role not in ROLES and Path(text).exists()):
        return None, Path(text)
    return known(role, ROLES, "--data"), Path(path)
