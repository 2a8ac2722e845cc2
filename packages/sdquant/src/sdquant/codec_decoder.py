"""The decoder of a codec: codebooks of each block of dimensions, a refinement, and stages for rows that escape.

Shapes: N rows, D dimensions, M symbols a row, E rows of a stage, S symbols of a stage.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sdquant.additive import LEVEL_BITS, AdditiveCodebooks, additive_decode, additive_encode
from sdquant.bit_stream import pack_numbers, unpack_numbers
from sdquant.codec_codes import STAGE_BITS
from sdquant.refinement import Refinement

STAGE_SYMBOLS = 2
_TOP = 2 ** (LEVEL_BITS - 1)


@dataclass(frozen=True)
class Decoder:
    """From symbols to centred rows.

    Args:
        mean_D: float32, (D,).
        blocks: codebooks of consecutive blocks of dimensions.
        refinement: residual network after them, or None.
        stages: codebooks of all dimensions, for what is left of the rows that escape.
    """

    mean_D: Tensor
    blocks: tuple[AdditiveCodebooks, ...]
    refinement: Refinement | None
    stages: tuple[AdditiveCodebooks, ...]

    @property
    def n_symbols(self) -> int:
        return sum(block.n_codebooks for block in self.blocks)

    @property
    def bits_per_symbol(self) -> int:
        return self.blocks[0].bits_per_symbol

    def centred(self, x_ND: Tensor) -> Tensor:
        """Rows without the mean, float32."""
        return x_ND - self.mean_D

    def encode(self, target_ND: Tensor, restarts: int, start_NM: Tensor | None = None) -> Tensor:
        """Symbols for centred rows, uint8, (N, M)."""
        parts, dim, symbol = [], 0, 0
        for block in self.blocks:
            start = None if start_NM is None else start_NM[:, symbol : symbol + block.n_codebooks].contiguous()
            rows = target_ND[:, dim : dim + block.dim].contiguous()
            parts.append(additive_encode(rows, block, restarts=restarts, start_NM=start))
            dim, symbol = dim + block.dim, symbol + block.n_codebooks
        return torch.cat(parts, dim=1)

    def decode(self, codes_NM: Tensor) -> Tensor:
        """Centred rows of symbols, float32, (N, D)."""
        widths = [block.n_codebooks for block in self.blocks]
        parts = zip(codes_NM.split(widths, dim=1), self.blocks, strict=True)
        decoded_ND = torch.cat([additive_decode(symbols, block) for symbols, block in parts], dim=1)
        if self.refinement is None or not len(decoded_ND):
            return decoded_ND
        with torch.no_grad():
            return torch.cat([self.refinement(part) for part in decoded_ND.split(1 << 15)])

    def to(self, device: torch.device | str) -> Decoder:
        """The same decoder on a device."""
        return replace(
            self,
            mean_D=self.mean_D.to(device),
            blocks=tuple(block.to(device) for block in self.blocks),
            refinement=None if self.refinement is None else copy.deepcopy(self.refinement).to(device),  # to() moves
            stages=tuple(stage.to(device) for stage in self.stages),
        )

    def tensors(self) -> dict[str, Tensor]:
        """What a file keeps: levels at 6 bits each, trits five a byte."""
        tensors = {"mean": self.mean_D}
        for name, codebooks in self._named():
            tensors[f"{name}.levels"] = pack_numbers(codebooks.level_MKD.cpu().flatten().long() + _TOP, LEVEL_BITS)
            tensors[f"{name}.scales"] = codebooks.scale_M
        if self.refinement is not None:
            for name, value in self.refinement.state_dict().items():
                tensors[f"refinement.{name}"] = value.half() if name == "expand.bias" else value
        return tensors

    def facts(self) -> dict[str, Any]:
        """What the tensors cannot tell."""
        return {
            "codebooks": {name: list(codebooks.level_MKD.shape) for name, codebooks in self._named()},
            "refinement_size": None if self.refinement is None else self.refinement.size,
        }

    def _named(self) -> list[tuple[str, AdditiveCodebooks]]:
        named = [(f"block{i}", block) for i, block in enumerate(self.blocks)]
        return named + [(f"stage{i}", stage) for i, stage in enumerate(self.stages)]

    @classmethod
    def read(cls, tensors: dict[str, Tensor], facts: dict[str, Any], dim: int) -> Decoder:
        """Rebuild from `tensors` and `facts`.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: they do not fit together.
        """
        blocks, stages = [], []
        in_order = sorted(facts["codebooks"].items(), key=lambda entry: (len(entry[0]), entry[0]))  # 10 after 9
        for name, (n_codebooks, n_symbols, width) in in_order:
            stream = tensors[f"{name}.levels"]
            if min(n_codebooks, n_symbols, width) < 1 or n_codebooks * n_symbols * width > 2 * stream.numel():
                raise ValueError(f"{name} does not fit its bytes")
            levels = unpack_numbers(stream, n_codebooks * n_symbols * width, LEVEL_BITS).to(torch.int16) - _TOP
            level_MKD = levels.to(torch.int8).view(n_codebooks, n_symbols, width)
            codebooks = AdditiveCodebooks(level_MKD, tensors[f"{name}.scales"])
            (blocks if name.startswith("block") else stages).append(codebooks)
        if not blocks or sum(block.dim for block in blocks) != dim or any(stage.dim != dim for stage in stages):
            raise ValueError(f"codebooks do not cover {dim} dimensions")
        if len({block.n_symbols for block in blocks}) != 1:
            raise ValueError("blocks have symbols of different sizes")
        if any((stage.n_codebooks, stage.n_symbols) != (STAGE_SYMBOLS, 1 << STAGE_BITS) for stage in stages):
            raise ValueError("a stage has another size than this release writes")
        mean_D = tensors["mean"]
        if mean_D.dtype != torch.float32 or mean_D.shape != (dim,) or not bool(torch.isfinite(mean_D).all()):
            raise ValueError(f"the mean is not {dim} finite float32 numbers")
        return cls(mean_D, tuple(blocks), _read_refinement(tensors, facts["refinement_size"], dim), tuple(stages))


def _read_refinement(tensors: dict[str, Tensor], size: float | None, dim: int) -> Refinement | None:
    if size is None:
        return None
    if not isinstance(size, float) or not 0 < size < float("inf"):
        raise ValueError(f"refinement size {size!r}")
    refinement = Refinement(dim, size)
    state = {name.removeprefix("refinement."): t for name, t in tensors.items() if name.startswith("refinement.")}
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"refinement {name} is not finite")
    refinement.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state.items()})
    return refinement
