"""A nested binary code: every trained prefix is a code of its own, and decodes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor, nn

from binemb.codes import BinaryCodes
from binemb.preparation import Preparation, check_vectors
from binemb.projection_start import stacked_rotations
from binemb.sign_search import SignSearch

if TYPE_CHECKING:
    from binemb.train_config import TrainConfig

FORMAT, VERSION = "binemb.matryoshka", 2
ENCODE_ROWS = 8192
MAX_BITS = 65536


def check_levels(bits: Sequence[int]) -> tuple[int, ...]:
    """Prefix lengths as a tuple.

    Raises:
        TypeError: one number, or something other than whole numbers.
        ValueError: none, not ascending, not positive, not multiples of 8, or more than 65,536 bits.
    """
    try:
        levels = tuple(operator.index(level) for level in bits)
    except TypeError:
        raise TypeError(f"bits: expected several whole numbers such as (256, 512, 1024), got {bits!r}") from None
    if not levels or list(levels) != sorted(set(levels)) or levels[0] < 1 or levels[-1] > MAX_BITS:
        raise ValueError(f"bits: expected ascending prefix lengths up to {MAX_BITS}, got {list(levels)}")
    if any(level % 8 for level in levels):
        raise ValueError(f"bits: prefixes must be multiples of 8 (whole bytes), got {list(levels)}")
    return levels


class MatryoshkaBinarizer(nn.Module):
    """Vectors to nested binary codes, and codes back to directions.

        y = prepare(x),   z = W y + c,   s = argmin E(s; y, z) in {-1, +1}^B     (`binemb.sign_search`)
        y_hat_k = y_hat_{k-1} + R_k s[: b_k],   y_hat_0 = 0      (level k refines what level k-1 decoded)

    One set of bits serves all levels: level k is the first b_k of them. `fit` starts W from rotations (ITQ), and then
    finds signs and decoders in turn. A model that was only constructed takes s = sign(z): sign random projection.

    Args:
        preparation: what is done to a vector first.
        bits: prefix lengths b_1 < ... < b_K = B, multiples of 8.
        seed: keys the initial rotations.
        weight_BD: W to start from, (B, D), instead of rotations.

    Raises:
        ValueError: bits are no ascending multiples of 8, or weight_BD does not fit.

    References:
        Kusupati et al. (2022), Matryoshka representation learning, arXiv 2205.13147.
        Tissier, Gravier, Habrard (2019), Near-lossless binarization of word embeddings, arXiv 1803.09065.
        Babenko, Lempitsky (2014), Additive quantization for extreme vector compression, CVPR.
    """

    def __init__(
        self, preparation: Preparation, bits: Sequence[int], *, seed: int = 0, weight_BD: Tensor | None = None
    ) -> None:
        super().__init__()
        self.bits = check_levels(bits)
        self.preparation = preparation
        self.dim = preparation.mean_D.shape[0]
        if weight_BD is None:
            weight_BD = stacked_rotations(self.dim, self.bits[-1], seed=seed) * math.sqrt(self.dim)
        elif weight_BD.shape != (self.bits[-1], self.dim):
            raise ValueError(f"weight_BD: expected shape {(self.bits[-1], self.dim)}, got {tuple(weight_BD.shape)}")
        self.weight_BD = nn.Parameter(weight_BD.to(torch.float32, copy=True))
        self.bias_B = nn.Parameter(torch.zeros(self.bits[-1]))
        self.decoders = nn.ParameterList(nn.Parameter(torch.zeros(level, self.dim)) for level in self.bits)
        self.level_weights_K: Tensor
        self.pull_B: Tensor
        self.register_buffer("level_weights_K", torch.zeros(len(self.bits)))
        self.register_buffer("pull_B", torch.ones(self.bits[-1]))
        self._search: tuple[list[tuple[Tensor, int, int]], SignSearch] | None = None

    @classmethod
    def fit(
        cls, x_ND: Tensor, bits: Sequence[int] = (256, 512, 1024), *, seed: int = 0, config: TrainConfig | None = None
    ) -> MatryoshkaBinarizer:
        """Train a model on vectors.

        Args:
            x_ND: vectors, float, (N, D), finite.
            bits: prefix lengths.
            seed: keys everything that is drawn.
            config: how to train; defaults are for static word vectors.

        Returns:
            The trained model, in evaluation mode.
        """
        from binemb.train import train_binarizer
        from binemb.train_config import TrainConfig

        return train_binarizer(x_ND, bits, config or TrainConfig(), seed=seed)

    def activations(self, prepared_ND: Tensor) -> Tensor:
        """What the bits are the signs of: (..., B), from prepared vectors (..., D)."""
        return prepared_ND @ self.weight_BD.to(prepared_ND.dtype).T + self.bias_B

    def decode_levels(self, signs_NB: Tensor) -> list[Tensor]:
        """Decoded vectors of every level, coarse to fine, each (..., D), from signs (..., B)."""
        outputs: list[Tensor] = []
        for level, decoder in zip(self.bits, self.decoders, strict=True):
            refinement = signs_NB[..., :level] @ decoder
            outputs.append(outputs[-1] + refinement if outputs else refinement)
        return outputs

    def level_decoders(self) -> list[Tensor]:
        """D_k of every level, (b_k, D): y_hat_k = D_k^T s[: b_k], the sum of the refinements up to level k."""
        whole: list[Tensor] = []
        for decoder in self.decoders:
            total = decoder.detach().clone()
            if whole:
                total[: len(whole[-1])] += whole[-1]
            whole.append(total)
        return whole

    @torch.no_grad()
    def sign_search(self) -> SignSearch:
        """The search that `encode` runs, made anew when a tensor of the model has been replaced, moved or written to.

        Writing through `.data` is not seen, as autograd does not see it either.
        """
        tensors = [self.weight_BD, self.bias_B, self.level_weights_K, self.pull_B, *self.decoders]
        kept = self._search
        if kept is not None and all(
            known is tensor and place == tensor.data_ptr() and version == _version(tensor)
            for (known, place, version), tensor in zip(kept[0], tensors, strict=True)
        ):
            return kept[1]
        search = SignSearch.of(self.level_decoders(), self.level_weights_K, self.pull_B, self.weight_BD, self.bias_B)
        counted = not any(tensor.is_inference() for tensor in tensors)  # others do not say when they are written to
        state = [(tensor, tensor.data_ptr(), _version(tensor)) for tensor in tensors]
        self._search = (state, search) if counted else None
        return search

    def __getstate__(self) -> dict[str, Any]:
        """Without what `sign_search` keeps."""
        return {**self.__dict__, "_search": None}

    def fit_decoders(self, prepared_ND: Tensor, *, ridge: float = 1e-3) -> None:
        """Set every R_k by least squares on what the levels before it leave; see `binemb.alternation.solve_decoders`.

        Args:
            prepared_ND: prepared vectors, (N, D), on the model's device, the same in every process.
            ridge: weight of the penalty, > 0.
        """
        from binemb.alternation import code_moments, solve_decoders

        solve_decoders(self, *code_moments(self.sign_search(), prepared_ND, self.bits[-1]), ridge=ridge)

    @torch.no_grad()
    def encode(self, x_ND: Tensor) -> BinaryCodes:
        """Codes of vectors.

        Projects in float64 and searches each vector's signs by itself, so that a bit does not depend on how many
        vectors are encoded at once: rounding in the 16th digit would have to turn it.

        Args:
            x_ND: vectors, float, (N, D), finite.

        Returns:
            N codes of B bits on the CPU.

        Raises:
            TypeError, ValueError: not a finite float matrix of the model's width.
        """
        check_vectors(x_ND, "encode", dim=self.dim)
        device = self.weight_BD.device
        blocks = [self._pack(self.preparation(rows.to(device).double())) for rows in x_ND.split(ENCODE_ROWS)]
        return BinaryCodes(torch.cat(blocks), self.bits[-1], self.bits)

    @torch.no_grad()
    def encode_prepared(self, y_ND: Tensor) -> BinaryCodes:
        """Codes of vectors that live in the prepared space already, such as sums of prepared vectors.

        Args:
            y_ND: float, (N, D), finite; scaled to unit length here.
        """
        check_vectors(y_ND, "encode_prepared", dim=self.dim)
        y_ND = nn.functional.normalize(y_ND.to(self.weight_BD.device).double(), dim=1)
        return BinaryCodes(self._pack(y_ND), self.bits[-1], self.bits)

    def _pack(self, prepared_ND: Tensor) -> Tensor:
        return BinaryCodes.from_signs(self.sign_search()(prepared_ND)).packed

    @torch.no_grad()
    def decode(self, codes: BinaryCodes) -> Tensor:
        """Directions of prepared vectors from codes of any trained level.

        Args:
            codes: codes of this model, truncated to a trained level or whole.

        Returns:
            Unit vectors, float32, (n, D), approximating `preparation(x)`.

        Raises:
            ValueError: the codes' length is not one of the model's levels.
        """
        if codes.n_bits not in self.bits:
            raise ValueError(f"decode: codes have {codes.n_bits} bits, the model's levels are {self.bits}")
        decoder = self.level_decoders()[self.bits.index(codes.n_bits)].float()
        blocks = [codes[i : i + ENCODE_ROWS].signs().to(decoder.device) for i in range(0, len(codes), ENCODE_ROWS)]
        decoded = torch.cat([(block @ decoder).cpu() for block in blocks]) if blocks else torch.zeros(0, self.dim)
        return nn.functional.normalize(decoded, dim=1)

    @torch.no_grad()
    def asymmetric_queries(self, x_ND: Tensor, *, n_bits: int | None = None) -> Tensor:
        """Weights that score codes against vectors that stay float: `asymmetric(weights, codes)` = y . y_hat(code).

        Args:
            x_ND: vectors, float, (N, D), finite.
            n_bits: the level that the codes are truncated to; all bits by default.

        Returns:
            float32, (N, n_bits).

        Raises:
            TypeError, ValueError: not a finite float matrix of the model's width, or n_bits is no level.
        """
        check_vectors(x_ND, "asymmetric_queries", dim=self.dim)
        level = self.bits[-1] if n_bits is None else n_bits
        if level not in self.bits:
            raise ValueError(f"asymmetric_queries: n_bits must be one of {self.bits}, got {n_bits}")
        prepared_ND = self.preparation(x_ND.to(self.weight_BD.device).double())
        return (prepared_ND @ self.level_decoders()[self.bits.index(level)].double().T).float().cpu()

    def save(self, path: str | Path) -> None:
        """Write the model as one safetensors file with checksum, atomically. Same model, same bytes."""
        metadata: dict[str, Any] = {"bits": list(self.bits), "dim": self.dim}
        tensors = {name: tensor.float() for name, tensor in self.state_dict().items()}
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> MatryoshkaBinarizer:
        """Read a model.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: truncated, changed, another format or a newer version.
        """
        tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            if "pull_B" not in tensors:  # version 1: the signs of the activations
                tensors["level_weights_K"] = torch.zeros(len(metadata["bits"]))
                tensors["pull_B"] = torch.ones(metadata["bits"][-1])
            _check_tensors(tensors, check_levels(metadata["bits"]), metadata["dim"])  # before any memory is taken
            preparation = Preparation(tensors["preparation.mean_D"], tensors["preparation.components_KD"])
            model = cls(preparation, metadata["bits"], weight_BD=tensors["weight_BD"])
            model.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FileFormatError(f"{path}: inconsistent model: {error}") from error
        return model.eval()


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _check_tensors(tensors: dict[str, Tensor], bits: tuple[int, ...], dim: int) -> None:
    """Refuse stored tensors that are not those of a model of these sizes."""
    shapes = {"preparation.mean_D": (dim,), "weight_BD": (bits[-1], dim), "bias_B": (bits[-1],)}
    shapes |= {"preparation.components_KD": (*tensors["preparation.components_KD"].shape[:1], dim)}
    shapes |= {"level_weights_K": (len(bits),), "pull_B": (bits[-1],)}
    shapes |= {f"decoders.{k}": (level, dim) for k, level in enumerate(bits)}
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != shapes:
        raise ValueError(f"its tensors are not those of {bits} bits and {dim} dimensions")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds other than finite float32 values")
    if min(tensors["level_weights_K"].min(), tensors["pull_B"].min()) < 0:
        raise ValueError("its level_weights_K or pull_B are negative")
