"""What a binary autoencoder is before training: a code of principal components, decoded by least squares.

Shapes: N vectors, D dimensions, K principal components, M bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from ddp_utils import keyed_generator
from torch import Tensor, nn

from sdquant.bit_linear import BitLinear
from sdquant.frame import rotated_harmonic_frame
from sdquant.one_bit import stability_limit
from sdquant.residual_network import ResidualNetwork
from sdquant.ternary import quantize_ternary

_LOADS = (1.0, 0.7, 0.7, 0.7)  # root mean square of y over mu, by order
_RIDGE = 1e-2
_FITTED_STEP = 0.1
_BIAS_STEP = 0.1
_ROWS = 20_000


def start_encoder(encoder: ResidualNetwork, z_ND: Tensor, order: int, seed: int) -> None:
    """Set the encoder's linear map to W = R V^T: V the first K principal components, K = min(D, M).

    Rows of R point into random directions, orthonormal K at a time, for order 0, and follow `rotated_harmonic_frame`
    otherwise.

    Args:
        encoder: what is changed; D inputs, M outputs.
        z_ND: centred vectors, float32, (N, D).
        order: 0 to 3, of the quantizer.
        seed: of R.
    """
    assert isinstance(encoder.direct, nn.Linear)
    n_bits, dim = encoder.direct.out_features, z_ND.shape[1]
    sample_ND = _sample(z_ND).double()
    _, vectors_DD = torch.linalg.eigh(sample_ND.T @ sample_ND)
    n_components = min(dim, n_bits)
    components_KD = vectors_DD.T.flip(0)[:n_components]
    if order == 0:
        directions_MK = _random_directions(n_components, n_bits, seed)
    else:
        directions_MK = rotated_harmonic_frame(n_components, n_bits, seed)
    weight_MD = directions_MK.to(z_ND.device) @ components_KD
    measured = float((sample_ND @ weight_MD.T).square().mean().sqrt())
    encoder.direct.weight.copy_(weight_MD * (_LOADS[order] * stability_limit(order) / measured))
    encoder.direct.bias.zero_()


def start_decoder(decoder: ResidualNetwork, z_ND: Tensor, quantize: Callable[[Tensor], Tensor]) -> None:
    """Set the decoder's linear map by least squares on the bits.

        A = argmin mean norm2(z - A b)^2 + ridge norm(A)^2

    A ternary A is as near to that as rounding lets it, with the scales that decode best.

    Args:
        decoder: what is changed; M inputs, D outputs.
        z_ND: centred vectors, float32, (N, D).
        quantize: gives their bits.
    """
    sample_ND = _sample(z_ND)
    bits_NM = quantize(sample_ND)
    gram_MM = (bits_NM.T @ bits_NM / len(bits_NM)).double()
    gram_MM += _RIDGE * torch.eye(len(gram_MM), device=gram_MM.device)
    cross_MD = (bits_NM.T @ sample_ND / len(bits_NM)).double()
    left_DM = torch.linalg.solve(gram_MM, cross_MD).T.to(z_ND.dtype)
    residual_ND = sample_ND
    for layer in filter(None, (decoder.direct, decoder.rest)):
        assert isinstance(layer, nn.Linear)
        if layer.bias is not None:
            layer.bias.zero_()
        layer.weight.copy_(left_DM)
        decoded_ND = layer(bits_NM)
        gain = (decoded_ND * residual_ND).sum() / decoded_ND.square().sum().clamp(min=1e-12)
        layer.weight.mul_(gain)
        residual_ND = residual_ND - gain * decoded_ND
        if isinstance(layer, BitLinear):
            trits, scale = quantize_ternary(layer.weight)
            left_DM = left_DM - trits * scale


def parameter_groups(encoder: ResidualNetwork, decoder: ResidualNetwork) -> list[dict[str, Any]]:
    """Parameters for Adam with the "scale" of their steps: Adam moves every entry by about the learning rate, whatever
    its size.

    That of hidden layers, whose weights are still to grow, is what inputs of size 1 call for; that of linear maps the
    root mean square of their weights, and a tenth of it in the decoder: longer steps would undo the fit, of which
    ternary maps recover little.
    """
    groups: list[dict[str, Any]] = []
    for network, gain in ((encoder, 1.0), (decoder, _FITTED_STEP)):
        for name, layer in network.named_children():
            assert isinstance(layer, nn.Linear)
            if name in ("direct", "rest"):
                scale = gain * max(float(layer.weight.detach().square().mean().sqrt()), 1e-6)
            else:
                scale = layer.in_features**-0.5
            groups.append({"params": [layer.weight], "scale": scale})
            if layer.bias is not None:
                groups.append({"params": [layer.bias], "scale": _BIAS_STEP})
    return groups


def _sample(z_ND: Tensor) -> Tensor:
    """Rows evenly spaced: vocabularies come sorted by frequency."""
    return z_ND[:: -(-len(z_ND) // _ROWS)]


def _random_directions(dim: int, n: int, seed: int) -> Tensor:
    """Rows of independent random rotations, one below the other, float64, (n, dim)."""
    blocks = []
    for block in range(math.ceil(n / dim)):
        generator = keyed_generator(seed, "sdquant.autoencoder_start", block)
        q, r = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
        blocks.append(q * r.diagonal().sign())  # makes the draw uniform over rotations
    return torch.cat(blocks)[:n]
