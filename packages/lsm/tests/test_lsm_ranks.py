"""Networks that processes share: the same spikes and states on 1, 2 and 4 of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_lsm_plasticity import MODELS

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    paths = os.pathsep.join((str(SCRIPTS), str(SCRIPTS.parent)))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / "shared_network.py"), str(tmp_path_factory.mktemp("shared"))],
        env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", [0, 1, 2, 4], ids=lambda number: repr(MODELS[number]))
@pytest.mark.parametrize("what", ["whole", "saved", "continued"])
def test_a_network_runs_alike_on_any_number_of_processes(outcome: dict[str, Any], what: str, number: int) -> None:
    said = {text for texts in outcome[f"{what} {number}"].values() for text in texts}
    assert len(said) == 1, outcome[f"{what} {number}"]
    spikes, events, digest = said.pop().split(" ")
    assert int(spikes) > 100
    assert int(events) > 2000
    assert len(digest) == 64


def test_an_exchange_that_holds_too_little_is_done_again(outcome: dict[str, Any]) -> None:
    assert len({text for texts in outcome["crowded"].values() for text in texts}) == 1, outcome["crowded"]


def test_processes_that_disagree_are_told(outcome: dict[str, Any]) -> None:
    assert outcome["differing"] == ["ValueError: build: the processes describe different networks"] * 2


def test_what_the_writer_cannot_write_is_an_error_in_every_process(outcome: dict[str, Any]) -> None:
    assert len(outcome["unwritable"]) == 2
    for said in outcome["unwritable"]:
        assert "Error" in said
        assert "file" in said
