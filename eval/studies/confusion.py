"""Whether tables of attributes name what changed: drawn faces of which one factor is another.

`python -m eval.studies.confusion` prints the table of docs/metrics.md.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from data.faces import Factors, draw, sample_factors
from eval.effects import Vectors, difference, vectors_of
from eval.extractors import Extractor, load_extractor
from eval.faces.targets import HIDDEN, TARGETS

SEED = 1002  # neither the training's nor the held-out faces'
PAIRS = 100


def confusion(extractor: Extractor, pairs: int = PAIRS, seed: int = SEED) -> pd.DataFrame:
    """How far each attribute is read to move when one factor does, [factors, attributes].

    In units of how far it moves between any two faces: 1 is as far as that. Each pair of faces
    differs in the row's factor alone, which takes the value of yet another face; factors that
    cannot be seen in a face are not changed there.
    """
    faces = [sample_factors(seed, index) for index in range(2 * pairs)]
    bases, others = faces[:pairs], faces[pairs:]
    plain = _read(bases, extractor)
    usual = {
        name: apart.mean() for name, apart in difference(plain, _read(others, extractor)).items()
    }
    rows = {}
    for target in TARGETS:
        hidden = HIDDEN.get(target.name, lambda face: False)
        kept = [
            index
            for index, (base, other) in enumerate(zip(bases, others, strict=True))
            if not hidden(base) and getattr(base, target.name) != getattr(other, target.name)
        ]
        changed = [
            replace(bases[index], **{target.name: getattr(others[index], target.name)})
            for index in kept
        ]
        before = {name: vectors[kept] for name, vectors in plain.items()}
        moved = difference(before, _read(changed, extractor))
        rows[target.name] = {name: moved[name].mean() / usual[name] for name in moved}
    return pd.DataFrame(rows).T


def _read(faces: list[Factors], extractor: Extractor) -> Vectors:
    images = np.stack([np.asarray(draw(face)).transpose(2, 0, 1) for face in faces])
    return vectors_of(torch.from_numpy(images), extractor)


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


def main() -> None:
    """Print the table as Markdown."""
    rows = named(confusion(load_extractor("faces", torch.device("cpu"))))
    print("| changed | moved most | by | its own attribute | its rank |\n|---|---|---|---|---|")
    for factor, most, by, own, rank in rows.itertuples(index=False):
        what = "itself" if rank == 1 else f"`{most}`"
        print(f"| `{factor}` | {what} | {by:.2f} | {own:.2f} | {rank} |")
    print(f"\n{(rows['rank'] == 1).sum()} of {len(rows)} are named first.")


if __name__ == "__main__":
    main()
