"""`bench`: people enter here."""

import ctypes
import platform
import signal
import sys

import click

from benchmarks.commands.claims import claims
from benchmarks.commands.compare import compare
from benchmarks.commands.data import data
from benchmarks.commands.directions import directions
from benchmarks.commands.doctor import doctor
from benchmarks.commands.fid import evaluate_command, fid
from benchmarks.commands.generate import generate
from benchmarks.commands.interpolate import interpolate
from benchmarks.commands.latents import latents
from benchmarks.commands.log import log
from benchmarks.commands.mix import mix
from benchmarks.commands.models import models
from benchmarks.commands.neighbours import neighbours
from benchmarks.commands.ops import ops
from benchmarks.commands.plot import plot
from benchmarks.commands.progress import progress
from benchmarks.commands.recipes import recipes
from benchmarks.commands.report import report
from benchmarks.commands.run import run
from benchmarks.commands.speed import speed
from benchmarks.commands.suite import suite
from benchmarks.commands.table import table
from benchmarks.commands.truncate import truncate
from benchmarks.commands.verify import verify
from benchmarks.commands.weights import weights
from data.errors import UserError

# malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gan-versus", prog_name="bench")
def bench() -> None:
    """StyleGAN or DCGAN? Train both with one trainer, measure both with one yardstick.

    \b
    bench run                          train a DCGAN on drawn faces
    bench run --data photos.zip        ... on your own images
    bench fid                          how far its images are from real ones
    bench table                        every run, every number
    """


COMMANDS = (
    claims,
    compare,
    data,
    directions,
    doctor,
    evaluate_command,
    fid,
    generate,
    interpolate,
    latents,
    log,
    mix,
    models,
    neighbours,
    ops,
    plot,
    progress,
    recipes,
    report,
    run,
    speed,
    suite,
    table,
    truncate,
    verify,
    weights,
)
for command in COMMANDS:
    bench.add_command(command)


def main() -> None:
    keep_freed_memory()
    run_command(bench, "bench")


def keep_freed_memory() -> None:
    """Have the C library keep what tensors leave, for the next ones.

    glibc returns large blocks to the system and takes them anew, which costs a page fault for every
    4 KB: a seventh of the time of `bench eval` on a CPU. Elsewhere this does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # bytes: as much as it takes
        # Before 2.35 it takes no more than 32 MB.
        mallopt(M_MMAP_THRESHOLD, 2**31 - 1) or mallopt(M_MMAP_THRESHOLD, 2**25)


def run_command(command: click.Command, name: str) -> None:
    """Run a command; a user's mistake is one line on stderr and an exit code, no traceback."""
    # SIGTERM unwinds the stack as Ctrl-C does, so that whatever is being written is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(command(prog_name=name, standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)
