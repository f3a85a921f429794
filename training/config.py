"""What a run is: every choice resolved, saved with it, and compared when it is resumed."""

import dataclasses
import hashlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data.augment import Augmentation
from data.errors import UserError, require
from data.store import Store
from models.registry import family, known

Precision = Literal["auto", "fp32", "bf16", "fp16"]
MemoryFormat = Literal["auto", "contiguous", "channels_last"]
OnCollapse = Literal["record", "stop", "rollback"]
AUTO = ("device", "precision", "memory_format")  # what a run may decide when it starts


@dataclass(frozen=True)
class TrainConfig:
    """The trainer's part. Sizes and intervals count real images shown to D, in thousands.

    Attributes:
        kimg: the length of the run.
        batch: images a step.
        seed: of the weights and of everything drawn.
        device: `auto` is the GPU where there is one.
        precision: of the networks' arithmetic; `auto` times the choices.
        memory_format: of images and weights; `auto` is channels_last.
        compile: hand the networks to torch.compile: with CUDA graphs on a GPU.
        tick_kimg: a line of stats every so often.
        snap_kimg: a snapshot, a sheet and a checkpoint every so often.
        save_minutes: a checkpoint at least this often.
        ema_kimg: half-life of the average of G's weights; 0 for none.
        mirror: flip reals at random.
        augment: real-only augmentations, `NAME:P`, in order.
        on_collapse: what the collapse monitor does beyond recording.
    """

    kimg: float = 200.0
    batch: int = 128
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "auto"
    memory_format: MemoryFormat = "auto"
    compile: bool = False
    tick_kimg: float = 4.0
    snap_kimg: float = 40.0
    save_minutes: float = 5.0
    ema_kimg: float = 10.0
    mirror: bool = False
    augment: tuple[str, ...] = ()
    on_collapse: OnCollapse = "record"

    def __post_init__(self) -> None:
        for name in ("kimg", "batch", "tick_kimg", "snap_kimg"):
            require(f"--{name.removesuffix('_kimg')}", getattr(self, name), above=0)
        require("--ema", self.ema_kimg, least=0)
        require("--save-minutes", self.save_minutes, least=0)
        if not 0 <= self.seed < 2**62:
            raise UserError(f"--seed {self.seed}: it must be a whole number from 0 to 2^62 - 1")
        for spec in self.augment:
            Augmentation.parse(spec)

    @property
    def nimg(self) -> int:
        return round(self.kimg * 1000)

    def decided_as(self, other: "TrainConfig") -> "TrainConfig":
        """This, with what is left to `auto` as another has it."""
        left = [name for name in AUTO if getattr(self, name) == "auto"]
        return dataclasses.replace(self, **{name: getattr(other, name) for name in left})


@dataclass(frozen=True)
class RunConfig:
    """A whole run.

    Attributes:
        options: the model family's own dataclass.
        data: `name` and `path` of the store, `sha256` of its pixels, how many `images` are
            trained on and `heldout`, `rows_sha256` of the rows trained on; `subset`, where these
            are a draw, and `role`, where a recipe asked for one.
        measure: what is measured at snapshots, for whoever hands the trainer its callback.
        recipe: what made this configuration: `name`, `budget` as a share, `kimg` of the whole, and
            `role` of the data; nothing for a plain run.
    """

    model: str
    variant: str
    options: Any
    training: TrainConfig
    data: Mapping[str, Any]
    measure: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `to_dict`, from parsed JSON."""
        return cls(
            saved["model"],
            saved["variant"],
            family(saved["model"]).options(**_tuples(saved["options"])),
            TrainConfig(**_tuples(saved["training"])),
            saved["data"],
            saved.get("measure", {}),
            saved.get("recipe", {}),
        )

    def refuse_changes(self, other: "RunConfig", flag: str = "--resume") -> None:
        """Allow a resumed run only a longer `kimg`, data that moved but did not change, and other
        measurements.

        Raises:
            UserError: the other configuration differs; the message lists the fields.
        """
        free = {"training.kimg", "training.save_minutes", "data.path", "data.name"}
        mine, others = (_flat(run.to_dict() | {"measure": {}}) for run in (self, other))
        changed = [
            f"{name} was {mine.get(name)!r}, now {others.get(name)!r}"
            for name in mine | others
            if name not in free and mine.get(name) != others.get(name)
        ]
        if changed:
            raise UserError(
                f"{flag}: this run was started otherwise: {'; '.join(changed)}. Drop those flags "
                f"to go on with it, or start a new run without {flag}"
            )
        if other.training.kimg < self.training.kimg:
            raise UserError(
                f"--kimg {other.training.kimg:g}: this run is to reach {self.training.kimg:g}; "
                "a resumed run can be made longer, not shorter"
            )


def choose(
    model: str, variant: str | None, settings: Mapping[str, Any], training: Mapping[str, Any]
) -> RunConfig:
    """A run without its data: the user's settings, then the variant's, then the defaults.

    Raises:
        UserError: a name or a value cannot be used; the message names the flag.
    """
    chosen = family(model)
    name, preset = chosen.variant(variant)
    config = TrainConfig(**{**preset.training, **training})
    return RunConfig(model, name, chosen.resolve(name, settings), config, data={})


def resolve(
    model: str,
    variant: str | None,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    store: Store,
) -> RunConfig:
    """The same with its data."""
    chosen = choose(model, variant, settings, training)
    return dataclasses.replace(chosen, data=data_identity(store))


def data_identity(store: Store, role: str | None = None) -> dict[str, Any]:
    """What tells one training set from another: a `RunConfig`'s `data`."""
    asked = {"role": role} if role else {}
    drawn = {"subset": store.drawn} if store.drawn else {}
    return {
        **asked,
        **drawn,
        "name": store.name,
        "path": str(store.folder.resolve()),
        "sha256": store.card["sha256"],
        "images": len(store.rows("train")),
        "heldout": len(store.rows("heldout")),
        "rows_sha256": hashlib.sha256(store.rows("train").tobytes()).hexdigest(),
    }


def parse_settings(options: type, assignments: typing.Iterable[str]) -> dict[str, Any]:
    """`NAME=VALUE` strings to the typed values of a dataclass's fields.

    Raises:
        UserError: there is no such field, or the value is of another kind.
    """
    hints = typing.get_type_hints(options)
    settings = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: write it as NAME=VALUE")
        kind = hints[known(name, hints, "--set")]
        try:
            settings[name] = _parse(kind, text)
        except ValueError:
            raise UserError(f"--set {assignment}: {_describe(kind)} is needed") from None
    return settings


def typed_settings(kind: type, table: Mapping[str, Any]) -> dict[str, Any]:
    """A TOML table to the typed values of a dataclass's fields.

    Raises:
        UserError: there is no such field, or a value is of another kind.
    """
    hints = typing.get_type_hints(kind)
    settings = {}
    for name, value in table.items():
        hint = _plain(hints[known(name, hints, "key")])
        try:
            settings[name] = _typed(hint, value)
        except ValueError:
            raise UserError(f"{name} = {value!r}: {_describe(hint)} is needed") from None
    return settings


def _plain(kind: Any) -> Any:
    """What stands for a type in TOML, which has tables, and no null."""
    if typing.get_origin(kind) is types.UnionType:
        kind = typing.get_args(kind)[0]
    return dict if typing.get_origin(kind) is Mapping else kind


def _typed(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(value, list):
        if Ellipsis not in arguments and len(value) != len(arguments):
            raise ValueError(value)
        return tuple(_typed(arguments[0], item) for item in value)
    if origin is Literal and value in arguments:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(value)
    return value


def _parse(kind: Any, text: str) -> Any:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        values = tuple(_parse(arguments[0], part) for part in text.split(",") if part)
        if Ellipsis not in arguments and len(values) != len(arguments):
            raise ValueError(text)
        return values
    if typing.get_origin(kind) is Literal:
        if text not in arguments:
            raise ValueError(text)
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return kind(text)


def _describe(kind: Any) -> str:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return f"a list such as 512,256 ({_describe(arguments[0])} each)"
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(arguments)}"
    words = {bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}
    return words.get(kind, "text")


def _tuples(saved: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where the dataclasses have tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items()}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
