"""Encode a corpus in two processes, which this script launches; each writes FOLDER/RANK.pt, the events of its share.

python encode_shares.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from ddp_utils import is_launched, launch

SCHEMES = ("poisson", "rate", "latency", "phase", "burst")


def encoded(scheme: str, rank: int, world_size: int) -> tuple:
    """Events of the rows that a process has, and how well it decodes them."""
    import spikecode as sc
    import torch

    x_nD = torch.randn(31, 5, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x_nD, neurons=60, scheme=scheme, sigma=0.05)  # pyright: ignore[reportArgumentType]
    first, last = (len(x_nD) * share // world_size for share in (rank, rank + 1))
    train = sc.SpikeTrain.cat(list(codec.encode_stream(x_nD[first:last], first_token=first, memory=2**16)))
    return (*train.to_events(), codec.decode(train))


def worker(folder: Path) -> None:
    import torch
    from ddp_utils import process_group

    with process_group("cpu") as world:
        found = {scheme: encoded(scheme, world.rank, world.world_size) for scheme in SCHEMES}
        torch.save(found, folder / f"{world.rank}.pt")


if __name__ == "__main__":
    if is_launched():
        worker(Path(sys.argv[1]))
    else:
        code, message = launch("encode_shares", sys.argv[1:], nproc=2)
        sys.exit(message or code)
