"""Spikes of output neurons to actions.

Shapes: B rows, N neurons, A output neurons (the first A neurons), D values of a continuous action.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from evosnn.tasks.task import Box, Discrete


@dataclass(frozen=True, kw_only=True)
class ActionDecoder:
    """Read an action from the spikes of one control step of K micro-steps.

    Discrete actions have one output neuron each, and the largest takes it all:

        "count"   most spikes; among equals the one that spiked first, then the lowest number
        "winner"  first spike; among equals the one with most spikes, then the lowest number
        "rate"    largest rate, a low-pass of counts over control steps: r <- decay r + count

    Continuous actions have two output neurons a value, pushing and pulling ("count" or "rate"):

        value = middle + half range * cut((push - pull) / (full_rate K), -1, 1)

    where "rate" takes (1 - decay) r for the counts.

    Args:
        kind: "count", "winner" or "rate".
        decay: of the rate from one control step to the next, in [0, 1).
        full_rate: spikes a micro-step that push a value to its bound, in (0, 1].

    Raises:
        ValueError: a setting is out of its range.
    """

    kind: Literal["count", "winner", "rate"] = "count"
    decay: float = 0.5
    full_rate: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("count", "winner", "rate"):
            raise ValueError(f"ActionDecoder: kind must be count, winner or rate, got {self.kind!r}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"ActionDecoder: decay must be in [0, 1), got {self.decay}")
        if not 0 < self.full_rate <= 1:
            raise ValueError(f"ActionDecoder: full_rate must be in (0, 1], got {self.full_rate}")

    def settings(self) -> dict[str, Any]:
        """Plain JSON values; `ActionDecoder(**settings)` is the same decoder."""
        return asdict(self)

    def n_outputs(self, actions: Discrete | Box) -> int:
        """Output neurons that a task's actions need, A.

        Raises:
            ValueError: the kind cannot give such actions.
        """
        if isinstance(actions, Discrete):
            return actions.n
        if self.kind == "winner":
            raise ValueError("ActionDecoder: winner chooses among Discrete actions, continuous ones need count or rate")
        return 2 * actions.size

    def initial_trace(self, n_rows: int, actions: Discrete | Box, device: torch.device | str = "cpu") -> Tensor | None:
        """Rates at the start of an episode, float32 (B, A); None where nothing is kept."""
        return torch.zeros(n_rows, self.n_outputs(actions), device=device) if self.kind == "rate" else None

    def __call__(
        self, actions: Discrete | Box, counts_BN: Tensor, first_BN: Tensor, steps: int, trace_BA: Tensor | None = None
    ) -> Tensor:
        """Decode one control step.

        Args:
            actions: of the task.
            counts_BN: spikes of each neuron, int32.
            first_BN: micro-step of each neuron's first spike, `steps` where there is none, int32.
            steps: micro-steps of the control step, K.
            trace_BA: of `initial_trace`; changed in place.

        Returns:
            int64 (B,) for Discrete, float32 (B, D) for Box.
        """
        n_outputs = self.n_outputs(actions)
        counts_BA, first_BA = counts_BN[:, :n_outputs], first_BN[:, :n_outputs]
        if trace_BA is not None:
            trace_BA.mul_(self.decay).add_(counts_BA)
        if isinstance(actions, Box):
            amount_BA = counts_BA.float() if trace_BA is None else trace_BA * (1 - self.decay)
            push_BD = (amount_BA[:, 0::2] - amount_BA[:, 1::2]) / (self.full_rate * steps)
            low_D, high_D = push_BD.new_tensor(actions.low), push_BD.new_tensor(actions.high)
            return (low_D + high_D) / 2 + push_BD.clamp(-1, 1) * ((high_D - low_D) / 2)
        if self.kind == "count":
            merit_BA = counts_BA * (steps + 1) - first_BA
        elif self.kind == "winner":
            merit_BA = counts_BA - first_BA * (steps + 1)
        else:
            assert trace_BA is not None, "a rate needs its trace"
            merit_BA = trace_BA
        if n_outputs == 2:
            return (merit_BA[:, 1] > merit_BA[:, 0]).long()
        return merit_BA.argmax(1)  # the first of equals
