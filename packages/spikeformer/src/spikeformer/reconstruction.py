"""Embeddings into spikes of LIF neurons, and embeddings out of spikes again.

Shapes: T steps, n vectors, E dimensions, C neurons, V vocabulary entries.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from spikeformer.lif import LIF
from spikeformer.surrogate import FastSigmoid


class LIFEncoder(nn.Module):
    """Vectors into spikes of a population of LIF neurons with learned tuning.

        current = W (x - mean) / scale + b;   s = LIF(current), the same current in all T steps

    Rows of W start as random directions, b spread so that the neurons begin to fire at different values.

    Args:
        embedding_dim: E, >= 1.
        neurons: C, >= 1.
        steps: T, >= 1.
        beta: share of the potential left after a step, in [0, 1].
        seed: of the start values.

    Raises:
        ValueError: a size is less than 1.

    References:
        Eliasmith, Anderson (2003), Neural Engineering, chapter 2: populations with random encoders and intercepts.
    """

    def __init__(self, embedding_dim: int, neurons: int, steps: int, *, beta: float = 0.9, seed: int = 0) -> None:
        super().__init__()
        _check_sizes("LIFEncoder", embedding_dim=embedding_dim, neurons=neurons, steps=steps)
        self.steps = steps
        generator = keyed_generator(seed, "population encoder")
        direction_CE = torch.randn(neurons, embedding_dim, generator=generator)
        spread_C = 2 * torch.rand(neurons, generator=generator) - 1
        self.weight_CE = nn.Parameter(direction_CE / math.sqrt(embedding_dim))
        self.bias_C = nn.Parameter(spread_C)
        self.lif = LIF(neurons, beta=beta, surrogate=FastSigmoid(2.0))
        self.mean_E: Tensor
        self.scale_E: Tensor
        self.register_buffer("mean_E", torch.zeros(embedding_dim))
        self.register_buffer("scale_E", torch.ones(embedding_dim))

    def calibrate(self, x_nE: Tensor) -> None:
        """Take mean and scale of every dimension from data, in place.

        Args:
            x_nE: vectors, floating point, (n, E), n >= 2. A dimension with one value only is given scale 1.

        Raises:
            ValueError: the shape does not fit, or there are fewer than two vectors.
        """
        if x_nE.ndim != 2 or x_nE.shape[1] != len(self.mean_E) or len(x_nE) < 2:
            raise ValueError(f"LIFEncoder: expected two vectors or more of {len(self.mean_E)}, got {tuple(x_nE.shape)}")
        scale_E, mean_E = torch.std_mean(x_nE.detach().double(), 0)
        self.mean_E.copy_(mean_E)
        self.scale_E.copy_(torch.where(scale_E > 0, scale_E, 1))

    def forward(self, x_nE: Tensor) -> Tensor:
        """Make the spikes of vectors.

        Args:
            x_nE: vectors, floating point, (n, E).

        Returns:
            Spikes, 0 or 1, (T, n, C).

        Raises:
            ValueError: the width does not fit.
        """
        if x_nE.ndim != 2 or x_nE.shape[1] != len(self.mean_E):
            raise ValueError(f"LIFEncoder: expected vectors of (n, {len(self.mean_E)}), got {tuple(x_nE.shape)}")
        current_nC = torch.addmm(self.bias_C, (x_nE - self.mean_E) / self.scale_E, self.weight_CE.T)
        spikes_TnC, _ = self.lif(current_nC.expand(self.steps, *current_nC.shape).contiguous())
        return spikes_TnC


class ReconstructionHead(nn.Module):
    """Vectors out of spikes: every spike adds its neuron's vector, weighted by its step.

        y = sum_c sum_t w_t s_t,c d_c + b

    Of spikes of a `LIFEncoder`, of trains of a `spikecode.SpikeCodec` (`spikecode.to_snntorch(train)` has their shape)
    or of any layer.

    Args:
        neurons: C, >= 1.
        embedding_dim: E, >= 1.
        steps: T, >= 1.

    Raises:
        ValueError: a size is less than 1.
    """

    def __init__(self, neurons: int, embedding_dim: int, steps: int) -> None:
        super().__init__()
        _check_sizes("ReconstructionHead", neurons=neurons, embedding_dim=embedding_dim, steps=steps)
        self.step_T = nn.Parameter(torch.full((steps,), 1 / steps))
        self.decoder_CE = nn.Parameter(torch.zeros(neurons, embedding_dim))
        self.bias_E = nn.Parameter(torch.zeros(embedding_dim))

    def forward(self, spikes_TnC: Tensor) -> Tensor:
        """Read vectors out.

        Args:
            spikes_TnC: 0 or 1, floating point, (T, n, C).

        Returns:
            Vectors, (n, E).

        Raises:
            ValueError: the shape does not fit.
        """
        return torch.addmm(self.bias_E, self._activity(spikes_TnC), self.decoder_CE)

    @torch.no_grad()
    def fit(self, spikes_TnC: Tensor, x_nE: Tensor, *, ridge: float = 1e-6) -> None:
        """Set decoder and bias to the least squares solution for the weights w_t there are, in place.

        Args:
            spikes_TnC: spikes of the vectors, (T, n, C).
            x_nE: the vectors, (n, E).
            ridge: penalty of the decoders' squares, in units of the neurons' mean variance, > 0.

        Raises:
            ValueError: shapes disagree, or ridge is not positive.
        """
        if not ridge > 0:
            raise ValueError(f"ReconstructionHead: ridge must be positive, got {ridge}")
        if x_nE.shape != (spikes_TnC.shape[1], len(self.bias_E)):
            raise ValueError(
                f"ReconstructionHead: expected vectors of ({spikes_TnC.shape[1]}, {len(self.bias_E)}), got "
                f"{tuple(x_nE.shape)}"
            )
        activity_nC = self._activity(spikes_TnC).double()
        mean_C, mean_E = activity_nC.mean(0), x_nE.double().mean(0)
        centred_nC = activity_nC - mean_C
        gram_CC = centred_nC.T @ centred_nC
        penalty = ridge * gram_CC.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny)
        gram_CC.diagonal().add_(penalty)
        decoder_CE = torch.linalg.solve(gram_CC, centred_nC.T @ (x_nE.double() - mean_E))
        self.decoder_CE.copy_(decoder_CE)
        self.bias_E.copy_(mean_E - mean_C @ decoder_CE)

    def _activity(self, spikes_TnC: Tensor) -> Tensor:
        """Weighted spikes of every neuron, (n, C)."""
        shape = (len(self.step_T), -1, len(self.decoder_CE))
        if spikes_TnC.ndim != 3 or (spikes_TnC.shape[0], spikes_TnC.shape[2]) != (shape[0], shape[2]):
            raise ValueError(
                f"ReconstructionHead: expected spikes of ({shape[0]}, n, {shape[2]}), got {tuple(spikes_TnC.shape)}"
            )
        return torch.tensordot(self.step_T, spikes_TnC.to(self.step_T.dtype), 1)


@dataclass(frozen=True)
class VocabularyIdentity:
    """Which vectors of a vocabulary come back as themselves.

    Args:
        identity: share of the vectors whose nearest entry is the right one.
        wrong: vectors for which it is another.
        duplicates: entries that another entry equals: either counts as right.
        rmse: root mean square error in the units of the vectors.
        cosine: mean cosine of decoded and given vectors.
    """

    identity: float
    wrong: int
    duplicates: int
    rmse: float
    cosine: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def vocabulary_identity(decoded_VE: Tensor, vocabulary_VE: Tensor) -> VocabularyIdentity:
    """Compare every decoded entry with the whole vocabulary, exactly.

    Args:
        decoded_VE: what came back of each entry, (V, E).
        vocabulary_VE: the entries, (V, E), V >= 2.

    Returns:
        The figures.

    Raises:
        ValueError: the shapes disagree, or there are fewer than two entries.
    """
    from spikecode import nearest_rows, separations

    if decoded_VE.shape != vocabulary_VE.shape or decoded_VE.ndim != 2 or len(decoded_VE) < 2:
        raise ValueError(
            "vocabulary_identity: expected two tables of one shape (V, E), V >= 2, got "
            f"{tuple(decoded_VE.shape)} and {tuple(vocabulary_VE.shape)}"
        )
    decoded_VE, vocabulary_VE = decoded_VE.detach().float(), vocabulary_VE.detach().float()
    found_V = nearest_rows(decoded_VE, vocabulary_VE)
    wrong = int((vocabulary_VE[found_V] != vocabulary_VE).any(1).sum())
    error_VE = (decoded_VE - vocabulary_VE).double()
    return VocabularyIdentity(
        identity=1 - wrong / len(vocabulary_VE),
        wrong=wrong,
        duplicates=int((separations(vocabulary_VE) == 0).sum()),
        rmse=float(error_VE.square().mean().sqrt()),
        cosine=float(torch.cosine_similarity(decoded_VE, vocabulary_VE).double().mean()),
    )


def _check_sizes(caller: str, **sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{caller}: {name} must be a whole number >= 1, got {value!r}")
