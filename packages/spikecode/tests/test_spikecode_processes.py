"""Two processes, each with its share of a corpus, write the spikes that one would have written."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import torch

SCRIPTS = Path(__file__).parent / "scripts"


def test_two_processes_write_the_spikes_of_one(tmp_path: Path, monkeypatch) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / "encode_shares.py"), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)},
        timeout=150,
        check=True,
    )
    shares = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    monkeypatch.syspath_prepend(SCRIPTS)
    script = importlib.import_module("encode_shares")
    for scheme in script.SCHEMES:
        whole = script.encoded(scheme, 0, 1)
        rows_of_first = len(shares[0][scheme][-1])
        offsets = [rows_of_first, *[0] * (len(whole) - 1)]
        for part, tensor in enumerate(whole):
            first, second = shares[0][scheme][part], shares[1][scheme][part]
            assert torch.equal(torch.cat([first, second + offsets[part]]), tensor), (scheme, part)
