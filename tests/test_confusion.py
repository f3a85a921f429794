"""The instruments: of faces that differ in one factor alone, the tables name that factor."""

import dataclasses

import pytest

from benchmarks.studies import attribute_extractor
from eval.faces import random_faces
from eval.studies.confusion import confusion, named

CLEAR = ["hair_lightness", "background_hue", "head_tilt", "mouth_openness", "eye_saturation"]


@pytest.mark.slow
def test_a_factor_that_changed_is_named_and_by_an_untrained_network_is_not() -> None:
    trained = attribute_extractor("cpu")
    found = named(confusion(trained, pairs=20)).set_index("changed")
    assert (found.loc[CLEAR, "rank"] == 1).all()
    assert (found["rank"] == 1).mean() > 0.8
    untrained = dataclasses.replace(trained, network=random_faces(0))
    found = named(confusion(untrained, pairs=20)).set_index("changed")
    assert (found["rank"] == 1).mean() < 0.3
