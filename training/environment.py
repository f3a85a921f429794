"""Where a run runs: versions and hardware, for the record."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from data.errors import MissingError
from data.shard import processes
from data.versions import versions
from training.world import local_processes

PACKAGES = (
    "gan-versus",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "pandas",
    "scipy",
    "clean-fid",
    "safetensors",
)


def describe(device: torch.device) -> dict[str, Any]:
    """Versions, hardware and threads, as JSON can hold them."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(PACKAGES),
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "processes": processes(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "tf32": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
    }


def resolve_device(name: str) -> str:
    """`auto` to the GPU where there is one; other names to themselves.

    Raises:
        MissingError: a GPU is asked for, and there is none, or none for each process.
    """
    gpus = torch.cuda.device_count()
    if name == "cuda" and not gpus:
        raise MissingError("--device cuda: no CUDA device is visible; a new run can use cpu")
    device = ("cuda" if gpus else "cpu") if name == "auto" else name
    if device == "cuda" and local_processes() > gpus:
        raise MissingError(
            f"--nproc-per-node {local_processes()}: it takes a GPU a process, and {gpus} can be "
            "seen; start fewer, or use --device cpu"
        )
    return device


def hardware(device: torch.device) -> str:
    """What does the work, such as "NVIDIA A100", "8 x NVIDIA A100" or "Xeon (2 threads)"."""
    if device.type == "cuda":
        one = torch.cuda.get_device_name(device)
    else:
        one = f"{_cpu_name()} ({torch.get_num_threads()} threads)"
    return one if processes() == 1 else f"{processes()} x {one}"


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most memory used so far: the GPU's, or this process's; None where nobody knows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if os.name == "nt":
        return None
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
