"""Refusing what would not fit in memory, before anything of it is allocated."""

from __future__ import annotations

from pathlib import Path

import torch


def available_memory(device: torch.device | str = "cpu") -> int | None:
    """Bytes that can still be allocated on a device; None where the system does not tell."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    facts = Path("/proc/meminfo")
    if device.type != "cpu" or not facts.exists():
        return None
    for line in facts.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def readable_size(n_bytes: int) -> str:
    """Bytes as people write them: '6.1 MB', '1.2 TB'."""
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB", "PB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"


def refuse_beyond_memory(caller: str, n_bytes: int, what: str, mend: str, device: torch.device | str = "cpu") -> None:
    """Raise MemoryError where an allocation would exceed what the device has left.

    Args:
        caller: who would allocate.
        n_bytes: how much, at its peak.
        what: what it is for.
        mend: what to do instead.
        device: where.

    Raises:
        MemoryError: it does not fit; nothing was allocated.
    """
    left = available_memory(device)
    if left is not None and n_bytes > left:
        raise MemoryError(
            f"{caller}: {what} needs {readable_size(n_bytes)}, {readable_size(left)} are available on {device}; {mend}"
        )
