"""Representation, dynamics and prediction networks.

Shapes: B rows, O observation values, L latent values, F features of an action, D x M policy, V bins of a value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from evosnn.action_set import ActionSet
from evosnn.muzero.mcts import Step
from evosnn.muzero.value_transform import Support


def scale_gradient(x: Tensor, share: float) -> Tensor:
    """The same values with a share of their gradient: x share + stop(x) (1 - share)."""
    return x * share + x.detach() * (1 - share)


def unit_range(latent_BL: Tensor) -> Tensor:
    """Latent states put between 0 and 1 a row, the range of the one-hot actions beside them.

    References:
        Schrittwieser et al. (2020), arXiv 1911.08265, appendix G.
    """
    low_B1, high_B1 = latent_BL.amin(-1, keepdim=True), latent_BL.amax(-1, keepdim=True)
    return (latent_BL - low_B1) / (high_B1 - low_B1).clamp_min(1e-5)


class ObservationScale(nn.Module):
    """Observations less their running mean over their running deviation, clipped at 5."""

    mean_O: Tensor
    square_O: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean_O", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("square_O", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def update(self, observation_TO: Tensor) -> None:
        """Take in observations (Welford's update of a whole block)."""
        block_TO = observation_TO.double()
        n, mean_O = len(block_TO), block_TO.mean(0)
        total, gap_O = self.count + n, mean_O - self.mean_O
        self.square_O += ((block_TO - mean_O).square()).sum(0) + gap_O.square() * self.count * n / total
        self.mean_O += gap_O * n / total
        self.count += n

    def forward(self, observation_BO: Tensor) -> Tensor:
        """Scaled observations, float32; as they are before the first update."""
        if not float(self.count):
            return observation_BO.float()
        deviation_O = (self.square_O / self.count).sqrt().clamp_min(1e-3)
        return ((observation_BO - self.mean_O) / deviation_O).clamp(-5, 5).float()


def linear(inputs: int, outputs: int, generator: torch.Generator, *, gain: float = 1.0) -> nn.Linear:
    """A layer whose weights are drawn from the generator with deviation gain / sqrt(inputs), and whose bias is 0."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # without a draw from the global generator
    with torch.no_grad():
        layer.weight.normal_(0, gain / math.sqrt(inputs), generator=generator)
        layer.bias.zero_()
    return layer


def _layers(inputs: int, hidden: int, outputs: int, generator: torch.Generator, *, zero: bool = False) -> nn.Sequential:
    """Two layers; with `zero` the last begins at 0, so that policies begin uniform and values at 0."""
    last_gain = 0.0 if zero else 1.0
    first, last = linear(inputs, hidden, generator), linear(hidden, outputs, generator, gain=last_gain)
    return nn.Sequential(first, nn.ELU(), last)


class Networks(nn.Module):
    """MuZero's three networks as small perceptrons.

        s_0 = representation(observation);  r_{k+1}, s_{k+1} = dynamics(s_k, a_k);  p_k, v_k = prediction(s_k)

    Args:
        observations: O.
        actions: the actions there are.
        support: categorical form of rewards and values.
        hidden: width of the hidden layers.
        latent: L.
        seed: draws the start values.

    References:
        Schrittwieser et al. (2020), arXiv 1911.08265.
    """

    def __init__(
        self, observations: int, actions: ActionSet, support: Support, *, hidden: int, latent: int, seed: int
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.actions, self.support = actions, support
        self.scale = ObservationScale(observations)
        self.representation = _layers(observations, hidden, latent, draw)
        self.transition = _layers(latent + actions.features, hidden, latent, draw)
        self.reward = _layers(latent + actions.features, hidden, support.bins, draw, zero=True)
        self.policy = _layers(latent, hidden, actions.dimensions * actions.choices, draw, zero=True)
        self.value = _layers(latent, hidden, support.bins, draw, zero=True)

    def represent(self, observation_BO: Tensor) -> Tensor:
        """Latent states of observations, (B, L)."""
        return unit_range(self.representation(self.scale(observation_BO)))

    def dynamics(self, latent_BL: Tensor, action_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Latent states after actions, (B, L), and logits of their rewards, (B, V)."""
        both = torch.cat([latent_BL, action_BF], -1)
        return unit_range(latent_BL + self.transition(both)), self.reward(both)

    def predict(self, latent_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the policy, (B, D, M), and of the value, (B, V)."""
        logits_BDM = self.policy(latent_BL).unflatten(-1, (self.actions.dimensions, self.actions.choices))
        return logits_BDM, self.value(latent_BL)

    def initial(self, observation_BO: Tensor) -> Step:
        """The root states of a search."""
        latent_BL = self.represent(observation_BO)
        logits_BDM, value_BV = self.predict(latent_BL)
        return Step(latent_BL, torch.zeros(len(latent_BL)), logits_BDM, self.support.decode(value_BV))

    def recurrent(self, latent_BL: Tensor, action_BF: Tensor) -> Step:
        """The states after actions."""
        next_BL, reward_BV = self.dynamics(latent_BL, action_BF)
        logits_BDM, value_BV = self.predict(next_BL)
        reward_B, value_B = self.support.decode(torch.stack([reward_BV, value_BV]))
        return Step(next_BL, reward_B, logits_BDM, value_B)
