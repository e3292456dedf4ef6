"""Processes on this machine that train: forked from one that has imported PyTorch, which need not be the caller."""

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

IMPORTED = ["fmnist_lib.workers.sweep", "fmnist_lib.kernels.second", "torch._dynamo"]  # the last the optimiser wants


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processes(n: int) -> ProcessPoolExecutor:
    """Start n single-thread processes that leave Ctrl-C to this one, and die with it."""
    return ProcessPoolExecutor(n, _context(), _start)


def _context():
    """Fork the processes of every sweep from one that has imported PyTorch; where not on Linux, start each anew."""
    if sys.platform != "linux":  # macOS's own libraries are not safe in a fork
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _start():
    """Leave Ctrl-C to the parent, and die with it, however it dies."""
    from fmnist_lib import machine  # with PyTorch, which the parent may do without

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    machine.prepare()
