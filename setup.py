"""Everything about the package stands in pyproject.toml, but for compiling the ops ahead of time:

GAN_VERSUS_BUILD_OPS=1 pip install --no-build-isolation .
"""

import os
import sys
from pathlib import Path

from setuptools import setup


def build_ops() -> None:
    """Fill the cache of compiled ops, as `bench ops build` does."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from data.errors import MissingError
        from ops.build import build
        from ops.recipe import devices
    except ModuleNotFoundError as error:
        sys.exit(f"error: GAN_VERSUS_BUILD_OPS=1: {error}; use pip with --no-build-isolation")
    try:
        for device in devices():
            build(device)
    except MissingError as error:
        sys.exit(f"error: {error}")


if os.environ.get("GAN_VERSUS_BUILD_OPS") == "1":
    build_ops()
setup()
