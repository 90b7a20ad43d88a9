"""One command in several processes, as a launcher (accelerate, torchrun) starts it: who does what, and who speaks.

All processes train together (`bench.networks.sharing`). The main one alone teaches teachers, fills the store, reads
dev and test, measures and writes; meanwhile the others wait. Started without a launcher, a process is the main one,
and nothing here does anything.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from multiprocessing import connection
from typing import Any, NoReturn, ParamSpec, TypeVar

from bench.errors import RequestError

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = timedelta(days=7)  # the main process may teach or measure for hours; one that has died is noticed at once
DEVICES = ("auto", "cpu", "cuda", "mps")  # that a command may ask for
GRACE = 3  # seconds for the process that tells of a failure: a launcher ends all with the first that goes


def check_device(name: str) -> None:
    """RequestError: a command cannot ask for this."""
    if name not in DEVICES:
        raise RequestError(f"--device {name}: there are auto, cpu, cuda and mps")


@dataclass
class Here:
    """This process among those of its command."""

    rank: int = 0
    size: int = 1
    store: Any = None  # what all processes can write to, beside their collective operations
    alone: bool = False  # does something by itself, while the others wait
    first_to_fail: bool | None = None  # None: nothing has failed


_here = Here()


def launched() -> bool:
    """Whether a launcher has started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 and {"RANK", "LOCAL_RANK"} <= os.environ.keys()


def start(device: str) -> None:
    """Join the other processes of this command, until this one ends. `device`: auto, cpu, cuda or mps.

    RequestError: more processes on this machine than GPUs, a GPU that processes cannot share, or a launcher that
    started only one process.
    """
    if not launched():
        return refuse_lonely()
    if _here.size > 1:
        return  # has joined
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if device == "mps":
        raise RequestError("--device mps: the GPU of a Mac runs one process: leave the launcher out")
    backend = "gloo"
    if device != "cpu" and torch.cuda.is_available():
        number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= there:
            raise RequestError(f"this machine has {there} GPUs: start as many processes, or say --device cpu")
        torch.cuda.set_device(number)
        backend = "cpu:gloo,cuda:nccl"  # what waits for the main process waits on the CPU
    _here.store, _here.rank, _here.size = next(rendezvous("env://"))
    distributed.init_process_group(backend, store=_here.store, rank=_here.rank, world_size=_here.size, timeout=PATIENCE)
    atexit.register(stop)


def refuse_lonely() -> None:
    """RequestError: accelerate was asked for several processes on the CPU, and started one, which it does not say."""
    if os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ:
        raise RequestError(
            "accelerate launch --cpu starts one process, however many it is asked for: "
            "use torchrun --nproc_per_node 2 -m bench run ... --device cpu"
        )


def stop() -> None:
    """Leave the other processes together, all work done.

    After a failure there may be none to take leave of, and threads that wait for it: the process ends here and now, as
    the destructors of such threads abort it.
    """
    if _here.first_to_fail is not None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(1)  # a launcher's own status is 1, whatever went wrong
    from torch import distributed

    with suppress(RuntimeError):  # another one is gone already
        distributed.barrier()  # one that takes its end of the connections away early has been seen to be aborted
    distributed.destroy_process_group()


def size() -> int:
    """How many processes carry out this command."""
    return _here.size


def count() -> int:
    """How many processes share the present work; 1 where this one does something by itself."""
    return 1 if _here.alone else _here.size


def rank() -> int:
    """This process's number; 0: the main one."""
    return _here.rank


def main() -> bool:
    return _here.rank == 0


def first_on_machine() -> bool:
    return _here.size == 1 or os.environ["LOCAL_RANK"] == "0"


def from_main(work: Callable[[], T]) -> T:
    """What the main process gets by doing this; the others wait for it. What it is must be fit to be pickled."""
    if count() == 1:
        return work()
    import torch
    from torch import distributed

    found: list[Any] = [None]
    if main():
        with by_itself():
            found = [work()]
    distributed.broadcast_object_list(found, 0, device=torch.device("cpu"))
    result: T = found[0]
    return result


def main_first(work: Callable[P, T]) -> Callable[P, T]:
    """All processes do this, each by itself: first the main one, so that the others find what it has stored."""

    @wraps(work)
    def in_turn(*args: P.args, **kwargs: P.kwargs) -> T:
        if count() == 1:
            return work(*args, **kwargs)
        if not main():
            from_main(lambda: None)
        with by_itself():
            found = work(*args, **kwargs)
        if main():
            from_main(lambda: None)
        return found

    return in_turn


def total(value: float) -> float:
    """The sum of every process's value."""
    if count() == 1:
        return value
    import torch
    from torch import distributed

    both = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(both)
    return float(both)


@contextmanager
def by_itself() -> Iterator[None]:
    """Inside, this process shares nothing. It leaves the random numbers that all processes draw as they were."""
    _here.alone = True
    try:
        with other_random_numbers():
            yield
    finally:
        _here.alone = False


@contextmanager
def other_random_numbers() -> Iterator[None]:
    """What is drawn inside does not move on what is drawn afterwards."""
    import torch

    gpus = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(gpus):
        yield


@contextmanager
def failing_together() -> Iterator[None]:
    """A failure inside passes in the process that failed first, and ends all others without a word.

    Those fail a moment later, as they talk to a process that is gone, or at once where the cause is theirs too.
    """
    try:
        yield
    except Exception:
        if not tells():
            leave()
        raise


def tells() -> bool:
    """Whether this process is the one to tell of a failure: the first that asks."""
    if _here.store is None:
        return not launched() or os.environ["RANK"] == "0"  # the command line is wrong, and for all the same
    if _here.first_to_fail is None:
        try:
            _here.first_to_fail = _here.store.add("failures", 1) == 1
        except RuntimeError:  # the process that keeps the store is gone
            _here.first_to_fail = False
    return _here.first_to_fail


def leave() -> NoReturn:
    """End after a failure that another process tells of."""
    time.sleep(GRACE)
    sys.exit(1)


def prints() -> bool:
    """Whether this process is the one to print the outcome: the main one, or the first that failed."""
    return main() if _here.first_to_fail is None else _here.first_to_fail


def end_with_parent() -> None:
    """Of a process that multiprocessing started: it ends at once when its parent is killed, so that it writes nothing
    into what the next command takes for its own."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
