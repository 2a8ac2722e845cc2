"""Which devices a network can be built for, and that a process group fits."""

from __future__ import annotations

from typing import Any

import lsm
import pytest
import torch
import torch.distributed as dist
from lsm.kernels.run import check_where


def test_a_device_is_named_as_torch_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_where("cpu", 2, 8, 4) == 8
    assert check_where("auto", None, None, 1) is None
    assert check_where("cuda", None, None, 1) == check_where("cuda:1", None, None, 1) == 1
    for device, processes, message in (
        ("cuda:2", 1, "torch sees 2, from 0 on"),
        ("cuda:x", 1, "device must be"),
        ("cuda", 2, "one process's"),
        ("cpu", 65, "cannot share 64 partitions"),
    ):
        with pytest.raises(ValueError, match=message):
            check_where(device, None, None, processes)


def test_processes_need_gloo(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lsm.Network()
    network.population("a", 3, lsm.LIF())
    monkeypatch.setattr(dist, "get_world_size", lambda group: 2)
    monkeypatch.setattr(dist, "get_backend", lambda group: "nccl")
    group: Any = object()
    with pytest.raises(ValueError, match="through gloo"):
        network.build(group=group)
