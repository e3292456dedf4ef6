"""What ends a training from outside: SIGTERM, and want of memory."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from fmnist_lib import UserError

MEMORY = ("out of memory", "can't allocate memory")  # as CUDA says it, and as a CPU does


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM in here; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def memory_explained() -> Iterator[None]:
    """Turn an error for want of memory, the device's or the machine's, into a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in MEMORY):
            fix = "lower batch or workers, or end what else uses it; the same command goes on where it stopped"
            raise UserError(" ".join(f"out of memory ({type(error).__name__} {error})".split()), fix) from error
        raise
