"""A small residual network with 1.58-bit weights after the codebooks: what their sum cannot express.

    r(z) = z + W2 relu(W1 (z / rms) + b1) rms,   W1 and W2 ternary

Shapes: N rows, D dimensions, H hidden units.
"""

from __future__ import annotations

import torch
from ddp_utils import keyed_generator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sdquant.bit_linear import BitLinear
from sdquant.packed_linear import PackedBitLinear
from sdquant.residual_network import zeroed_layer

HIDDEN = 256
_BATCH = 2_048
_GROUP = 256  # rows that tell each other apart in the identity term
_IDENTITY = 0.1
_SHARPNESS = 8.0  # of the softmax over squared distances in units of the mean square
_LEARNING_RATE = 2e-3


class Refinement(nn.Module):
    """The residual network, packed, as decoding runs it.

    Args:
        dim: D.
        size: root mean square of the rows it is for, > 0.
        layer: BitLinear to train, PackedBitLinear to decode; zeros at first.

    Shape:
        Input and output float32, (N, D).
    """

    def __init__(self, dim: int, size: float, layer: type[BitLinear] | type[PackedBitLinear] = PackedBitLinear) -> None:
        super().__init__()
        self.size = size
        self.expand = zeroed_layer(layer, dim, HIDDEN, bias=True)
        self.contract = zeroed_layer(layer, HIDDEN, dim, bias=False)

    def forward(self, z_ND: Tensor) -> Tensor:
        """Refine decoded rows, (N, D)."""
        return z_ND + self.size * self.contract(torch.relu(self.expand(z_ND / self.size)))

    def pack(self) -> Refinement:
        """The network for inference: trits five a byte, biases in half precision."""
        packed = Refinement(self.expand.in_features, self.size)
        assert isinstance(self.expand, BitLinear)
        assert isinstance(self.contract, BitLinear)
        packed.expand, packed.contract = self.expand.pack(), self.contract.pack()
        assert packed.expand.bias is not None
        packed.expand.bias.copy_(packed.expand.bias.half().float())
        return packed


def refinement_bytes(dim: int) -> int:
    """Bytes of a packed network."""
    return 2 * -(-HIDDEN * dim // 5) + 2 * HIDDEN + 8


def train_refinement(decoded_ND: Tensor, x_ND: Tensor, *, steps: int, seed: int) -> Refinement:
    """Train the network on decoded rows and what they were.

        loss = |r(z) - x|^2 / |x|^2 + .1 InfoNCE(r(z), x)

    InfoNCE asks which row of its group each refined row came from. A term that keeps distances within a group was
    measured too: at any weight it raised the squared error and did not raise recall.

    Args:
        decoded_ND: what the codebooks decode to, float32, (N, D).
        x_ND: the rows, float32, (N, D).
        steps: of Adam, with the rate falling to zero.
        seed: of weights and batches.

    Returns:
        The packed network.
    """
    size = float(decoded_ND.square().mean().sqrt().clamp(min=1e-12))
    power = float(x_ND.square().sum(1).mean().clamp(min=1e-24))
    network = Refinement(x_ND.shape[1], size, BitLinear)
    generator = keyed_generator(seed, "refinement.weights")
    with torch.no_grad():
        for layer in (network.expand, network.contract):
            assert isinstance(layer, BitLinear)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
        assert isinstance(network.contract, BitLinear)
        network.contract.weight.mul_(0.1)
    network.to(x_ND.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * (1 - step / steps)
        picks = torch.randint(len(x_ND), (_BATCH,), generator=keyed_generator(seed, "refinement.batch", step))
        out_BD, x_BD = network(decoded_ND[picks]), x_ND[picks]
        loss = (out_BD - x_BD).square().sum(1).mean() / power + _IDENTITY * identity_loss(out_BD, x_BD, power)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.pack()


def identity_loss(out_BD: Tensor, x_BD: Tensor, power: float) -> Tensor:
    """InfoNCE over groups of consecutive rows: each refined row should be nearest to its own.

    Args:
        out_BD: refined rows, (B, D), B a multiple of the group of 256.
        x_BD: what they should be.
        power: mean squared length of rows, to make distances scale-free.

    References:
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748.
    """
    out_GSD, x_GSD = (rows.view(-1, _GROUP, rows.shape[1]) for rows in (out_BD, x_BD))
    squares_GSS = out_GSD.square().sum(2)[:, :, None] + x_GSD.square().sum(2)[:, None]
    apart_GSS = (squares_GSS - 2 * out_GSD @ x_GSD.mT) / power
    own_GS = torch.arange(_GROUP, device=out_BD.device).expand(len(out_GSD), -1)
    return cross_entropy(-_SHARPNESS * apart_GSS.flatten(0, 1), own_GS.flatten())
