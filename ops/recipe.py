"""How a device's kernels are compiled on this machine: compiler, flags, and what they depend on."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from data.errors import MissingError

SOURCES = Path(__file__).parent / "csrc"
TORCH = Path(torch.__file__).parent
SUFFIX = {"cpu": "*.cpp", "cuda": "*.cu"}
MACOS = sys.platform == "darwin"

CXX_FLAGS = ("-O3", "-std=c++20", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
# at::parallel_for is a template: it runs in parallel only where its caller has OpenMP.
OPENMP = () if MACOS else ("-fopenmp",)
NVCC_FLAGS = ("-O3", "-std=c++20", "--expt-relaxed-constexpr", "-Xcompiler", "-fPIC")
# Torch is loaded before the library is, so the linker needs no path to find it by at run time.
CPU_LINK_FLAGS = ("-undefined", "dynamic_lookup") if MACOS else ("-ltorch_cpu", "-lc10")
# The one CUDA runtime of the process: torch has it loaded.
CUDA_LINK_FLAGS = ("-cudart=shared", "-ltorch_cuda", "-ltorch_cpu", "-lc10_cuda", "-lc10")


@dataclass(frozen=True)
class Recipe:
    """What to compile, and how.

    Attributes:
        device: "cpu" or "cuda"; its kernels are in `csrc/<device>/`.
        ninja: the program that runs the compiler.
        compiler: the program, and the C++ compiler that nvcc is to use.
        version: what the compiler says of itself.
        flags: for compiling and for linking.
        link_flags: for linking alone.
        target: what the machine code is for: the processor's features, or the GPU architectures.
    """

    device: str
    ninja: str
    compiler: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    target: str

    @property
    def sources(self) -> list[Path]:
        return sorted((SOURCES / self.device).glob(SUFFIX[self.device]))

    @property
    def headers(self) -> tuple[str, ...]:
        """Flags that say where headers are; -isystem keeps warnings about torch's own away."""
        return ("-I", str(SOURCES), "-isystem", str(TORCH / "include"))

    @property
    def libraries(self) -> tuple[str, ...]:
        return (f"-L{TORCH / 'lib'}", *self.link_flags)

    @functools.cached_property
    def key(self) -> str:
        """A hash of all that the library depends on, wherever that is kept."""
        identity = (self.version, self.flags, self.link_flags, self.target)
        digest = hashlib.sha256(repr((identity, torch.__version__, torch.version.cuda)).encode())
        folders = (SOURCES, SOURCES / self.device)
        for file in sorted(file for folder in folders for file in folder.glob("*.[hc]*")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(SOURCES).as_posix()} {len(content)} ".encode())
            digest.update(content)
        return digest.hexdigest()[:16]


def recipe(device: str) -> Recipe:
    """How the kernels for "cpu" or "cuda" are compiled here.

    Raises:
        MissingError: they cannot be; what is missing is one line.
    """
    found = {"cpu": _cpu, "cuda": _cuda}[device]()
    if not found.sources:
        raise MissingError(f"{SOURCES / device} holds no sources: install gan-versus again")
    return found


def devices() -> list[str]:
    """The devices that this machine is to have compiled ops for."""
    cuda = bool(os.environ.get("TORCH_CUDA_ARCH_LIST")) or torch.cuda.is_available()
    return ["cpu", "cuda"] if cuda else ["cpu"]


def architectures() -> list[str]:
    """The GPU architectures to compile for, such as "8.0" or "9.0+PTX".

    TORCH_CUDA_ARCH_LIST names them; without it they are the visible GPUs'.

    Raises:
        MissingError: there are none, or the list cannot be read.
    """
    listed = os.environ.get("TORCH_CUDA_ARCH_LIST", "")
    found = [word for word in re.split(r"[;,\s]+", listed) if word]
    for word in found:
        if not re.fullmatch(r"\d+\.\d[af]?(\+PTX)?", word):
            raise MissingError(f'TORCH_CUDA_ARCH_LIST "{listed}": write it as "8.0;9.0+PTX"')
    if not found:
        visible = map(torch.cuda.get_device_capability, range(torch.cuda.device_count()))
        found = [f"{major}.{minor}" for major, minor in set(visible)]
    if not found:
        raise MissingError(
            'no GPU is visible to compile for: set TORCH_CUDA_ARCH_LIST, for example to "8.0;9.0"'
        )
    return sorted(set(found))


def cxx() -> str:
    """The C++ compiler: CXX, or the first that is found.

    Raises:
        MissingError: there is none.
    """
    named = os.environ.get("CXX")
    for name in [named] if named else ["g++", "clang++", "c++"]:
        if path := shutil.which(name):
            return os.path.abspath(path)  # ninja runs elsewhere
    cause = f"CXX is {named}, which is no program" if named else "no C++ compiler"
    raise MissingError(f"{cause}: install g++ or clang, or set CXX")


def nvcc() -> str:
    """CUDA's compiler: in CUDA_HOME, or the first that is found.

    Raises:
        MissingError: there is none, or this torch has no use for it.
    """
    if torch.version.cuda is None:
        raise MissingError("this torch is built without CUDA: install one that has it")
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    places = [f"{home}/bin/nvcc"] if home else ["nvcc", "/usr/local/cuda/bin/nvcc"]
    for name in places:
        if path := shutil.which(name):
            return os.path.abspath(path)
    raise MissingError(
        f"no nvcc{f' in {home}/bin' if home else ''}: install the CUDA {torch.version.cuda} "
        "toolkit, or set CUDA_HOME"
    )


def version(compiler: str) -> str:
    """The line in which a compiler names its release.

    Raises:
        MissingError: it does not run.
    """
    text = _output(compiler, "--version")
    if not text:
        raise MissingError(f"`{compiler} --version` fails: mend it, or set CXX to another compiler")
    release = re.search(r"release .*", text)  # nvcc's fourth line
    return release[0] if release else text.splitlines()[0]


def _cpu() -> Recipe:
    compiler = cxx()
    # The predefined macros name every feature of this processor: a cache on a shared home must not
    # hand AVX-512 code to a machine without. Compilers that do not take the flag have none.
    features = _output(compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    flags = (*CXX_FLAGS, *OPENMP, *(["-march=native"] if features else []))
    return Recipe("cpu", _ninja(), (compiler,), version(compiler), flags, CPU_LINK_FLAGS, features)


def _cuda() -> Recipe:
    compiler, host = nvcc(), cxx()
    found, wanted = version(compiler), f"release {torch.version.cuda}"
    if found.partition(".")[0] != wanted.partition(".")[0]:
        raise MissingError(
            f"{compiler} is {found}, and torch was built with {wanted}: install the toolkit of "
            "that release, or set CUDA_HOME to it"
        )
    listed = architectures()
    code = [word for architecture in listed for word in _gencode(architecture)]
    return Recipe(
        "cuda",
        _ninja(),
        (compiler, "-ccbin", host),
        found,
        (*NVCC_FLAGS, *code),
        CUDA_LINK_FLAGS,
        f"{' '.join(listed)} with {version(host)}",
    )


def _gencode(architecture: str) -> list[str]:
    number = architecture.removesuffix("+PTX").replace(".", "")
    words = ["-gencode", f"arch=compute_{number},code=sm_{number}"]
    if architecture.endswith("+PTX"):
        words += ["-gencode", f"arch=compute_{number},code=compute_{number}"]
    return words


def _ninja() -> str:
    places = os.environ.get("PATH", os.defpath)
    with suppress(ImportError):
        from ninja import BIN_DIR

        places = f"{BIN_DIR}{os.pathsep}{places}"
    if path := shutil.which("ninja", path=places):
        return path
    raise MissingError("no ninja: pip install ninja")


@functools.cache
def _output(*command: str) -> str:
    """What a program prints, or "" if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
