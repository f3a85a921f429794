"""Whether the instruments name what changed: drawn faces of which one factor alone is another.

`python -m eval.studies.confusion` prints the tables of docs/metrics.md, and the numbers that
`eval.studies.walk` holds movements against.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from data.faces import Factors, draw, sample_factors
from eval.effects import Floats, as_vectors, difference, share_moved
from eval.faces import FacesNet, draw_faces, load_faces, random_faces
from eval.faces.drawn import TRAINING_SEED
from eval.faces.network import embed
from eval.faces.targets import HIDDEN, TARGETS, Target, tabulate
from eval.faces.validate import fit_heads
from eval.studies.gaussian import READ_FROM, qualities
from eval.studies.training_claims import eye_differences
from eval.studies.walk import FACTORS, breadth, line_effects, on_lines

SEED = 1002  # neither the training's nor the held-out faces'
PAIRS = 100
BASES = 32  # of walks
FITTED = 4000  # faces, to which an untrained network's heads are fitted

Attributes = dict[str, Floats]  # as `eval.attributes.read_attributes` gives them
Read = Callable[[Sequence[Factors]], Attributes]


def read(net: FacesNet, faces: Sequence[Factors]) -> Attributes:
    """What a network reads of drawn faces."""
    images = np.stack([np.asarray(draw(face)).transpose(2, 0, 1) for face in faces])
    found = net.factors(embed(net, torch.from_numpy(images)))
    return {name: values.double().numpy() for name, values in found.items()}


def truth(faces: Sequence[Factors]) -> Attributes:
    """What they were drawn from."""
    columns = zip(TARGETS, tabulate(faces)[0].double().numpy().T, strict=True)
    return {
        target.name: np.eye(target.size)[values.astype(int)]
        if target.kind == "category"
        else values
        for target, values in columns
    }


# Pairs.


@dataclass(frozen=True)
class Pairs:
    """Faces, other faces, and the first with a single factor of the second, as they are read.

    Attributes:
        plain, others: N faces each.
        kept: for each factor, the pairs of which it differs and can be seen in the first, [n].
        changed: for each factor, these n faces with the others' factor.
        halfway: the same with a factor midway between both; of scalars and hues alone.
    """

    plain: Attributes
    others: Attributes
    kept: dict[str, list[int]]
    changed: dict[str, Attributes]
    halfway: dict[str, Attributes]

    @classmethod
    def of(cls, read: Read, count: int = PAIRS, seed: int = SEED) -> "Pairs":
        faces = [sample_factors(seed, index) for index in range(2 * count)]
        bases, others = faces[:count], faces[count:]
        kept, changed, halfway = {}, {}, {}
        for target in tqdm(TARGETS, "pairs", leave=False, mininterval=1.0):
            name = target.name
            ends = [
                (getattr(a, name), getattr(b, name)) for a, b in zip(bases, others, strict=True)
            ]
            rows = [row for row, (a, b) in enumerate(ends) if a != b and _seen(name, bases[row])]
            kept[name] = rows
            changed[name] = read([changed_in(bases[row], name, ends[row][1]) for row in rows])
            if target.kind != "category":
                middles = {row: midway(target, *ends[row]) for row in rows}
                halfway[name] = read([changed_in(bases[row], name, middles[row]) for row in rows])
        return cls(read(bases), read(others), kept, changed, halfway)


def changed_in(face: Factors, factor: str, value: Any) -> Factors:
    """The same face but for one factor."""
    return replace(face, **{factor: value})


def midway(target: Target, a: float, b: float) -> float:
    """The value between two of a scalar, or of a hue on the shorter way round."""
    if target.kind == "hue":
        return (a + ((b - a + 180) % 360 - 180) / 2) % 360
    return (a + b) / 2


def movements(pairs: Pairs) -> dict[str, dict[str, Floats]]:
    """For each factor, how far each attribute moves when it changes, [n].

    In units of how far it moves between any two faces: 1 is as far as that.
    """
    plain = as_vectors(pairs.plain)
    usual = {
        name: apart.mean() for name, apart in difference(plain, as_vectors(pairs.others)).items()
    }
    found = {}
    for factor, rows in pairs.kept.items():
        moved = difference(_of(plain, rows), as_vectors(pairs.changed[factor]))
        found[factor] = {name: moved[name] / usual[name] for name in moved}
    return found


def confusion(pairs: Pairs) -> pd.DataFrame:
    """How far each attribute moves when one factor changes, [factors, attributes]."""
    return pd.DataFrame(
        {
            factor: {name: values.mean() for name, values in moved.items()}
            for factor, moved in movements(pairs).items()
        }
    ).T


def breadths(pairs: Pairs) -> pd.Series:
    """Over how many attributes the change of one factor spreads: the mean over its pairs."""
    return pd.Series(
        {
            factor: breadth(np.stack(list(moved.values()))).mean()
            for factor, moved in movements(pairs).items()
        }
    )


def mixed(pairs: Pairs, changed: Mapping[str, Attributes]) -> pd.DataFrame:
    """How far a face with one factor of another goes towards it, [factors, attributes].

    The attribute of that factor should go all of the way, or half of it, and the rest none.
    """
    plain, others = as_vectors(pairs.plain), as_vectors(pairs.others)
    rows = {}
    for factor, found in changed.items():
        kept = pairs.kept[factor]
        effects = share_moved(_of(plain, kept), _of(others, kept), as_vectors(found))
        rows[factor] = {effect.attribute: effect.value for effect in effects}
    return pd.DataFrame(rows).T


def of_qualities(pairs: Pairs) -> pd.DataFrame:
    """How far each quality moves when one factor changes, [factors, qualities].

    In units of how far it moves between any two faces.
    """
    plain, others = qualities(pairs.plain), qualities(pairs.others)
    usual = {name: np.abs(others[name] - plain[name]).mean() for name in plain}
    rows = {
        factor: {name: np.abs(moved[name]).mean() / usual[name] for name in moved}
        for factor, moved in _changes(pairs).items()
    }
    return pd.DataFrame(rows).T


def quality_seen(pairs: Pairs, true: Pairs) -> pd.DataFrame:
    """How much of a quality's true change is read: its slope, [factors, qualities].

    Of the factors that the quality is made of.
    """
    found, actual = _changes(pairs), _changes(true)
    rows: dict[str, dict[str, float]] = {}
    for quality, factors in READ_FROM.items():
        for factor in factors:
            said, is_so = found[factor][quality], actual[factor][quality]
            rows.setdefault(factor, {})[quality] = float(said @ is_so / (is_so @ is_so))
    return pd.DataFrame(rows).T


def _changes(pairs: Pairs) -> dict[str, dict[str, Floats]]:
    plain = qualities(pairs.plain)
    found = {}
    for factor, rows in pairs.kept.items():
        changed = qualities(pairs.changed[factor])
        found[factor] = {name: changed[name] - plain[name][rows] for name in plain}
    return found


# Walks.


def walked(read: Read, bases: int = BASES, seed: int = SEED) -> pd.DataFrame:
    """The rows of `line_effects` for walks along each scalar factor, over as many faces.

    They are what `walks` would be in a generator of which each variable is a factor: its distance
    from the middle of its range is multiplied by each of FACTORS, as far as the range goes.
    """
    faces = [sample_factors(seed, index) for index in range(bases)]
    tables = []
    scalars = [target for target in TARGETS if target.kind == "scalar"]
    for target in tqdm(scalars, "walks", leave=False, mininterval=1.0):
        kept = [face for face in faces if _seen(target.name, face)]
        found = as_vectors(read([each for face in kept for each in walk(target, face)]))
        (line,) = on_lines(found, (1, len(kept), len(FACTORS)))
        lengths = np.array([getattr(face, target.name) - target.middle for face in kept])
        table = line_effects(line, FACTORS, FACTORS.index(1.0), lengths)
        tables.append(table.assign(factor=target.name))
    return pd.concat(tables, ignore_index=True)


def walk(target: Target, face: Factors) -> list[Factors]:
    """A face at each of FACTORS along a walk of one factor."""
    away = getattr(face, target.name) - target.middle
    values = [min(max(target.middle + k * away, target.low), target.high) for k in FACTORS]
    return [changed_in(face, target.name, value) for value in values]


def movements_of(walks: pd.DataFrame) -> pd.DataFrame:
    """How far each attribute moves while a factor walks, in units of the usual: as `confusion`."""
    moved = walks[walks["measure"] == "moved"]
    shares = moved.assign(share=moved["value"] / moved["usual"])
    return shares.pivot(index="factor", columns="attribute", values="share")


# Eyes.


def eyes(read: Read, count: int = PAIRS, seed: int = SEED) -> pd.Series:
    """The mean `eye_differences` of faces with two open eyes alike, and with other hues or sizes.

    Of both eyes, which leaves them alike, and of the left one alone.
    """
    drawn = (sample_factors(seed, index) for index in range(count))
    faces = [face for face in drawn if _eyes_alike(face)]
    others = faces[1:] + faces[:1]
    found = {"as drawn": faces}
    for what in ("hue", "size"):
        values = [getattr(other, f"eye_left_{what}") for other in others]
        for which, sides in (("both", ("left", "right")), ("one", ("left",))):
            names = [f"eye_{side}_{what}" for side in sides]
            found[f"{what} of {which}"] = [
                replace(face, **dict.fromkeys(names, value))
                for face, value in zip(faces, values, strict=True)
            ]
    return pd.Series(
        {what: eye_differences(as_vectors(read(each))).mean() for what, each in found.items()}
    )


def _eyes_alike(face: Factors) -> bool:
    return (
        face.eye_left_hue == face.eye_right_hue
        and face.eye_left_size == face.eye_right_size
        and min(face.eye_left_openness, face.eye_right_openness) > 0
    )


# What the tables say.


def named(table: pd.DataFrame) -> pd.DataFrame:
    """For each factor: what moved most, by how much, how far its own attribute moved, its rank."""
    rows = []
    for factor in table.index:
        moved = table.loc[factor].sort_values(ascending=False)
        rows.append(
            {
                "changed": factor,
                "moved most": moved.index[0],
                "by": moved.iloc[0],
                "its own": moved[factor],
                "rank": moved.index.get_loc(factor) + 1,
            }
        )
    return pd.DataFrame(rows)


def cross_talk(table: pd.DataFrame) -> float:
    """How far attributes move whose factor did not change: 95% move less."""
    others = [table.loc[factor].drop(factor).abs() for factor in table.index]
    return float(np.quantile(np.concatenate(others), 0.95))


def control() -> FacesNet:
    """An untrained network whose heads are the best that linear heads can be."""
    return fit_heads(random_faces(0), draw_faces(TRAINING_SEED, FITTED))


def _seen(name: str, face: Factors) -> bool:
    return name not in HIDDEN or not HIDDEN[name](face)


def _of(attributes: Mapping[str, Floats], rows: list[int]) -> dict[str, Floats]:
    return {name: values[rows] for name, values in attributes.items()}


def main() -> None:
    """Print the tables as Markdown."""
    trained = partial(read, load_faces())
    pairs, walks = Pairs.of(trained), walked(trained)
    moved, gone = confusion(pairs), mixed(pairs, pairs.changed)
    tell_factors(named(moved), breadths(pairs), named(gone)["its own"])
    tell_instruments(
        {
            "pairs, movement": moved,
            "the same, by an untrained network": confusion(Pairs.of(partial(read, control()))),
            "pairs, share of the way": gone,
            "faces halfway, share of the way": mixed(pairs, pairs.halfway),
            "walks, movement": movements_of(walks),
        }
    )
    tell_walks(walks)
    tell_qualities(of_qualities(pairs), quality_seen(pairs, Pairs.of(truth)))
    tell_eyes(eyes(trained), eyes(truth))


def tell_factors(rows: pd.DataFrame, spread: pd.Series, shares: pd.Series) -> None:
    """Print a line for each factor that changed."""
    print("| changed | moved most | by | its own attribute | its rank | breadth | share |")
    print("|---|---|---|---|---|---|---|")
    for row, (factor, most, by, own, rank) in enumerate(rows.itertuples(index=False)):
        what = "itself" if rank == 1 else f"`{most}`"
        rest = f"{rank} | {spread[factor]:.1f} | {shares[row]:.2f}"
        print(f"| `{factor}` | {what} | {by:.2f} | {own:.2f} | {rest} |")
    print(f"\nBreadth: mean {spread.mean():.2f}, median {spread.median():.2f}.\n")


def tell_instruments(tables: Mapping[str, pd.DataFrame]) -> None:
    """Print how many factors each table names, and how far it moves what did not change."""
    print("| fed with | factors | named first | its own: median, least | 95% of others below |")
    print("|---|---|---|---|---|")
    for what, table in tables.items():
        rows = named(table)
        own = f"{rows['its own'].median():.2f}, {rows['its own'].min():.2f}"
        first = (rows["rank"] == 1).sum()
        print(f"| {what} | {len(rows)} | {first} | {own} | {cross_talk(table):.2f} |")


def tell_walks(walks: pd.DataFrame) -> None:
    """Print what else `line_effects` says of walks along one factor."""
    whole = walks[walks["attribute"] == "all"].groupby("measure")["value"]
    own = walks[walks["attribute"] == walks["factor"]].groupby("measure")["value"]
    print("\n| of walks | mean | median | least | most |\n|---|---|---|---|---|")
    of_all = {what: whole.get_group(what) for what in ("breadth", "count", "consistency")}
    for what, values in (of_all | {"its own consistency": own.get_group("consistency")}).items():
        found = values.mean(), values.median(), values.min(), values.max()
        print(f"| {what} | {' | '.join(f'{each:.2f}' for each in found)} |")


def tell_qualities(moved: pd.DataFrame, seen: pd.DataFrame) -> None:
    """Print what moves each quality: its factors, how much of their change is read, others."""
    print("\n| quality | its factors: by, read of it | the most that another moves it |")
    print("|---|---|---|")
    for quality, factors in READ_FROM.items():
        others = moved[quality].drop(list(factors))
        own = ", ".join(
            f"`{each}` {moved[quality][each]:.2f}, {seen[quality][each]:.2f}" for each in factors
        )
        print(f"| {quality} | {own} | `{others.idxmax()}` {others.max():.2f} |")


def tell_eyes(found: pd.Series, true: pd.Series) -> None:
    """Print how different eyes are read to be, beside how different they are."""
    print("\n| eyes | read | true |\n|---|---|---|")
    for what in found.index:
        print(f"| {what} | {found[what]:.3f} | {true[what]:.3f} |")


if __name__ == "__main__":
    main()
