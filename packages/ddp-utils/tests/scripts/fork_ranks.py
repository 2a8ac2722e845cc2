"""Run a function as several processes of one group, forked from this process, which has imported torch already."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ddp_utils import process_group


def run_ranks(function: Callable[..., Any], world_size: int, *arguments: Any) -> tuple[list[int], list[Any]]:
    """Call function(world, *arguments) in each process; their wait statuses and results (None where it has none)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(world_size):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size))
                os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
                with process_group("cpu", timeout=timedelta(seconds=60)) as world:
                    result = function(world, *arguments)
                with os.fdopen(write, "wb") as pipe:
                    pickle.dump(result, pipe)
                code = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(code)
        os.close(write)
        children.append((child, read))
    statuses, results = [], []
    for child, read in children:
        with os.fdopen(read, "rb") as pipe:
            content = pipe.read()
        statuses.append(os.waitpid(child, 0)[1])
        results.append(pickle.loads(content) if content else None)
    return statuses, results


def all_well(outcome: tuple[list[int], list[Any]]) -> list[Any]:
    """The results, if every process ended well."""
    statuses, results = outcome
    assert not any(statuses), f"a process failed: {statuses}"
    return results
