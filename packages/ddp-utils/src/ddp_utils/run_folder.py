"""A run's folder: who writes to it, what it was started with, where it ran."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ddp_utils.atomic import atomic_file


class RunFolderInUseError(RuntimeError):
    """Another process writes to this run folder."""


@contextlib.contextmanager
def lock_run_folder(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; the operating system lets go of it when the process ends, however it ends.

    Args:
        folder: the run folder; made if missing.

    Raises:
        RunFolderInUseError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderInUseError(
                    f"{folder}: another process is writing to this run; wait or stop it"
                ) from error
        yield


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, Any]:
    """What a report needs to know of the machine and the installation, as JSON-able values."""
    names = ("torch", "numpy", "numba", "faiss-gpu", "faiss-cpu", "transformers", "gensim", "safetensors", "triton")
    own = ("neuro", "sdquant", "binemb", "spikecode", "spikeformer", "evosnn", "neuro-lsm", "neuro-ddp-utils")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": cpu_count(),
        "memory_gib": _memory_gib(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": {name: version for name in (*own, *names) if (version := _version(name))},
    }


def write_environment(folder: Path) -> None:
    """Write `env.json`."""
    with atomic_file(folder / "env.json") as temporary:
        temporary.write_text(json.dumps(environment(), indent=1), encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
