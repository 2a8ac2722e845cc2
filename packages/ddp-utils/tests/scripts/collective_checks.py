"""What several processes agree on. Run by `launch` as a module; each process writes {check: failure or ""}.

python -m collective_checks FOLDER
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from ddp_utils import (
    BadBatchBudget,
    Checkpoints,
    DistributedBatchSampler,
    MetricsLog,
    RemoteError,
    SignalStop,
    TooManyBadBatchesError,
    WeightedMeans,
    World,
    all_max,
    all_min,
    all_reduce_gradients,
    all_true,
    any_true,
    barrier,
    broadcast_module,
    broadcast_object,
    capture_random_state,
    find_batch_size,
    gather_objects,
    gradients,
    is_launched,
    is_main,
    keyed_generator,
    process_group,
    raise_together,
    rank,
    read_metrics,
    retry_on_out_of_memory,
    run_on_main,
    seed_everything,
    world_size,
)
from torch import nn

Check = Callable[[World, Path], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@contextmanager
def raises(kind: type[BaseException], text: str) -> Any:
    try:
        yield
    except kind as error:
        if type(error) is not kind or text not in str(error):
            raise AssertionError(f"expected a plain {kind.__name__} with {text!r}") from error
    else:
        raise AssertionError(f"no {kind.__name__}")


@check
def who_is_who(world: World, folder: Path) -> None:
    assert is_launched()
    assert (world_size(), rank(), is_main()) == (2, world.rank, world.rank == 0)
    assert (world.world_size, world.is_main, world.device.type) == (2, world.rank == 0, "cpu")
    assert gather_objects(world.rank) == [0, 1]


@check
def agreement(world: World, folder: Path) -> None:
    mine = bool(world.rank)
    assert any_true(mine)
    assert not all_true(mine)
    assert all_true(True)
    assert not any_true(False)
    assert all_min(2**62 + world.rank) == 2**62, "beyond what a float carries"
    assert all_max(-world.rank) == 0
    barrier()
    assert gather_objects({"rank": world.rank}) == [{"rank": 0}, {"rank": 1}]
    assert broadcast_object(f"from {world.rank}") == "from 0"


@check
def run_on_main_gives_its_result_to_all(world: World, folder: Path) -> None:
    calls = []
    assert run_on_main(lambda x: calls.append(x) or {"answer": x}, 42) == {"answer": 42}
    assert calls == ([42] if is_main() else [])


@check
def run_on_main_fails_everywhere(world: World, folder: Path) -> None:
    def fail() -> None:
        raise FileNotFoundError("no such corpus")

    with raises(FileNotFoundError if is_main() else RemoteError, "no such corpus"):
        run_on_main(fail)

    def silent() -> None:
        raise ValueError

    with raises(ValueError if is_main() else RemoteError, ""):
        run_on_main(silent)


@check
def raise_together_reaches_all(world: World, folder: Path) -> None:
    raise_together(None)
    with raises(ValueError if world.rank == 1 else RemoteError, "line 3 is bad"):
        raise_together(ValueError("line 3 is bad") if world.rank == 1 else None)
    with raises(KeyError if world.rank == 1 else OSError, str(world.rank)):
        raise_together(KeyError("1") if world.rank == 1 else OSError("0"))


def build(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(rank())
    model = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3)).to(dtype)
    broadcast_module(model)
    return model


@check
def broadcast_module_makes_all_alike(world: World, folder: Path) -> None:
    torch.manual_seed(rank())
    model = nn.BatchNorm1d(4)
    model.running_mean = torch.randn(4)
    model.num_batches_tracked = torch.tensor(7 + rank())
    broadcast_module(model)
    values = gather_objects([tensor.tolist() for tensor in model.state_dict().values()])
    assert values[0] == values[1]
    assert int(model.num_batches_tracked) == 7


@check
def summed_gradients_are_those_of_one_process(world: World, folder: Path) -> None:
    inputs = torch.randn(17, 5, generator=keyed_generator(0, "x"), dtype=torch.float64)
    weights = torch.rand(17, 1, generator=keyed_generator(0, "w"), dtype=torch.float64)
    model = build(torch.float64)
    (weights * model(inputs).square()).mean().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    for bucket_bytes in (25 * 2**20, 400, 1):
        model.zero_grad()
        mine = DistributedBatchSampler(17, 16, seed=0, tail="keep")
        for step in range(2):
            part = mine.batch(step)
            if len(part):
                ((weights[part] * model(inputs[part]).square()).sum() / (17 * 3)).backward()
        gradients.BUCKET_BYTES = bucket_bytes
        all_reduce_gradients(model.parameters())
        for parameter, whole in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, whole, rtol=1e-12, atol=1e-12)
    gradients.BUCKET_BYTES = 25 * 2**20


@check
def gradients_of_several_kinds_are_summed(world: World, folder: Path) -> None:
    def parameter(value: float, dtype: torch.dtype, grad: bool, *shape: int) -> nn.Parameter:
        made = nn.Parameter(torch.zeros(shape, dtype=dtype))
        made.grad = torch.full(shape, value, dtype=dtype) if grad else None
        return made

    mine = world.rank + 1.0
    both = [parameter(mine, dtype, True, 3, 2) for dtype in (torch.float32, torch.float64, torch.bfloat16) * 2]
    on_one = parameter(mine, torch.float32, world.rank == 1, 4)
    unused = parameter(mine, torch.float32, False, 2)
    frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
    scalar, empty = parameter(mine, torch.float32, True), parameter(mine, torch.float32, True, 0)
    strided = nn.Parameter(torch.zeros(4, 2).T)
    strided.grad = (torch.arange(8.0).reshape(4, 2) * mine).T
    all_reduce_gradients([*both, on_one, unused, frozen, scalar, empty, strided])
    for entry in both:
        assert entry.grad is not None
        assert entry.grad.tolist() == [[3.0, 3.0]] * 3
    assert on_one.grad is not None
    assert on_one.grad.tolist() == [2.0] * 4
    assert unused.grad is None, "weight decay would move it, as it does not in a single process"
    assert frozen.grad is None
    assert scalar.grad is not None
    assert float(scalar.grad) == 3.0
    assert torch.equal(strided.grad, torch.arange(8.0).reshape(4, 2).T * 3)
    all_reduce_gradients([])


@check
def weighted_means_are_global(world: World, folder: Path) -> None:
    observations = [[(1.5, 3), (2.5, 100)], [(-4.0, 7)]]
    means = WeightedMeans()
    for value, weight in observations[world.rank]:
        means.update({"loss": value}, weight)
    everything = [entry for part in observations for entry in part]
    expected = sum(v * w for v, w in everything) / sum(w for _, w in everything)
    assert math.isclose(means.reduce()["loss"], expected, rel_tol=1e-14)
    means.update({"loss": 3.0} if world.rank == 0 else {"loss": math.nan}, weight=1 - world.rank)
    assert means.reduce() == {"loss": 3.0}
    means.update({"loss" if world.rank == 0 else "error": 1.0})
    with raises(ValueError, "different figures"):
        means.reduce()


@check
def batch_size_is_the_least(world: World, folder: Path) -> None:
    def probe(size: int) -> None:
        if size > (100, 20)[world.rank]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert find_batch_size(probe, upper=64, multiple_of=4) == 16
    with raises(MemoryError, "batch of 32"):
        find_batch_size(probe, upper=64, multiple_of=32)


@check
def a_step_is_retried_by_all(world: World, folder: Path) -> None:
    tried = []

    def step(size: int) -> str:
        tried.append(size)
        if world.rank == 1 and size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return f"done with {size}"

    assert retry_on_out_of_memory(step, 8) == ("done with 2", 2)
    assert tried == [8, 4, 2]
    with raises(MemoryError, "out of memory"):
        retry_on_out_of_memory(step, 8, multiple_of=8)


@check
def a_bad_batch_is_skipped_by_all(world: World, folder: Path) -> None:
    records: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    logging.getLogger("ddp_utils").addHandler(Listener())
    budget = BadBatchBudget(0.0)
    assert not budget.should_skip(False, ids=[1])
    assert budget.should_skip(world.rank == 1, ids=[10 + world.rank])
    assert "records [11]" in records[-1]
    assert "10" not in records[-1]
    with raises(TooManyBadBatchesError, "2 of 3"):
        budget.should_skip(world.rank == 0)


@check
def a_signal_to_one_stops_all(world: World, folder: Path) -> None:
    import os
    import signal

    with SignalStop() as stop:
        assert not stop.agreed()
        if world.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.agreed()


@check
def only_the_main_process_writes_figures(world: World, folder: Path) -> None:
    log = MetricsLog(folder)
    log.write(1, loss=float(world.rank))
    barrier()
    assert read_metrics(folder) == [{"step": 1, "loss": 0.0}]


@check
def a_checkpoint_keeps_what_is_each_process_own(world: World, folder: Path) -> None:
    seed_everything(3, rank=world.rank)
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(1, {"x": torch.ones(2)}, rank_state=capture_random_state())
    checkpoints.save(2, {"x": torch.ones(2) * 2}, rank_state=capture_random_state())
    loaded = checkpoints.load()
    assert loaded is not None
    assert torch.equal(loaded.rank_state["torch"], torch.get_rng_state())
    barrier()
    if is_main():
        (checkpoints.path(2) / "state.safetensors").write_bytes(b"")
    barrier()
    loaded = checkpoints.load()
    assert loaded is not None
    assert gather_objects(loaded.step) == [1, 1]
    with raises(TypeError if is_main() else RemoteError, "cannot store a set"):
        checkpoints.save(3, {"x": {1}})
    barrier()
    if is_main():
        (checkpoints.path(1) / "state.safetensors").write_bytes(b"")
    barrier()
    message = ""
    try:
        checkpoints.load()
    except Exception as error:
        message = str(error)
    assert "every checkpoint is damaged (steps [1, 2])" in message


def main() -> None:
    results = {}
    with process_group("cpu", timeout=timedelta(seconds=40)) as world:
        for entry in CHECKS:
            folder = Path(sys.argv[1], entry.__name__)
            if world.is_main:
                folder.mkdir()
            barrier()
            try:
                entry(world, folder)
                results[entry.__name__] = ""
            except Exception:
                results[entry.__name__] = traceback.format_exc()
            Path(sys.argv[1], f"results-{world.rank}.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
