"""Inner loops, compiled, beside their plain references; `in_use` says which run where.

numba runs them on the CPU, Triton on CUDA where it is asked for, numpy where `device="reference"` is.
"""

from __future__ import annotations

import importlib.util


def in_use(device: object = "cpu") -> str:
    """Name what runs a network that is built for a device.

    Args:
        device: a device or its name, such as "cpu" or "cuda:0".

    Returns:
        "numba", "triton", "numpy reference", or "none" where nothing runs there.
    """
    device_type = str(device).partition(":")[0]
    if device_type in ("cpu", "auto"):
        return "numba"
    if device_type == "reference":
        return "numpy reference"
    return "triton" if device_type == "cuda" and importlib.util.find_spec("triton") is not None else "none"
