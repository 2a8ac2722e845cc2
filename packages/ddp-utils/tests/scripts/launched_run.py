"""A run under `launch`, and its launcher.

python launched_run.py MODE FOLDER      launches `-m launched_run MODE FOLDER` twice and prints [code, message]
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from ddp_utils.launcher import EXIT_RESUMABLE, is_launched, launch, report_exit


def leave(code: int, message: str) -> None:
    assert report_exit(code, message)
    sys.exit(code)


def worker(mode: str, folder: Path) -> None:
    import torch
    from ddp_utils import Checkpoints, SignalStop, any_true, process_group

    with process_group("cpu", timeout=timedelta(seconds=60)) as world, SignalStop() as stop:
        Path(folder, f"pid-{world.rank}").write_text(str(os.getpid()), encoding="utf-8")
        try:
            for step in range(1, 10_000):
                time.sleep(0.02)
                any_true(False)  # as an exchange of gradients, which fails where a process is gone
                if mode == "error" and world.rank == 1 and step == 3:
                    raise ValueError("vectors.txt, line 7: expected 50 numbers")
                if mode == "killed" and world.rank == 1 and step == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                if step == 3 and world.is_main:
                    Path(folder, "running").touch()
                if stop.agreed():
                    state = {"x": torch.tensor(step)}
                    Checkpoints(folder / "checkpoints").save(step, state, rank_state=f"saved by {world.rank}")
                    leave(EXIT_RESUMABLE, f"stopped after step {step}; go on with --resume")
        except ValueError as error:
            leave(2, str(error))
        except RuntimeError as error:
            leave(1, f"lost the others: {error}")


if __name__ == "__main__":
    if is_launched():
        worker(sys.argv[1], Path(sys.argv[2]))
    else:
        print(json.dumps(launch("launched_run", sys.argv[1:], nproc=2)), flush=True)
