"""What a process of a group finds in training and evaluation.

python train_language_model.py FOLDER NPROC launches it; each process writes FOLDER/RANK.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from ddp_utils import launch, process_group, rank, world_size
from ddp_utils.gradients import all_reduce_gradients
from spikeformer.carried_state import gather_states
from spikeformer.config import SpikeformerConfig
from spikeformer.language_model_config import LanguageModelConfig
from spikeformer.language_model_run import LanguageModelRun
from spikeformer.language_model_step import step_gradients
from spikeformer.language_model_training import train_language_model
from spikeformer.model import Spikeformer
from spikeformer.token_stream import TokenArray, TokenStream

TINY = SpikeformerConfig(vocab_size=257, dim=16, heads=2, layers=1, steps=2, mlp_ratio=2, rate_band=(0.2, 0.25))
CONFIG = LanguageModelConfig(steps=4, global_batch=3, length=16, validate_every=2, checkpoint_every=2, carry=3)


class Interrupted(Exception):  # noqa: N818 - a signal of the script to itself
    pass


def interrupt(step: int) -> None:
    if step == 3:
        raise Interrupted


def results(folder: Path) -> dict[str, Any]:
    """Gradients of a step; parameters, carried state and rates after three; figures of a whole training, resumed."""
    text = TokenArray.of_bytes("a neuron that fires tells the others, größer als man denkt. " * 9)
    held_out = TokenArray.of_bytes("the others fire. " * 4)
    stream = TokenStream(text, 3, 16)
    model = Spikeformer(TINY, seed=rank()).double()
    run = LanguageModelRun(model, stream, held_out, CONFIG, None)  # gives all the parameters of the first
    own = list(range(rank(), 3, world_size()))
    step_gradients(model, stream.batch(0, own), None, micro_batch=1, global_batch=3)
    all_reduce_gradients(model.parameters())
    gradients = {
        name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    for _ in range(3):
        run.advance()
    carried = gather_states(run.carried, run.own)
    parameters = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    whole, resumed = Spikeformer(TINY).double(), Spikeformer(TINY).double()
    figures = train_language_model(whole, text, held_out, CONFIG, run_folder=folder / "whole")
    try:
        train_language_model(resumed, text, held_out, CONFIG, run_folder=folder / "resumed", on_step=interrupt)
    except Interrupted:
        train_language_model(resumed, text, held_out, CONFIG, run_folder=folder / "resumed", resume="auto")
    same = {name: bool(torch.equal(tensor, resumed.state_dict()[name])) for name, tensor in whole.state_dict().items()}
    assert all(same.values()), f"resumed is another model: {same}"
    return {
        "gradients": gradients,
        "parameters": parameters,
        "carried": carried,
        "rates": run.rates,
        "figures": [figures.bits_per_token, figures.bits_per_byte, figures.bits_per_character],
    }


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if len(sys.argv) > 2:
        code, message = launch("train_language_model", [str(where)], nproc=int(sys.argv[2]))
        if code:
            sys.stderr.write(message + "\n")
        sys.exit(code)
    with process_group("cpu"):
        torch.save(results(where), where / f"{rank()}.pt")
