"""A linear map and a network with one hidden layer beside it.

Shapes: N rows, K inputs, O outputs, H hidden units.
"""

from __future__ import annotations

import torch
from ddp_utils import keyed_generator
from torch import Tensor, nn

from sdquant.bit_linear import BitLinear
from sdquant.packed_linear import PackedBitLinear

_CONTRACT_GAIN = 0.1  # the linear map leads at the start


class ResidualNetwork(nn.Module):
    """u -> A u + a + C relu(B u + c), with weights in real numbers or 1.58 bit.

    A ternary A is the sum of two, the second for what the first leaves of the weights it stands for: one alone keeps
    four fifths of their power.

    Args:
        inputs: K >= 1.
        outputs: O >= 1.
        hidden: H >= 0; without hidden units A u + a is all.
        layer: nn.Linear, or `BitLinear` to train or `PackedBitLinear` to load ternary weights.

    Shape:
        Input (..., K), output (..., O). All weights are zero until `draw`.
    """

    direct: nn.Linear | PackedBitLinear
    rest: nn.Linear | PackedBitLinear | None

    def __init__(
        self, inputs: int, outputs: int, hidden: int, layer: type[nn.Linear] | type[PackedBitLinear] = nn.Linear
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.direct = zeroed_layer(layer, inputs, outputs, bias=True)
        self.rest = None if layer is nn.Linear else zeroed_layer(layer, inputs, outputs, bias=False)
        if hidden:
            self.expand = zeroed_layer(layer, inputs, hidden, bias=True)
            self.contract = zeroed_layer(layer, hidden, outputs, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        """Apply the network to u, (..., K)."""
        out = self.direct(u) if self.rest is None else self.direct(u) + self.rest(u)
        return out + self.contract(torch.relu(self.expand(u))) if self.hidden else out

    @torch.no_grad()
    def draw(self, seed: int, name: str) -> None:
        """Draw B and C, normal with deviation 1 / sqrt(inputs) and a tenth of it; A and the biases stay.

        Args:
            seed: keys the draw, together with the name.
            name: what the network is for.
        """
        if not self.hidden:
            return
        for index, (layer, gain) in enumerate(((self.expand, 1.0), (self.contract, _CONTRACT_GAIN))):
            assert isinstance(layer, nn.Linear)
            normal = torch.randn(layer.weight.shape, generator=keyed_generator(seed, name, index))
            layer.weight.copy_(normal * (gain * layer.in_features**-0.5))

    def pack(self) -> None:
        """Replace `BitLinear` layers by packed ones, in place.

        Raises:
            ValueError: a weight is not finite.
        """
        for name, layer in list(self.named_children()):
            if isinstance(layer, BitLinear):
                setattr(self, name, layer.pack())


def zeroed_layer(
    layer: type[nn.Linear] | type[PackedBitLinear], inputs: int, outputs: int, *, bias: bool
) -> nn.Linear | PackedBitLinear:
    """A layer of zeros; made without a draw from the global generator."""
    if issubclass(layer, PackedBitLinear):
        return layer(inputs, outputs, bias)
    device = torch.get_default_device()
    made = layer(inputs, outputs, bias, device="meta")
    if device.type == "meta":
        return made
    made = made.to_empty(device=device)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
    return made
