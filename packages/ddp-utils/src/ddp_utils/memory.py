"""Batch sizes that fit, and what to do when one does not."""

from __future__ import annotations

import gc
import logging
import resource
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from ddp_utils.distributed import all_min, any_true

T = TypeVar("T")
log = logging.getLogger("ddp_utils")


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's, the CPU allocator's and Python's own ways of saying that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        phrase in str(error) for phrase in ("not enough memory", "can't allocate memory", "CUDA out of memory")
    )


def _attempt(work: Callable[[int], T], size: int) -> tuple[T | None, BaseException | None]:
    try:
        return work(size), None
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None, error.with_traceback(None)  # the traceback would keep the failed step's tensors alive


def _release() -> None:
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def find_batch_size(probe: Callable[[int], object], *, upper: int, multiple_of: int = 1) -> int:
    """The largest batch of upper, upper/2, upper/4, ... that fits in memory, the same in every process.

    Args:
        probe: runs forward and backward on a batch of the given size, without collectives: a process that runs out
            of memory must not leave the others waiting.
        upper: size tried first, >= multiple_of: usually this process's share of the global batch.
        multiple_of: smallest size, and divisor of every size tried.

    Returns:
        The batch size: the least that any process found.

    Raises:
        ValueError: upper is not a positive multiple of multiple_of.
        MemoryError: not even the smallest size fits (in every process).
    """
    if multiple_of < 1 or upper < multiple_of or upper % multiple_of:
        raise ValueError(f"find_batch_size: upper={upper} is not a positive multiple of {multiple_of}")
    size = upper
    while size:
        _, error = _attempt(probe, size)
        _release()
        if error is None:
            break
        size = _halve(size, multiple_of)
    size = all_min(size)
    if size == 0:
        raise MemoryError(f"a batch of {multiple_of} does not fit in memory; make the model or its batch group smaller")
    return size


def _halve(size: int, multiple_of: int) -> int:
    """Half the size, rounded down to the multiple; 0 when that is no longer a batch."""
    return size // 2 // multiple_of * multiple_of


def retry_on_out_of_memory(step: Callable[[int], T], batch_size: int, *, multiple_of: int = 1) -> tuple[T, int]:
    """Run one step; while any process runs out of memory, all halve the micro-batch and run it again.

    Args:
        step: computes the gradients of this process's share of the step in micro-batches of the given size, without
            collectives and from scratch (it zeroes the gradients first).
        batch_size: micro-batch to start with.
        multiple_of: smallest size, and divisor of every size tried.

    Returns:
        The step's result and the size that worked; use it from now on.

    Raises:
        MemoryError: the smallest size does not fit (in every process).
    """
    while True:
        result, error = _attempt(step, batch_size)
        if not any_true(error is not None):
            return result, batch_size  # pyright: ignore[reportReturnType]
        result = None
        _release()
        smaller = _halve(batch_size, multiple_of)
        if smaller == 0:
            raise MemoryError(f"out of memory with the smallest micro-batch of {batch_size}") from error
        log.warning("out of memory with micro-batches of %d: trying %d", batch_size, smaller)
        batch_size = smaller


def memory_report(device: torch.device) -> dict[str, float]:
    """Peak memory in MiB: this process's on the host, and on the CUDA device what torch allocated and reserved."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = {"host_peak_mib": peak / (2**20 if sys.platform == "darwin" else 2**10)}
    if device.type == "cuda":
        report["device_peak_allocated_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
        report["device_peak_reserved_mib"] = torch.cuda.max_memory_reserved(device) / 2**20
    return report
