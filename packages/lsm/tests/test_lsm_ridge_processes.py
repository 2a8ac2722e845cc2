"""A ridge readout of rows that processes share out is that of all rows in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lsm.ridge import RidgeReadout

SCRIPT = Path(__file__).parent / "scripts" / "shared_rows.py"


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, labels of three classes, and values; the first 30 rows lack a class, the others another one."""
    rng = np.random.default_rng(0)
    states_BF = rng.normal(size=(80, 12)).astype(np.float32)
    labels_B = np.concatenate([rng.integers(0, 2, 30), rng.integers(1, 3, 50)])
    return states_BF, labels_B, states_BF[:, :2] @ rng.normal(size=(2, 3)) + rng.normal(size=(80, 3))


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_name_what_does_not_fit(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    arguments = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    states_BF, labels_B, values_BK = rows()
    for name, targets in (("labels", labels_B), ("values", values_BK)):
        whole = RidgeReadout(0.1).fit(states_BF, targets)
        for rank in range(2):
            with np.load(tmp_path / f"{name}.{rank}.npz") as shared:
                np.testing.assert_allclose(shared["weights_FK"], whole.weights_FK, atol=1e-10)
                np.testing.assert_allclose(shared["intercept_K"], whole.intercept_K, atol=1e-10)
                np.testing.assert_allclose(shared["answers"], whole.predict(states_BF)[:5], atol=1e-10)
    for rank in range(2):
        assert "processes learn other" in (tmp_path / f"misfit.{rank}").read_text()
