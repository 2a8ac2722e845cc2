"""Train a small binary autoencoder in two processes, which this script launches.

python train_autoencoder.py FOLDER KILL_AT    writes FOLDER/state-RANK.pt and goes on in the run folder FOLDER/run;
                                              process 1 kills itself after step KILL_AT, or never for 0
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from ddp_utils import is_launched, launch

STEPS = 8


def train(run_folder: Path | None, kill_at: int = 0):  # noqa: ANN201 - torch loads in the worker only
    """The run, in as many processes as there are."""
    import torch
    from sdquant import AutoencoderConfig, train_binary_autoencoder

    config = AutoencoderConfig(
        steps=STEPS, global_batch=128, group=16, micro_batch=16, held_out=0.1, validate_every=4, checkpoint_every=2
    )
    x_ND = torch.randn(400, 12, generator=torch.Generator().manual_seed(0))

    def on_step(step: int) -> None:
        if step == kill_at and os.environ.get("RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    resume = None if run_folder is None else "auto"
    return train_binary_autoencoder(
        x_ND, 16, hidden=8, config=config, run_folder=run_folder, resume=resume, on_step=on_step
    )


def worker(folder: Path, kill_at: int) -> None:
    import torch
    from ddp_utils import process_group

    with process_group("cpu", timeout=timedelta(seconds=60)) as world:
        model = train(folder / "run", kill_at)
        torch.save(model.state_dict(), folder / f"state-{world.rank}.pt")


if __name__ == "__main__":
    if is_launched():
        worker(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        code, message = launch("train_autoencoder", sys.argv[1:], nproc=2)
        sys.exit(message or code)
