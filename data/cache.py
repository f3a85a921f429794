"""Where things that can be made again are kept: compiled ops, weights, features."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """`kind` in $GAN_VERSUS_CACHE, $XDG_CACHE_HOME/gan-versus or ~/.cache/gan-versus."""
    own = os.environ.get("GAN_VERSUS_CACHE")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "gan-versus")
    return (Path(own) if own else shared).expanduser().absolute() / kind
