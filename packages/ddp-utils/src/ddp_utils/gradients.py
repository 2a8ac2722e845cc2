"""Gradients of all processes, summed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_BYTES = 25 * 2**20  # as DistributedDataParallel: large enough to hide latency, small enough to overlap


def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum the gradients over all processes, in place, in buckets.

        g <- sum_r g_r

    Called after the local backward passes, so that running out of memory or meeting a bad batch can be agreed on
    before anything is sent. Each rank scales its loss by its share of the global batch; the sum is then the gradient
    of the global mean, for any number of processes and micro-batches.

    Args:
        parameters: the same parameters in the same order in every process. A parameter without a gradient counts as
            zero where another process has one, so that ranks which used different parameters still agree; one that no
            process used keeps none, so that optimizers pass over it as they do in a single process.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.uint8)
    dist.all_reduce(used, op=dist.ReduceOp.MAX)
    buckets: list[list[Tensor]] = []
    filled = 0
    for parameter in itertools.compress(trained, used.tolist()):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradient = parameter.grad
        fits = buckets and filled + gradient.nbytes <= BUCKET_BYTES and buckets[-1][0].dtype == gradient.dtype
        if not fits:
            buckets.append([])
            filled = 0
        buckets[-1].append(gradient)
        filled += gradient.nbytes
    flats = [torch.cat([gradient.reshape(-1) for gradient in bucket]) for bucket in buckets]
    handles = [dist.all_reduce(flat, async_op=True) for flat in flats]
    for flat, handle, bucket in zip(flats, handles, buckets, strict=True):
        assert handle is not None
        handle.wait()
        for gradient, summed in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))


def broadcast_module(module: nn.Module) -> None:
    """Give every process the main process's parameters and buffers."""
    if dist.is_initialized():
        for tensor in module.state_dict().values():
            if isinstance(tensor, Tensor):
                dist.broadcast(tensor, src=0)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """True if no value is NaN or infinite."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
