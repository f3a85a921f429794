"""`--compile` changes how the networks run and nothing else."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.conftest import TrainerMaker


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch.compile's, of its own workings
@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("tutorial", {}),
        ("r1", {"r1_interval": 2, "diffaug": True}),
        ("tiny", {"r1_interval": 2, "path_weight": 2.0, "path_interval": 2}),
    ],
)
def test_a_compiled_run_is_the_eager_one(
    variant: str,
    settings: dict[str, float],
    make_trainer: TrainerMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[nn.Module] = []

    def trace(module: nn.Module, **_: Any) -> None:
        """All of torch.compile but the generation of code, which takes minutes."""
        module._compiled_call_impl = torch.compile(module._call_impl, backend="aot_eager")
        compiled.append(module)

    monkeypatch.setattr(nn.Module, "compile", trace)
    trainers = [make_trainer(variant, settings, compile=on) for on in (True, False)]
    assert compiled == trainers[0].gan.networks()
    for trainer in trainers:
        for _ in range(2):
            trainer.step()
    means, expected = (trainer.meter.means() for trainer in trainers)
    assert means == pytest.approx(expected, rel=1e-3)
    torch._dynamo.reset()
