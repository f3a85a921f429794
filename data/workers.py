"""Worker processes: spawned, deaf to Ctrl-C, and gone when their parent is, however it went."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from data.errors import MissingError

MAX_PROCESSES = 61  # what Windows can wait for


def usable_cores() -> int:
    """The cores this process may run on, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool(ProcessPoolExecutor):
    """A pool whose workers leave Ctrl-C to the parent and do not outlive it.

    They are spawned, not forked: a fork of a process with threads, such as torch's, may never wake
    up. So a script that uses a pool needs `if __name__ == "__main__":`.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(
            min(processes, MAX_PROCESSES),
            multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As the base class does; a worker that this starts is deaf to Ctrl-C from birth."""
        with _interrupts_ignored():
            return super().submit(fn, *args, **kwargs)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Drop what has not begun.

        Raises:
            MissingError: a worker was killed, for want of memory.
        """
        self.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise MissingError(
                "a worker process ended too early: for want of memory, most likely, so close other "
                "programs; or else a script calls this outside of `if __name__ == '__main__':`"
            ) from error


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
