"""One training step of a language model: gradients of its share, and what takes them.

Shapes: B streams, L tokens of each; C neurons of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ddp_utils import Precision
from torch import Tensor
from torch.nn import functional

from spikeformer.carried_state import join_states
from spikeformer.language_model_config import LanguageModelConfig
from spikeformer.model_state import SpikeformerState
from spikeformer.rate_control import Rates, rate_push, sum_rates
from spikeformer.token_model import TokenModel


@dataclass(frozen=True)
class StepFigures:
    """What one process finds in its share of a step.

    Args:
        nats: cross-entropy, summed over its tokens, over all tokens of the step.
        rates: of its streams, times their share of all streams.
        state: of its streams after the step; None where it has none.
    """

    nats: Tensor
    rates: Rates
    state: SpikeformerState | None


def step_gradients(
    model: TokenModel,
    tokens_BL: Tensor,
    state: SpikeformerState | None,
    *,
    micro_batch: int,
    global_batch: int,
    push: Rates | None = None,
    precision: Precision | None = None,
) -> StepFigures:
    """Add the gradient of this process's share of a step, in micro-batches; nothing is exchanged.

        loss = sum_{b, l} -log p(token_{b, l+1} | tokens_{b, <= l}) / (B L) + sum_n push_n rate_n

    Summed over the processes the gradients are those of one process with all B streams, up to rounding.

    Args:
        model: a `Spikeformer` or a `dense_twin`.
        tokens_BL: this process's streams, int64, (its share of B, L + 1).
        state: of its streams from the step before; None: from the start.
        micro_batch: streams at once, >= 1.
        global_batch: B, streams of all processes.
        push: weight of each neuron's firing rate in the loss, (C,) by layer; see `rate_slopes`.
        precision: autocast and loss scale; None for float32.

    Returns:
        Sums and the detached state; the gradients are in the parameters.
    """
    n_streams, length = tokens_BL.shape[0], tokens_BL.shape[1] - 1
    precision = precision or Precision("fp32", tokens_BL.device)
    nats, rates, states = torch.zeros((), device=tokens_BL.device), {}, []
    for rows in torch.arange(n_streams).split(micro_batch) if n_streams else ():
        part_BL = tokens_BL[rows.to(tokens_BL.device)]
        whole = len(rows) == n_streams
        with precision.autocast():
            out = model(part_BL[:, :-1], state if whole or state is None else state.select(rows))
            logits, targets = out.logits.flatten(0, 1), part_BL[:, 1:].flatten()
            logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
            part = functional.cross_entropy(logits, targets, reduction="sum") / (global_batch * length)
        share = len(rows) / global_batch
        precision.backward(part + share * rate_push(out.channel_rates, push or {}))
        nats = nats + part.detach()
        sum_rates(rates, out.channel_rates, share)
        states.append(out.state.detach())
    return StepFigures(nats, rates, join_states(states) if states else None)


def make_optimizer(model: TokenModel, config: LanguageModelConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves gains, biases and the neurons' own parameters alone.

    Args:
        model: whose parameters.
        config: learning rate and weight decay.

    References:
        Loshchilov, Hutter (2019), Decoupled weight decay regularization, arXiv 1711.05101.
        Brown et al. (2020), arXiv 2005.14165, appendix B: betas of 0.9 and 0.95.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    others = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))
