"""Processes of one training run: the group, who is who, and how they agree.

Every function works without a process group too (one process, world size 1), so a loop reads the same on a laptop and
under torchrun.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from ddp_utils.launcher import LAUNCHER, note_trouble

T = TypeVar("T")

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class RemoteError(RuntimeError):
    """Work that one process did for all has failed there; the message is that process's own."""


@dataclass(frozen=True)
class World:
    """Where this process stands.

    Args:
        rank: number of this process, 0 to world_size - 1.
        local_rank: number of this process on its machine.
        world_size: number of processes.
        device: where this process computes.
    """

    rank: int
    local_rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """True in the one process that writes, logs and draws."""
        return self.rank == 0


def resolve_device(device: str = "auto", local_rank: int = 0) -> torch.device:
    """The device that a name stands for.

    Args:
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda" (this process's own) or "cuda:i".
        local_rank: number of this process on its machine; picks among the machine's CUDA devices.

    Raises:
        ValueError: the name is not one of these, or CUDA is asked for and absent.
    """
    name, _, index = device.partition(":")
    if device not in {"auto", "cpu", "cuda"} and not (name == "cuda" and index.isdecimal()):
        raise ValueError(f"device: expected auto, cpu, cuda or cuda:<number>, got {device!r}")
    count = torch.cuda.device_count() if name != "cpu" else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return torch.device("cpu")
    chosen = int(index) if index else local_rank % max(count, 1)
    if chosen >= count:
        raise ValueError(f"device: {device!r} asked for, but torch sees {count} CUDA devices; use --device cpu")
    return torch.device("cuda", chosen)


@contextlib.contextmanager
def process_group(device: str = "auto", *, timeout: timedelta = timedelta(minutes=10)) -> Iterator[World]:
    """Join the process group that torchrun announces, or be the only process.

    NCCL carries CUDA tensors and gloo CPU tensors. A process that was started by `launch` dies with its launcher, so
    that a killed job leaves nothing behind that still writes.

    Args:
        device: as in `resolve_device`.
        timeout: how long a collective may wait for the slowest process.

    Yields:
        The `World` of this process.

    Raises:
        ValueError: the device does not exist, or several processes would share a CUDA device.
    """
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    where = resolve_device(device, local_rank)
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if where.type == "cuda" and sharing > 1 and (":" in device or sharing > torch.cuda.device_count()):
        raise ValueError(
            f"device: {sharing} processes on this machine cannot share {torch.cuda.device_count()} CUDA devices as "
            f"{device!r}; use as many processes as devices and --device cuda, or --device cpu"
        )
    if where.type == "cuda":
        torch.cuda.set_device(where)
    world = World(rank, local_rank, world_size, where)
    if world_size == 1 or dist.is_initialized():
        yield world
        return
    _die_with_parent()
    backend = "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo"
    with _stdout_as_stderr():
        dist.init_process_group(backend, timeout=timeout, device_id=where if where.type == "cuda" else None)
    try:
        yield world
        barrier()  # one that left first would close connections that others still read from
    except BaseException:
        note_trouble()
        raise
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """Gloo of older releases announces itself on stdout, which belongs to the command's own output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        parent = str(os.getppid())
        if os.environ.get(LAUNCHER, parent) != parent:
            raise SystemExit("the launcher has ended")  # before this process could ask to be told


def rank() -> int:
    """Number of this process, 0 without a group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 without a group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """True in rank 0."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        all_true(True)  # a reduction over CPU tensors: waits on gloo, whatever the device


def gather_objects(value: T) -> list[T]:
    """What each process holds, in order of rank, in every process."""
    if not dist.is_initialized():
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def broadcast_object(value: T) -> T:
    """The main process's value, in every process."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def _reduce_int(value: int, op: dist.ReduceOp.RedOpType) -> int:
    if not dist.is_initialized():
        return value
    tensor = torch.tensor([value], dtype=torch.int64)
    dist.all_reduce(tensor, op=op)
    return int(tensor)


def any_true(flag: bool) -> bool:
    """True in every process if it is in one."""
    return bool(_reduce_int(int(flag), dist.ReduceOp.MAX))


def all_true(flag: bool) -> bool:
    """True in every process if it is in all."""
    return bool(_reduce_int(int(flag), dist.ReduceOp.MIN))


def all_min(value: int) -> int:
    """The least of all processes' values."""
    return _reduce_int(value, dist.ReduceOp.MIN)


def all_max(value: int) -> int:
    """The greatest of all processes' values."""
    return _reduce_int(value, dist.ReduceOp.MAX)


def run_on_main(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function in the main process only and give every process its result.

    No process waits for ever when the call fails: the main process raises what happened, the others a `RemoteError`
    with the same message.

    Args:
        function: what to call; its result must be picklable where there are several processes.
        *args: its arguments.
        **kwargs: its keyword arguments.
    """
    result, failure = None, None
    if is_main():
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if not dist.is_initialized():
                raise
            failure = error
    message, result = broadcast_object((None if failure is None else f"{failure}", result))
    if failure is not None:
        raise failure
    if message is not None:
        raise RemoteError(message)
    return result  # pyright: ignore[reportReturnType]


def raise_together(failure: Exception | None) -> None:
    """Raise in every process when one of them has failed, before the next collective could hang.

    Args:
        failure: what went wrong in this process, or None.

    Raises:
        Exception: this process's own failure.
        RemoteError: another process failed; with the message of the first that did.
    """
    messages = gather_objects(None if failure is None else str(failure))
    if failure is not None:
        raise failure
    first = next((f"process {i}: {message}" for i, message in enumerate(messages) if message is not None), None)
    if first is not None:
        raise RemoteError(first)
