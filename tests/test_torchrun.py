"""One run over several processes: the run that one process would make, and one writer."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributed as dist

from data import shard
from data.augment import Augmentation
from data.batches import Batches
from data.errors import UserError
from data.store import Store
from models.dcgan import DCGANOptions
from models.dcgan.networks import Dropout
from models.diffaug import diffaug
from models.losses import gradient_penalty
from models.registry import family
from models.stylegan import StyleGANOptions
from models.stylegan.generator import draw_noise
from tests.conftest import TINY, TINY_STYLEGAN, Bench, TrainerMaker, write_pictures
from tests.two_processes import CASES, trained
from training.run_dir import STATS, RunDir

ROOT = Path(__file__).parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
IMAGES = torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def among(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Make this process the given one of so many."""

    def set_rank(rank: int, processes: int) -> None:
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_rank", lambda: rank)
        monkeypatch.setattr(dist, "get_world_size", lambda: processes)

    return set_rank


def points_between(real: Tensor) -> Tensor:
    """Where a gradient penalty looks, between `real` and zeros."""
    seen = []

    def D(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.sum((1, 2, 3))

    gradient_penalty(D, real, torch.zeros_like(real))
    return seen[0]


def joint_batch(real: Tensor) -> Tensor:
    """Reals and fakes augmented as one batch, then apart again: [N, 2, 3, H, W]."""
    return torch.stack(diffaug(torch.cat([real, -real])).chunk(2), dim=1)


def dcgan(**settings: Any) -> Any:
    torch.manual_seed(5)
    return family("dcgan").build(DCGANOptions(**TINY, **settings))


def stylegan() -> Any:
    torch.manual_seed(5)
    return family("stylegan").build(StyleGANOptions(**TINY_STYLEGAN))


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "latents": lambda real: dcgan().sample_z(len(real)),
    "label noise": lambda real: dcgan(soft_labels=0.5)._label_noise(torch.zeros(len(real))),
    "dropout": lambda real: Dropout(0.4)(real.flatten(1)),
    "points of a gradient penalty": points_between,
    "DiffAugment": diffaug,
    "DiffAugment of a joint batch": joint_batch,
    "StyleGAN's latents": lambda real: stylegan().sample_z(len(real)),
    "mixed styles": lambda real: stylegan().styles(len(real)),
    "noise of a layer": lambda real: draw_noise(torch.zeros(1, 1, 8, 8), len(real), "random"),
}


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("name", DRAWS)
def test_each_process_draws_its_part_of_what_one_would(
    name: str, processes: int, among: Callable[[int, int], None]
) -> None:
    def drawn(real: Tensor) -> Tensor:
        torch.manual_seed(1)
        with torch.no_grad() if name == "mixed styles" else torch.enable_grad():
            return DRAWS[name](real)

    whole = drawn(IMAGES)
    assert len(whole[0].unique()) > 1 or name == "label noise"
    for rank in range(processes):
        among(rank, processes)
        torch.testing.assert_close(drawn(IMAGES[rank::processes]), whole[rank::processes])


@pytest.mark.parametrize("processes", [2, 3])
def test_each_process_sees_its_part_of_the_reals(
    processes: int, store: Store, among: Callable[[int, int], None]
) -> None:
    augmentations = (Augmentation.parse("animerush:0.8"), Augmentation.parse("equalize:0.5"))
    batches = Batches(store, torch.device("cpu"), mirror=True, augmentations=augmentations)

    def seen() -> Tensor:
        torch.manual_seed(1)
        return batches.at(0, 6, 12)  # more than an epoch

    whole = seen()
    for rank in range(processes):
        among(rank, processes)
        assert torch.equal(seen(), whole[rank::processes])


def test_path_lengths_are_of_the_same_images(among: Callable[[int, int], None]) -> None:
    def length() -> float:
        gan = stylegan()
        torch.manual_seed(1)
        return gan.path_length(IMAGES[: 12 // shard.processes()])[1]["path_length"].item()

    whole, parts = length(), []
    for rank in range(3):
        among(rank, 3)
        parts.append(length())
    assert sum(parts) / 3 == pytest.approx(whole, rel=1e-5)


def undivided(source: str) -> list[str]:
    """The statements that draw from the global generator and keep all of it, except where weights
    are made.
    """
    draws = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "bernoulli"}
    found = []

    def visit(node: ast.AST, statement: ast.stmt | None) -> None:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return
        if isinstance(node, ast.stmt):
            statement = node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}  # type: ignore
            own = {keyword.arg for keyword in node.keywords} & {"generator"} or "mine" in names
            if node.func.attr in draws | {"Dropout"} and not own:
                found.append(ast.unparse(node))
        for child in ast.iter_child_nodes(node):
            visit(child, statement)

    visit(ast.parse(source), None)
    return found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "models").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_model_draws_but_for_the_whole_batch(path: Path) -> None:
    assert not undivided(path.read_text())


def test_a_draw_that_is_not_divided_is_found() -> None:
    assert undivided("def f(x):\n    return x * torch.rand(len(x))") == ["torch.rand(len(x))"]
    assert undivided("D = nn.Sequential(nn.Dropout(0.4))") == ["nn.Dropout(0.4)"]
    assert not undivided("x = mine(torch.rand(whole(3)))")


def test_a_batch_that_cannot_be_shared_is_refused(
    make_trainer: TrainerMaker, among: Callable[[int, int], None]
) -> None:
    among(0, 3)
    with pytest.raises(UserError, match=r"--batch 4: 3 processes share it"):
        make_trainer(batch=4)


def torchrun(
    folder: Path, *arguments: str, at_tick: Callable[[int], None] = lambda pid: None
) -> tuple[int, str]:
    """Run two processes in a folder: exit code and words. `at_tick` is called at the first tick,
    with torchrun's own process.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*TORCHRUN, *arguments], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        words = []
        for line in process.stderr:
            if line.startswith("tick") and not any(w.startswith("tick") for w in words):
                at_tick(process.pid)
            words.append(line)
        return process.wait(), "".join(words)


@pytest.mark.slow
def test_two_processes_make_the_run_that_one_makes(tmp_path: Path) -> None:
    code, words = torchrun(ROOT, "-m", "tests.two_processes", str(tmp_path))
    assert code == 0, words
    for name, case in CASES.items():
        ours, theirs = (torch.load(tmp_path / f"{name}-{rank}.pt") for rank in (0, 1))
        for weight, tensor in ours["weights"].items():
            assert torch.equal(tensor, theirs["weights"][weight]), (name, weight)
        assert ours["means"] == theirs["means"], name
        alone = trained(case, tmp_path / name)
        assert alone["means"].keys() == ours["means"].keys()
        same = same_run(alone, ours)
        # Batch norm's statistics are each process's own: the run is another one.
        assert same == (name != "batch-norm"), name


def same_run(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether weights, buffers and stats agree within the rounding of sums in another order."""
    try:
        torch.testing.assert_close(a["weights"], b["weights"], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(a["means"], b["means"], rtol=1e-3, atol=1e-5)
    except AssertionError:
        return False
    return True


RUN = ["run", "--data=pictures", "--model=stylegan", "--variant=tiny", "--batch=4", "--mirror"]
RUN += ["--augment=color-jitter:0.5", "--kimg=0.06", "--tick=0.012", "--snap=0.03"]
RUN += ["--device=cpu", "--precision=fp32", "--memory-format=contiguous"]
RUN += [f"--set={name}={value}" for name, value in {**TINY_STYLEGAN, "r1_interval": 2}.items()]
TIMES = {"seconds", "sec_per_kimg", "images_per_sec", "peak_memory_bytes"}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures` and a run of two processes in `results`, never interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    write_pictures(folder / "pictures", 10)
    code, words = torchrun(folder, "-m", "benchmarks", *RUN)
    assert code == 0, words
    said = [line for line in words.splitlines() if line.startswith(("tick", "finished"))]
    assert len(said) == 6, "one of them speaks"
    return folder


@pytest.fixture
def folder(straight: Path, tmp_path: Path) -> Path:
    """A folder with the same pictures and no run yet."""
    shutil.copytree(straight / "pictures", tmp_path / "pictures")
    return tmp_path


def only_run(folder: Path) -> RunDir:
    (run,) = RunDir.all(folder / "results")
    return run


def stats(run: RunDir) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in TIMES} for row in run.rows(STATS)]


def process_of(rank: int, torchrun_pid: int) -> int:
    """The process of a rank, among torchrun's children."""
    children = Path(f"/proc/{torchrun_pid}/task/{torchrun_pid}/children").read_text().split()
    (pid,) = [c for c in children if f"\0RANK={rank}\0" in Path(f"/proc/{c}/environ").read_text()]
    return int(pid)


@pytest.mark.slow
def test_signals_stop_all_at_one_step_and_resuming_is_exact(straight: Path, folder: Path) -> None:
    def end_torchrun(pid: int) -> None:
        os.kill(pid, signal.SIGTERM)

    def end_the_second(pid: int) -> None:
        os.kill(process_of(1, pid), signal.SIGTERM)

    for arguments, at_tick in (RUN, end_torchrun), (["run", "--resume"], end_the_second):
        code, words = torchrun(folder, "-m", "benchmarks", *arguments, at_tick=at_tick)
        assert code == 1, words  # torchrun's; what became of the run is in its status
        assert only_run(folder).status["state"] == "stopped", words
        assert "go on with: torchrun ... -m benchmarks run --resume results/00000-" in words
    code, words = torchrun(folder, "-m", "benchmarks", "run", "--resume")
    assert code == 0, words

    ours, theirs = only_run(folder), only_run(straight)
    assert ours.status["state"] == "finished"
    assert stats(ours) == stats(theirs)
    assert len(ours.environments) == 3
    for name in ("fakes_000000060.png", "checkpoints/000000060/weights.safetensors"):
        assert (ours.path / name).read_bytes() == (theirs.path / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "state"), [(0, "killed"), (1, "failed")])
def test_a_killed_process_ends_the_run_with_a_word(folder: Path, rank: int, state: str) -> None:
    killed_at = []

    def kill(pid: int) -> None:
        killed_at.append(time.monotonic())
        os.kill(process_of(rank, pid), signal.SIGKILL)

    code, words = torchrun(folder, "-m", "benchmarks", *RUN, "--kimg=100", at_tick=kill)
    assert time.monotonic() - killed_at[0] < 60
    assert code == 1
    assert "error: another process of this run has ended" in words
    assert "--resume RUN under the same torchrun" in words
    assert only_run(folder).status["state"] == state


@pytest.mark.slow
def test_as_many_processes_are_recorded_and_others_may_go_on(
    straight: Path, folder: Path, bench: Bench
) -> None:
    shutil.copytree(straight / "results", folder / "results")
    code, _, words = bench("run", "--resume", "--kimg=0.064")
    assert code == 0, words
    assert "processes: 2 before, 1 now" in words
    run = only_run(folder)
    assert [start["processes"] for start in run.environments] == [2, 1]
    assert run.environments[0]["hardware"].startswith("2 x ")
    assert not run.environments[1]["hardware"].startswith("2 x ")
