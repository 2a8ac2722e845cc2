"""A learned one-bit code: an encoder network, sigma-delta bits, a decoder network with 1.58-bit weights.

Shapes: N vectors, D dimensions of all parts together, M bits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor, nn

from sdquant.autoencoder_start import start_decoder, start_encoder
from sdquant.bit_linear import BitLinear
from sdquant.bits import pack_bits
from sdquant.codec_input import Joining, Metric, Parts
from sdquant.codes import Codes
from sdquant.one_bit import SigmaDelta
from sdquant.packed_linear import PackedBitLinear
from sdquant.residual_network import ResidualNetwork

FORMAT, VERSION = "sdquant.autoencoder", 1
Quantizer = Literal["greedy", "sd1", "sd2", "sd3"]
MAX_BITS = 65536
_ROWS = 8192


class BinaryAutoencoder(nn.Module):
    """Code vectors in any number of bits with networks that were trained together.

        z = (x - mean) / size,   b = sigma_delta(encoder(z), order) in {-1, +1}^M,   x_hat = size decoder(b) + mean

    Encoder and decoder are a linear map and a network with one hidden layer beside it, u -> A u + a + C relu(B u + c);
    what it gives beyond the quantizer's stable range is clipped. Gradients pass straight through the bits.

    `train_binary_autoencoder` makes a trained one. `start` alone gives an untrained code: principal components in
    random directions (greedy) or along a smooth frame (sd1 to sd3), decoded by least squares.

    Args:
        dim: D >= 1, or the dimensions of each part for several concatenated embeddings.
        bits: M, 1 to 65,536.
        quantizer: "greedy", each bit by itself, or sigma-delta of order 1 to 3. Measured on 100-d word vectors, greedy
            is best up to 128 bits and sd1 at 256; sd2 and sd3 need more bits a dimension than that.
        ternary: `BitLinear` for all of the decoder, or nn.Linear.
        hidden: hidden units of encoder and decoder, each; 0 for linear maps alone.
        seed: of the weights.

    Raises:
        ValueError: an argument is out of range.

    References:
        Carreira-Perpinan, Raziperchikolaei (2015), arXiv 1501.00756: binary autoencoders.
        Tissier, Gravier, Habrard (2019), arXiv 1803.09065: of word vectors.
        Bengio, Leonard, Courville (2013), arXiv 1308.3432: the straight-through estimator.
    """

    mean_D: Tensor
    size: Tensor

    def __init__(
        self,
        dim: int | Sequence[int],
        bits: int,
        quantizer: Quantizer = "greedy",
        ternary: bool = True,
        *,
        hidden: int = 512,
        seed: int = 0,
    ) -> None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if not dims or min(dims) < 1:
            raise ValueError(f"BinaryAutoencoder: dim must be at least 1, or such numbers, got {dim}")
        if not 1 <= bits <= MAX_BITS:
            raise ValueError(f"BinaryAutoencoder: bits must be 1 to {MAX_BITS}, got {bits}")
        if quantizer not in get_args(Quantizer):
            raise ValueError(f"BinaryAutoencoder: quantizer must be one of {get_args(Quantizer)}, got {quantizer!r}")
        if hidden < 0:
            raise ValueError(f"BinaryAutoencoder: hidden must be at least 0, got {hidden}")
        super().__init__()
        self.joining = Joining(dims, (1.0,) * len(dims), "euclidean")
        self.bits, self.quantizer, self.ternary, self.hidden = bits, quantizer, ternary, hidden
        self.seed = seed
        self.register_buffer("mean_D", torch.zeros(self.dim))
        self.register_buffer("size", torch.ones(()))
        self.encoder = ResidualNetwork(self.dim, bits, hidden)
        self.sigma_delta = SigmaDelta(get_args(Quantizer).index(quantizer))
        self.decoder = ResidualNetwork(bits, self.dim, hidden, BitLinear if ternary else nn.Linear)
        if not self.size.is_meta:
            self.encoder.draw(seed, "sdquant.BinaryAutoencoder.encoder")
            self.decoder.draw(seed, "sdquant.BinaryAutoencoder.decoder")

    @property
    def dim(self) -> int:
        """Dimensions of all parts together."""
        return self.joining.dim

    @torch.no_grad()
    def start(self, x: Parts, *, metric: Metric = "euclidean", weights: Sequence[float] | None = None) -> Tensor:
        """Take from vectors what training starts from: how parts are joined, mean, size, and the linear maps.

        Args:
            x: vectors, floating point, (N, D), or one such matrix a part.
            metric: "euclidean" codes vectors as they are; "cosine" gives every row of a part unit length first.
            weights: how much each part counts, positive; 1 each by default.

        Returns:
            z, float32, (N, D).

        Raises:
            TypeError: x is no floating matrix.
            ValueError: x has no rows, another width, a NaN or an infinity, the same row throughout, or (cosine) a row
                of zeros.
        """
        joining = Joining.fit(x, metric, weights)
        if joining.dims != self.joining.dims:
            raise ValueError(f"BinaryAutoencoder: x must be of dimension {self.joining.dims}, got {joining.dims}")
        x_ND = joining.join(x).to(self.mean_D.device)
        mean_D = x_ND.double().mean(0)
        size = float((x_ND - mean_D).square().mean().sqrt())
        if size == 0:
            raise ValueError("BinaryAutoencoder: the rows of x are all the same: there is nothing to code")
        self.joining = joining
        self.mean_D.copy_(mean_D)
        self.size.fill_(size)
        z_ND = self._prepare(x_ND)
        start_encoder(self.encoder, z_ND, self.sigma_delta.order, self.seed)
        start_decoder(self.decoder, z_ND, self.quantize)
        return z_ND

    def quantize(self, z_ND: Tensor) -> Tensor:
        """Bits of prepared vectors in {-1, +1}, float32, (..., M), with straight-through gradient.

        Raises:
            ValueError: the encoder gives a NaN or an infinity.
        """
        return self.sigma_delta(self.encoder(z_ND).float())

    def forward(self, z_ND: Tensor) -> Tensor:
        """Code and decode prepared vectors, (..., D): what training differentiates."""
        return self.decoder(self.quantize(z_ND))

    @torch.no_grad()
    def encode(self, x: Parts) -> Codes:
        """Code vectors.

        Computes in float64, so that a bit does not depend on how many vectors are coded at once.

        Args:
            x: vectors, floating point, (N, D), or one such matrix a part.

        Returns:
            N codes of M bits.

        Raises:
            TypeError: x is no floating matrix.
            ValueError: x has another width, a NaN or an infinity, or (cosine) a row of zeros.
        """
        encoder = copy.deepcopy(self.encoder).double()
        joined_ND = self.joining.join(x).to(self.mean_D.device)
        blocks = [pack_bits(self.sigma_delta(encoder(self._prepare(rows.double())))) for rows in joined_ND.split(_ROWS)]
        return Codes(torch.cat(blocks), self.bits)

    @torch.no_grad()
    def decode(self, codes: Codes) -> Tensor | list[Tensor]:
        """Estimate vectors from codes; a vector does not depend on those beside it.

        Args:
            codes: what `encode` gave.

        Returns:
            Vectors as they were given, float32, (N, D), or one such matrix a part; under metric "cosine" about unit
            length.

        Raises:
            TypeError: codes is not Codes.
            ValueError: codes is of another number of bits.
        """
        if not isinstance(codes, Codes):
            raise TypeError(f"BinaryAutoencoder.decode: codes must be Codes, got {type(codes).__name__}")
        if codes.n_bits != self.bits:
            raise ValueError(f"BinaryAutoencoder.decode: codes have {codes.n_bits} bits, the model has {self.bits}")
        # integer sums are exact in float32, those of nn.Linear in float64 to far below what float32 shows
        decoder = self.decoder if self.ternary else copy.deepcopy(self.decoder).double()
        dtype = torch.float32 if self.ternary else torch.float64
        blocks = []
        for start in range(0, max(len(codes), 1), _ROWS):
            bits_RM = codes[start : start + _ROWS].unpack().to(self.mean_D.device, dtype)
            blocks.append(decoder(bits_RM).float() * self.size + self.mean_D)
        return self.joining.split(torch.cat(blocks))

    def pack(self) -> BinaryAutoencoder:
        """A copy for inference: decoder weights five trits a byte. It codes and decodes bit for bit the same.

        Raises:
            ValueError: the decoder is not ternary, or a weight is not finite.
        """
        if not self.ternary:
            raise ValueError("BinaryAutoencoder.pack: ternary=False has no trits to pack")
        packed = copy.deepcopy(self)
        packed.decoder.pack()
        return packed.eval()

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically; a ternary decoder packed, as `load` gives it back.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        model = self.pack() if self.ternary else self
        facts = {
            "dims": list(self.joining.dims),
            "scales": list(self.joining.scales),
            "metric": self.joining.metric,
            "bits": self.bits,
            "quantizer": self.quantizer,
            "ternary": self.ternary,
            "hidden": self.hidden,
            "seed": self.seed,
        }
        write_tensor_file(path, model.state_dict(), kind=FORMAT, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: str | Path) -> BinaryAutoencoder:
        """Read what `save` wrote, on the CPU, for inference.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, another format or a newer version.
        """
        tensors, facts = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            return cls._read(tensors, facts)
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise FileFormatError(f"{path}: not a usable autoencoder: {error}") from error

    @classmethod
    def _read(cls, tensors: dict[str, Tensor], facts: dict[str, Any]) -> BinaryAutoencoder:
        for value in (*facts["dims"], facts["bits"], facts["hidden"], facts["seed"]):
            if type(value) is not int:
                raise ValueError(f"a whole number wanted, found {value!r}")
        if type(facts["ternary"]) is not bool:
            raise ValueError(f"ternary must be true or false, found {facts['ternary']!r}")
        with torch.device("meta"):  # shapes first: a file says how much memory is taken only by its own size
            model = cls(facts["dims"], facts["bits"], facts["quantizer"], facts["ternary"], hidden=facts["hidden"])
            if model.ternary:
                model.decoder = ResidualNetwork(model.bits, model.dim, model.hidden, PackedBitLinear)
        expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
        if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != expected:
            raise ValueError("its tensors are not those of such a model")
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"{name} has a NaN or an infinity")
        if not float(tensors["size"]) > 0:
            raise ValueError(f"size must be positive, found {float(tensors['size'])}")
        model.to_empty(device="cpu").load_state_dict(tensors)
        model.seed = facts["seed"]
        model.joining = Joining(tuple(facts["dims"]), tuple(facts["scales"]), facts["metric"])
        return model.eval()

    def extra_repr(self) -> str:
        return f"dims={self.joining.dims}, bits={self.bits}, quantizer={self.quantizer!r}, ternary={self.ternary}"

    def _prepare(self, x_ND: Tensor) -> Tensor:
        return (x_ND - self.mean_D) / self.size
