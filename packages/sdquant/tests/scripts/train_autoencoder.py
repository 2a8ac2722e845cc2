"""Train a small binary autoencoder in two processes, which this script launches.

python train_autoencoder.py stop FOLDER    trains whole, then again with a SIGTERM to process 1 after step 5, goes on
python train_autoencoder.py kill FOLDER    trains on in FOLDER/run; process 1 kills itself after step 5
python train_autoencoder.py go-on FOLDER   trains on in FOLDER/run

Each writes FOLDER/RANK-whole.pt or FOLDER/RANK-resumed.pt, states of the model.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from ddp_utils import is_launched, launch
from sdquant import BinaryAutoencoder

STEPS, LAST = 8, 5


def train(run_folder: Path | None, signal_after_last: signal.Signals | None = None) -> BinaryAutoencoder:
    """The run, in as many processes as there are."""
    import torch
    from sdquant import AutoencoderConfig, train_binary_autoencoder

    config = AutoencoderConfig(
        steps=STEPS, global_batch=128, group=16, micro_batch=16, held_out=0.1, validate_every=4, checkpoint_every=2
    )
    x_ND = torch.randn(400, 12, generator=torch.Generator().manual_seed(0))

    def on_step(step: int) -> None:
        if step == LAST and signal_after_last is not None and os.environ.get("RANK") == "1":
            os.kill(os.getpid(), signal_after_last)

    resume = None if run_folder is None else "auto"
    return train_binary_autoencoder(
        x_ND, 16, hidden=8, config=config, run_folder=run_folder, resume=resume, on_step=on_step
    )


def worker(mode: str, folder: Path) -> None:
    import torch
    from ddp_utils import Stopped, process_group

    with process_group("cpu", timeout=timedelta(seconds=150)) as world:
        if mode == "stop":
            torch.save(train(None).state_dict(), folder / f"{world.rank}-whole.pt")
            try:
                train(folder / "run", signal.SIGTERM)
            except Stopped:
                (folder / f"{world.rank}-stopped").touch()
        model = train(folder / "run", signal.SIGKILL if mode == "kill" else None)
        torch.save(model.state_dict(), folder / f"{world.rank}-resumed.pt")


if __name__ == "__main__":
    if is_launched():
        worker(sys.argv[1], Path(sys.argv[2]))
    else:
        code, message = launch("train_autoencoder", sys.argv[1:], nproc=2)
        sys.exit(message or code)
