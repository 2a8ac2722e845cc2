"""What several processes agree on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ddp_utils import (
    all_max,
    all_min,
    all_true,
    any_true,
    barrier,
    broadcast_object,
    gather_objects,
    process_group,
    raise_together,
    rank,
    resolve_device,
    run_on_main,
    world_size,
)

CHECKS = [
    "who_is_who",
    "agreement",
    "run_on_main_gives_its_result_to_all",
    "run_on_main_fails_everywhere",
    "raise_together_reaches_all",
    "broadcast_module_makes_all_alike",
    "summed_gradients_are_those_of_one_process",
    "gradients_of_several_kinds_are_summed",
    "weighted_means_are_global",
    "batch_size_is_the_least",
    "a_step_is_retried_by_all",
    "a_bad_batch_is_skipped_by_all",
    "a_signal_to_one_stops_all",
    "only_the_main_process_writes_figures",
    "a_checkpoint_keeps_what_is_each_process_own",
]

Outcome = tuple[list[dict[str, str]], str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, scripts: Path) -> Outcome:
    """All checks, run once in two processes: what each process says of each check, and what the launcher said."""
    folder = tmp_path_factory.mktemp("checks")
    launcher = "import sys; from ddp_utils.launcher import launch; print(launch(*sys.argv[1:2], sys.argv[2:], nproc=2))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", launcher, "collective_checks", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    files = [folder / f"results-{i}.json" for i in range(2)]
    results = [json.loads(file.read_text(encoding="utf-8")) if file.exists() else {} for file in files]
    return results, done.stdout + done.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_two_processes(outcome: Outcome, name: str) -> None:
    results, said = outcome
    for result in results:
        assert result.get(name, f"not reached\n{said[-3000:]}") == ""


def test_every_check_is_listed_and_the_launcher_reports_success(outcome: Outcome) -> None:
    results, said = outcome
    assert [list(result) for result in results] == [CHECKS, CHECKS]
    assert said.splitlines()[0] == "(0, '')"


def test_one_process_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with process_group("cpu") as world:
        assert (world.rank, world.local_rank, world.world_size, world.is_main) == (0, 0, 1, True)
        assert (rank(), world_size()) == (0, 1)
        assert any_true(True)
        assert not any_true(False)
        assert all_true(True)
        assert (all_min(3), all_max(3), gather_objects("x"), broadcast_object("y")) == (3, 3, ["x"], "y")
        barrier()
        raise_together(None)
        assert run_on_main(max, 1, 2) == 2
        with pytest.raises(KeyError):
            run_on_main({}.__getitem__, "absent")
        with pytest.raises(ValueError, match="own"):
            raise_together(ValueError("own"))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "auto:1", "", "CPU"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected auto, cpu, cuda"):
        resolve_device(name)


def test_devices_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert resolve_device("auto").type == resolve_device("cpu").type == "cpu"
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match="torch sees 0 CUDA devices"):
            resolve_device(name)


def test_processes_share_the_devices_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [resolve_device("auto", local_rank).index for local_rank in range(4)] == [0, 1, 0, 1]
    assert resolve_device("cuda:1", 0).index == 1
    with pytest.raises(ValueError, match="2 CUDA devices"):
        resolve_device("cuda:2")
