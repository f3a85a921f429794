"""The compiled ops' libraries: whatever kills, damages or hinders a build, the next one works."""

import ctypes
import errno
import json
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

import benchmarks.cli
import ops.recipe
from data.cache import cache_folder
from data.errors import MissingError
from data.files import PARTIAL
from ops.build import SHA256, build, load, ninja_file
from ops.recipe import Recipe, architectures, devices, recipe

Bench = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[1]
# Notes each compilation, and holds it up until there is a file `go` (no longer than a minute).
COMPILER = """#!/bin/sh
case " $* " in *" -c "*)
    echo $$ >> '{folder}/calls'
    for i in $(seq 600); do [ -e '{folder}/go' ] && break; sleep 0.1; done;;
esac
exec '{compiler}' "$@"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "a cache"))
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    return tmp_path / "a cache" / "ops"


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A C++ compiler that notes its calls."""
    try:
        text = COMPILER.format(folder=tmp_path, compiler=ops.recipe.cxx())
    except MissingError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("CXX", str(program(tmp_path / "c++", text)))
    (tmp_path / "go").touch()
    return tmp_path / "c++"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: Path) -> Path:
    """Two small sources and a header."""
    folder = tmp_path / "some $ sources"
    (folder / "cpu").mkdir(parents=True)
    (folder / "number.h").write_text("#define NUMBER 40\n")
    (folder / "cpu" / "one.cpp").write_text("int two() { return 2; }\n")
    (folder / "cpu" / "two.cpp").write_text(
        '#include "number.h"\nint two();\nextern "C" int answer() { return NUMBER + two(); }\n'
    )
    monkeypatch.setattr("ops.recipe.SOURCES", folder)
    return folder


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Run `bench`: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            benchmarks.cli.main()
        return int(ending.value.code or 0), *capsys.readouterr()

    return call


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def answer(library: Path) -> int:
    """What a library made of `sources` computes; from a copy, as one path is loaded once."""
    copy = library.with_name(f"{time.monotonic_ns()}.so")
    shutil.copy(library, copy)
    return ctypes.CDLL(str(copy)).answer()


def calls(folder: Path) -> list[int]:
    """The process of each compilation so far."""
    noted = folder / "calls"
    return [int(line) for line in noted.read_text().split()] if noted.exists() else []


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(sources: Path, log: Path) -> subprocess.Popen[bytes]:
    """Another process that builds."""
    script = (
        "import sys; from pathlib import Path; import ops.recipe\n"
        "ops.recipe.SOURCES = Path(sys.argv[1])\n"
        "from ops.build import build; print(build('cpu'))"
    )
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", script, str(sources)], cwd=ROOT, stdout=output, stderr=output
        )


def test_a_library_is_compiled_once_and_says_so(
    sources: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = build("cpu")
    assert library.is_relative_to(cache)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["compiling", "compiled"]
    assert len(calls(tmp_path)) == 2
    assert answer(library) == 42
    load.__wrapped__("cpu")
    assert str(library) in torch.ops.loaded_libraries
    assert build("cpu") == library
    assert len(calls(tmp_path)) == 2
    assert capsys.readouterr().err == ""
    assert not list(cache.glob("*/*.o"))


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("GAN_VERSUS_CACHE", "~/own")
    assert cache_folder("ops") == tmp_path / "own" / "ops"
    monkeypatch.delenv("GAN_VERSUS_CACHE")
    assert cache_folder("ops") == Path("/xdg/gan-versus/ops")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("ops") == tmp_path / ".cache" / "gan-versus" / "ops"


# What there is when the process is killed: the lock, the folder, one object's compiler, both.
MOMENTS: dict[str, Callable[[Path, Path], Any]] = {
    "lock": lambda cache, folder: (cache / ".lock").exists(),
    "folder": lambda cache, folder: list(cache.glob(f"{PARTIAL}*")),
    "compilers": lambda cache, folder: calls(folder),
    "object": lambda cache, folder: list(cache.glob(f"{PARTIAL}*/*.o")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_build_does_not_hinder_the_next(
    sources: Path, tmp_path: Path, cache: Path, moment: str
) -> None:
    if moment == "compilers":
        (tmp_path / "go").unlink()
    with start(sources, tmp_path / "log") as process:
        wait_for(lambda: MOMENTS[moment](cache, tmp_path) or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()  # the dead process's compilers go on beside the new ones
    library = build("cpu")
    assert answer(library) == 42
    assert not list(cache.glob(f"{PARTIAL}*/{SHA256}"))


def test_an_interrupted_build_ends_its_compilers_and_leaves_nothing(
    sources: Path, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "go").unlink()
    with start(sources, tmp_path / "log") as process:
        wait_for(lambda: calls(tmp_path))
        process.send_signal(signal.SIGINT)
    assert process.returncode != 0
    wait_for(lambda: not any(map(alive, calls(tmp_path))))
    assert not list(cache.glob(f"{PARTIAL}*"))


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip() not in ("", "Z")


@pytest.mark.parametrize("victim", ["ninja", "compiler"])
def test_a_killed_tool_is_an_error_and_the_next_build_works(
    sources: Path, compiler: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    with monkeypatch.context() as patch:
        if victim == "ninja":
            path = program(sources / "ninja", "#!/bin/sh\nkill -9 $$\n")
            patch.setattr("ops.recipe._ninja", lambda: str(path))
        else:
            text = compiler.read_text().replace("exec", '[ "$1" = --version ] || kill -9 $$; exec')
            patch.setenv("CXX", str(program(sources / "c++", text)))
        with pytest.raises(MissingError, match=r"compiling them fails: .*\.log"):
            build("cpu")
    assert answer(build("cpu")) == 42


def test_of_two_processes_one_builds_and_the_other_waits_aloud(
    sources: Path, tmp_path: Path
) -> None:
    (tmp_path / "go").unlink()
    logs = [tmp_path / "first", tmp_path / "second"]
    with start(sources, logs[0]) as first, start(sources, logs[1]) as second:
        wait_for(lambda: "waiting for another process" in logs[0].read_text() + logs[1].read_text())
        (tmp_path / "go").touch()
    words = sorted((log.read_text() for log in logs), key=len)
    assert (first.returncode, second.returncode) == (0, 0), words
    assert [text.count("waiting") for text in words] == [1, 0]
    assert [text.count("compiled") for text in words] == [0, 1]
    assert len({text.splitlines()[-1] for text in words}) == 1
    assert len(calls(tmp_path)) == 2


def cut(library: Path) -> None:
    os.truncate(library, library.stat().st_size // 2)


def flip(library: Path) -> None:
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    library.write_bytes(content)


def forget(library: Path) -> None:
    library.with_name(SHA256).unlink()


@pytest.mark.parametrize("harm", [cut, flip, forget])
def test_a_damaged_library_is_found_and_compiled_again(
    sources: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], None]
) -> None:
    library = build("cpu")
    capsys.readouterr()
    harm(library)
    assert answer(build("cpu")) == 42
    assert (
        capsys.readouterr()
        .err.splitlines()[0]
        .endswith("library.so is damaged: compiling it again")
    )


def test_a_library_that_does_not_load_is_missing(sources: Path) -> None:
    library = build("cpu")
    library.write_text("no library")
    library.with_name(SHA256).write_text(ops.build.sha256_file(library))
    with pytest.raises(MissingError, match="does not load") as caught:
        load.__wrapped__("cpu")
    assert "\n" not in str(caught.value)


def test_an_error_in_a_source_names_the_log(sources: Path, cache: Path) -> None:
    source = sources / "cpu" / "one.cpp"
    good = source.read_text()
    source.write_text("int two() { return nothing; }\n")
    with pytest.raises(
        MissingError, match=r"one\.cpp:1:20: error: .*nothing.*\(all of it: "
    ) as caught:
        build("cpu")
    assert "\n" not in str(caught.value)
    log = Path(str(caught.value).partition("all of it: ")[2].removesuffix(")"))
    assert "error: " in log.read_text()
    assert {path.name for path in cache.iterdir()} == {".lock", log.name}
    source.write_text(good)
    assert answer(build("cpu")) == 42


def test_what_the_linker_misses_is_said(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.recipe.CPU_LINK_FLAGS", ("-lnowhere_to_be_found",))
    with pytest.raises(MissingError, match="nowhere_to_be_found"):
        build("cpu")


def key() -> str:
    ops.recipe._output.cache_clear()
    return recipe("cpu").key


def test_the_key_changes_with_all_that_the_library_depends_on(
    sources: Path, compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [key()]
    for file in (sources / "number.h", sources / "cpu" / "one.cpp"):
        file.write_text(file.read_text() + "\n")
        keys.append(key())
    (sources / "cpu" / "one.cpp").rename(sources / "cpu" / "three.cpp")
    keys.append(key())
    monkeypatch.setattr("ops.recipe.CXX_FLAGS", ("-O2", "-fPIC"))
    keys.append(key())
    monkeypatch.setattr("torch.__version__", "2.99.0")
    keys.append(key())
    for answer in ("--version*) echo 'g++ 99.1'; exit", "*-dM*) echo '#define __AVX99__'; exit"):
        program(
            compiler, compiler.read_text().replace("exec", f'case "$*" in {answer};; esac\nexec')
        )
        keys.append(key())
    assert len(set(keys)) == len(keys)


def test_the_key_depends_on_no_path(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    shutil.copytree(sources, sources.with_name("copy"))
    monkeypatch.setattr("ops.recipe.SOURCES", sources.with_name("copy"))
    assert key() == before


def test_a_compiler_without_march_native_is_used_without(sources: Path, compiler: Path) -> None:
    refuse = 'case "$*" in *-march*) echo no >&2; exit 1;; esac\nexec'
    program(compiler, compiler.read_text().replace("exec", refuse))
    ops.recipe._output.cache_clear()
    assert answer(build("cpu")) == 42


def fake_nvcc(release: str) -> str:
    return f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.1'\n"


Missing = tuple[str, str, dict[str, str]]
MISSING: dict[str, Missing] = {
    "no compiler": ("cpu", "no C++ compiler: install g++ or clang, or set CXX", {"CXX": ""}),
    "wrong CXX": ("cpu", "CXX is nowhere, which is no program", {"CXX": "nowhere"}),
    "broken CXX": ("cpu", "--version` fails", {"CXX": "{bin}/broken"}),
    "no ninja": ("cpu", "no ninja: pip install ninja", {"CXX": "{bin}/good"}),
    "no nvcc": ("cuda", "no nvcc in /nowhere/bin", {"CUDA_HOME": "/nowhere", "CXX": "{bin}/good"}),
    "old nvcc": ("cuda", "is release 11.8", {"CUDA_HOME": "{bin}/../old", "CXX": "{bin}/good"}),
    "no GPU": ("cuda", "set TORCH_CUDA_ARCH_LIST", {"CXX": "{bin}/good"}),
    "bad list": (
        "cuda",
        'TORCH_CUDA_ARCH_LIST "Hopper": write it as "8.0;9.0+PTX"',
        {"CXX": "{bin}/good", "TORCH_CUDA_ARCH_LIST": "Hopper"},
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_one_line_and_exit_code_3(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    device, words, environment = MISSING[case]
    for name, text in {
        "bin/broken": "#!/bin/sh\nexit 1\n",
        "bin/good": "#!/bin/sh\necho good 1.0\n",
        "old/bin/nvcc": fake_nvcc("11.8"),
        "new/bin/nvcc": fake_nvcc("13.0"),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        program(tmp_path / name, text)
    monkeypatch.setenv("PATH", str(tmp_path))
    if case == "no ninja":
        monkeypatch.setitem(sys.modules, "ninja", None)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for name, value in {"CUDA_HOME": "{bin}/../new", **environment}.items():
        monkeypatch.setenv(name, value.format(bin=tmp_path / "bin"))
    code, out, err = bench("ops", "build", f"--device={device}")
    assert (code, out, err.count("\n")) == (3, "", 1), err
    assert words in err
    assert not (tmp_path / "a cache").exists()
    code, out, _ = bench("ops", "status", "--json")
    rows = {row["device"]: row for row in json.loads(out)}
    assert rows[device]["auto"] == "ref"
    assert words in rows[device]["problem"]
    assert code == (3 if device in devices() else 0), "without a GPU, CUDA is not missed"


def test_a_file_in_place_of_the_cache_is_one_line(sources: Path, cache: Path, bench: Bench) -> None:
    cache.parent.touch()
    code, _, err = bench("ops", "build", "--device=cpu")
    assert (code, err.count("\n")) == (3, 1), err
    assert "set GAN_VERSUS_CACHE to a folder that can be written" in err


def test_a_read_only_cache_serves_what_it_has(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    library = build("cpu")
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert build("cpu") == library
    (sources / "number.h").write_text("#define NUMBER 1\n")
    with pytest.raises(MissingError, match=os.strerror(errno.EROFS)):
        build("cpu")


def test_a_full_disk_leaves_nothing(
    sources: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        with pytest.raises(MissingError, match=os.strerror(errno.ENOSPC)):
            build("cpu")
    assert [path.name for path in cache.iterdir()] == [".lock"]
    assert answer(build("cpu")) == 42


def test_the_command_builds_and_shows(sources: Path, bench: Bench) -> None:
    code, out, _ = bench("ops", "status")
    assert "cpu     native  will be compiled on first use" in out
    code, out, _ = bench("ops", "build", "--device=cpu")
    assert code == 0
    library = Path(out.strip())
    assert answer(library) == 42
    code, out, _ = bench("ops", "status", "--json")
    row = json.loads(out)[0]
    assert row.items() >= {"device": "cpu", "built": True, "library": str(library)}.items()
    _, out, _ = bench("doctor")
    assert f"ok    fused ops for cpu: compiled: {library}" in out


def test_architectures_become_code_for_nvcc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    capabilities = [(9, 0), (8, 0), (9, 0)]
    monkeypatch.setattr("torch.cuda.get_device_capability", capabilities.__getitem__)
    assert architectures() == ["8.0", "9.0"]
    for text in ("9.0+PTX;8.6", " 8.6 9.0+PTX", "8.6,9.0+PTX,"):
        monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", text)
        assert architectures() == ["8.6", "9.0+PTX"]


def test_a_list_of_architectures_is_part_of_the_key(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "csrc" / "cuda").mkdir(parents=True)
    (tmp_path / "csrc" / "cuda" / "one.cu").touch()
    monkeypatch.setattr("ops.recipe.SOURCES", tmp_path / "csrc")
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "nvcc", fake_nvcc("13.0"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr("torch.version.cuda", "13.2")
    plans = {}
    for text in ("8.0;9.0", "9.0 8.0", "9.0"):
        monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", text)
        plans[text] = recipe("cuda")
    assert plans["8.0;9.0"].key == plans["9.0 8.0"].key != plans["9.0"].key
    assert "arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90" in ninja_file(
        plans["8.0;9.0"]
    )
    assert ninja_file(plans["9.0"]).count("-gencode") == 2, "once to compile and once to link"


@pytest.fixture
def cuda_plan(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0;9.0")
    try:
        return recipe("cuda")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_the_cuda_kernels_compile_for_two_architectures(cuda_plan: Recipe) -> None:
    code = build("cuda").read_bytes()
    for architecture in (b"sm_80", b"sm_90"):  # each source's machine code names what it is for
        assert code.count(architecture) >= len(cuda_plan.sources)
    assert b"sm_75" not in code


def test_setup_py_says_what_an_ahead_of_time_build_lacks() -> None:
    environment = {**os.environ, "GAN_VERSUS_BUILD_OPS": "1", "CXX": "nowhere"}
    command = [sys.executable, "setup.py", "--version"]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 1
    assert (
        built.stderr
        == "error: CXX is nowhere, which is no program: install g++ or clang, or set CXX\n"
    )
