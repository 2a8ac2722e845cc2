"""Signs that decode well at every prefix, found by coordinate descent.

    E(s) = sum_k a_k norm2(y - D_k^T s[: b_k])^2 - 2 sum_j h_j z_j s_j,   s in {-1, +1}^B

y is a prepared vector, z its activations, D_k the decoder of the first b_k bits, a_k the weight of that level, and h_j
pulls bit j towards the sign of its activation. With a = 0 the signs of the activations win; with h = 0 the bits are
free to decode as well as they can, and Hamming distances between them mean little. In between, the bits that change
are those whose activations are small and whose change mends the decoded vector: both the Hamming distances and the
decoded vectors gain.

The energy is a quadratic form, E(s) = s^T G s - 2 l^T s + const with G = sum_k a_k D_k D_k^T and
l = sum_k a_k D_k y + h z. Bits are set one after the other, each with those before it in view, then changed one by one
while that lowers E, which ends where no single change does.

Shapes: N vectors of D values, B bits, K levels, R = K D columns of factors.

References:
    Babenko, Lempitsky (2014), Additive quantization for extreme vector compression, CVPR, section 3 (the energy).
    Besag (1986), On the statistical analysis of dirty pictures, J. R. Stat. Soc. B 48 (iterated conditional modes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from binemb import kernels

GRAM_BITS = 2048  # beyond, B x B numbers no longer fit a cache: descend on the factors
PASSES, FACTOR_PASSES = 30, 4  # the fifth pass over 8,192 bits gains less than .1% of the energy


@dataclass(frozen=True, eq=False)
class SignSearch:
    """The energy of a model, in the form that the search needs; in float64, but for the Gram matrix or factors.

    Args:
        linear_BD: sum_k a_k D_k + h W, (B, D).
        constant_B: h times the bias, (B,).
        gram_BB: G, float32, (B, B), for up to 2,048 bits; None beyond.
        factor_BR: square roots of a_k times D_k, side by side, float32, (B, R), beyond 2,048 bits; else None.
        first_B: first column of each row of the factors that is not zero, int64, (B,).
        pull_BD: h W, (B, D), beside the factors.
        scale_K: square roots of a_k, (K,).
    """

    linear_BD: Tensor
    constant_B: Tensor
    gram_BB: Tensor | None = None
    factor_BR: Tensor | None = None
    first_B: Tensor | None = None
    pull_BD: Tensor | None = None
    scale_K: Tensor | None = None

    @classmethod
    def of(
        cls,
        decoders: Sequence[Tensor],
        weights_K: Tensor,
        pull_B: Tensor,
        weight_BD: Tensor,
        bias_B: Tensor,
    ) -> SignSearch:
        """Prepare the search.

        Args:
            decoders: D_k of every level, each (b_k, D), b_k ascending.
            weights_K: a_k >= 0, (K,); all 0 leaves the signs of the activations.
            pull_B: h_j >= 0, (B,).
            weight_BD: W of the activations z = W y + bias, (B, D).
            bias_B: (B,).
        """
        pull_BD = pull_B.double()[:, None] * weight_BD.double()
        constant_B = pull_B.double() * bias_B.double()
        n_bits, dim = weight_BD.shape
        linear_BD = pull_BD.clone()
        scales = [float(weight) for weight in weights_K]
        for decoder, scale in zip(decoders, scales, strict=True):
            linear_BD[: len(decoder)] += scale * decoder.double()
        if not any(scales):
            return cls(linear_BD, constant_B)
        if n_bits <= GRAM_BITS:
            gram_BB = linear_BD.new_zeros(n_bits, n_bits)
            for decoder, scale in zip(decoders, scales, strict=True):
                wide = decoder.double()
                gram_BB[: len(wide), : len(wide)] += scale * (wide @ wide.T)
            return cls(linear_BD, constant_B, gram_BB.float())
        scale_K = weights_K.double().sqrt()
        factor_BR = linear_BD.new_zeros(n_bits, len(decoders) * dim)
        first_B = torch.zeros(n_bits, dtype=torch.int64, device=weight_BD.device)
        start = 0
        for k, decoder in enumerate(decoders):
            factor_BR[: len(decoder), k * dim : (k + 1) * dim] = scale_K[k] * decoder.double()
            first_B[start : len(decoder)] = k * dim
            start = len(decoder)
        return cls(linear_BD, constant_B, None, factor_BR.float(), first_B, pull_BD, scale_K)

    def __call__(self, prepared_ND: Tensor) -> Tensor:
        """Signs of prepared vectors.

        Args:
            prepared_ND: float64, (N, D), on the device of the search.

        Returns:
            +1 and -1, int8, (N, B).
        """
        if self.gram_BB is not None:
            linear_NB = prepared_ND @ self.linear_BD.T + self.constant_B
            return kernels.descend_gram(linear_NB.float(), self.gram_BB, PASSES)
        if self.factor_BR is None:
            linear_NB = prepared_ND @ self.linear_BD.T + self.constant_B
            return torch.where(linear_NB >= 0, 1, -1).to(torch.int8)
        assert self.first_B is not None
        assert self.pull_BD is not None
        assert self.scale_K is not None
        target_NR = (self.scale_K[:, None] * prepared_ND[:, None, :]).flatten(1)
        pull_NB = prepared_ND @ self.pull_BD.T + self.constant_B
        return kernels.descend_factors(pull_NB.float(), target_NR.float(), self.factor_BR, self.first_B, FACTOR_PASSES)
