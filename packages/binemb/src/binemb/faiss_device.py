"""Where faiss searches: the CPU, or one of the GPUs that it sees."""

from __future__ import annotations

from typing import Any

MOST_HITS_ON_GPU = 2048  # faiss selects no more on a GPU


def faiss_gpu_count() -> int:
    """GPUs that faiss can search on; 0 for its CPU build."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "GpuIndexBinaryFlat") else 0


def gpu_number(device: str, *, function: str) -> int | None:
    """The GPU that a device name means.

    Args:
        device: "cpu", "cuda" (the first GPU) or "cuda:N".
        function: who asks, for the error's text.

    Returns:
        Its number, or None for the CPU.

    Raises:
        ValueError: no such name, or a GPU that faiss does not see.
    """
    kind, _, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (":" in device and not number.isdecimal())):
        raise ValueError(f"{function}: device must be cpu, cuda or cuda:N, got {device!r}")
    if kind == "cpu":
        return None
    gpu, n_gpus = int(number or 0), faiss_gpu_count()
    if gpu >= n_gpus:
        seen = f"{n_gpus} GPUs" if n_gpus else "no GPU"
        raise ValueError(f"{function}: device {device!r} asked for, but faiss sees {seen}; use 'cpu'")
    return gpu


def check_hits_on_gpu(k: int, *, function: str) -> None:
    """Refuse more hits a query than faiss can select on a GPU.

    Raises:
        ValueError: k is above 2048.
    """
    if k > MOST_HITS_ON_GPU:
        raise ValueError(
            f"{function}: a GPU finds at most {MOST_HITS_ON_GPU} codes a query (k, times oversample where hits are "
            f"scored again), got {k}; use device 'cpu'"
        )


def gpu_index(name: str, width: int, gpu: int) -> Any:
    """An empty index of faiss on a GPU.

    Args:
        name: "GpuIndexBinaryFlat" or "GpuIndexFlatIP".
        width: bits or dimensions a row.
        gpu: number of the GPU.
    """
    import faiss

    config = getattr(faiss, {"GpuIndexFlatIP": "GpuIndexFlatConfig"}.get(name, f"{name}Config"))()
    config.device = gpu
    return getattr(faiss, name)(faiss.StandardGpuResources(), width, config)
