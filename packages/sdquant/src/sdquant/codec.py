"""Codecs of whole vocabularies: 50 to 100 times smaller than float32, and every vector found again.

Shapes: N rows, D dimensions of all parts together, M symbols a row, E rows of an escape stage.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ddp_utils.tensor_file import FileFormatError, checksum, read_tensor_file, write_tensor_file
from torch import Tensor

from sdquant.additive import additive_decode
from sdquant.codec_codes import CodecCodes
from sdquant.codec_decoder import STAGE_SYMBOLS, Decoder
from sdquant.codec_escape import encode_vocabulary
from sdquant.codec_input import Joining, Metric, Parts, distinct_rows
from sdquant.codec_plan import BIT_WORTH

FORMAT, VERSION = "sdquant.codec", 1
_MOST = 1_000_000  # of rounds, restarts and steps


@dataclass(frozen=True)
class CodecConfig:
    """How a codec is fitted.

    Args:
        metric: "euclidean" codes vectors as they are; "cosine" gives each unit length first, for users who compare
            directions only.
        weights: how much each of several embeddings counts, one positive number each; equally by default. Not for one
            embedding alone.
        bits_per_symbol: 1, 2, 4, 6 or 8; chosen from the number of vectors by default. Larger symbols follow the data
            better and need larger codebooks.
        rounds: alternations of the fit, >= 1.
        restarts: of the search for a row's symbols, >= 0; more find better symbols more slowly.
        refinement: add the residual network with 1.58-bit weights. It is counted in the bytes; it pays with symbols of
            few bits and many vectors (benchmarks/sdquant.py, "ablation").
        refinement_steps: of its training, >= 1.

    Raises:
        ValueError: a value is out of range.
    """

    metric: Metric = "euclidean"
    weights: tuple[float, ...] | None = None
    bits_per_symbol: int | None = None
    rounds: int = 60
    restarts: int = 32
    refinement: bool = False
    refinement_steps: int = 800

    def __post_init__(self) -> None:
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric must be 'euclidean' or 'cosine', got {self.metric!r}")
        if self.bits_per_symbol is not None and self.bits_per_symbol not in BIT_WORTH:
            raise ValueError(f"bits_per_symbol must be one of {tuple(BIT_WORTH)}, got {self.bits_per_symbol}")
        for name, least in (("rounds", 1), ("restarts", 0), ("refinement_steps", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= _MOST:
                raise ValueError(f"{name} must be a whole number from {least} to {_MOST:,}, got {value!r}")
        if self.weights is not None and not all(math.isfinite(w) and w > 0 for w in self.weights):
            raise ValueError(f"weights must be positive and finite, got {self.weights}")


class Codec:
    """A learned code of embeddings: sums of codebook entries, verified on the vocabulary.

    Made by `Codec.fit` or `Codec.load`.

    Args:
        joining: how the parts of a row are put together.
        decoder: from symbols to rows.
        config: how it was fitted.
        compression: what it was fitted for.
    """

    def __init__(self, joining: Joining, decoder: Decoder, config: CodecConfig, compression: float) -> None:
        self.joining = joining
        self.decoder = decoder
        self.config = config
        self.compression = compression
        self._id: str | None = None

    @classmethod
    def fit(cls, x: Parts, compression: float = 50, *, config: CodecConfig | None = None, seed: int = 0) -> Codec:
        """Learn a codec whose file and codes together are `compression` times smaller than the vectors in float32.

        The vectors are centred and written as sums of codebook entries (`fit_codebooks`). Then every vector is decoded
        and compared with all of them: those that are not nearest to themselves get other symbols, and where that does
        not help more symbols, so that encode(x) finds every distinct vector of x again.

        Args:
            x: vectors, floating point, (N, D), or several embeddings of the same N things. Runs on their device. They
                are taken in float32 (after scaling to unit length under metric "cosine"): rows that are equal then
                count as one.
            compression: 4 D N / (bytes of codec file and codes file), at least.
            config: how; the defaults by default.
            seed: of the fit.

        Returns:
            The codec.

        Raises:
            CompressionError: no code can be so small, too few vectors to pay for a codec, or not reached.
            TypeError, ValueError: x is no finite matrix, has no rows, or a row of zeros under metric "cosine".

        References:
            Babenko, Lempitsky (2014), CVPR. Martinez, Zakhmi, Hoos, Little (2018), LSQ++, ECCV.
        """
        return cls.fit_encode(x, compression, config=config, seed=seed)[0]

    @classmethod
    def fit_encode(
        cls, x: Parts, compression: float = 50, *, config: CodecConfig | None = None, seed: int = 0
    ) -> tuple[Codec, CodecCodes]:
        """Do as `fit`, and give the codes of x, which the fit makes anyway.

        Returns:
            The codec, and what its encode(x) gives.
        """
        from sdquant.codec_fit import fit_codec

        return fit_codec(cls, x, compression, config or CodecConfig(), seed)

    @property
    def dim(self) -> int:
        """Dimensions of all parts together."""
        return self.joining.dim

    @property
    def bits_per_row(self) -> int:
        """Bits of a row that does not escape."""
        return self.decoder.n_symbols * self.decoder.bits_per_symbol

    def encode(self, x: Parts, *, verify: bool = True) -> CodecCodes:
        """Code vectors.

        Args:
            x: vectors as those fitted, (N, D) or several.
            verify: take x for a whole vocabulary and give every distinct vector of it a code from which it is found
                again among the others, by exhaustive search. Without, each row is coded by itself, many times faster.

        Returns:
            Codes of the N rows, on the CPU.

        Raises:
            TypeError, ValueError: x is of another dimension, not finite, or (cosine) has a row of zeros.
        """
        joined_ND = self.joining.join(x)
        first_U, group_N = distinct_rows(joined_ND)
        decoder = self.decoder.to(joined_ND.device)
        rows_UD = joined_ND[first_U.to(joined_ND.device)]
        _, codes = encode_vocabulary(decoder, rows_UD, group_N, restarts=self.config.restarts, verify=verify)
        return codes.of_codec(self.codec_id)

    def decode(self, codes: CodecCodes) -> Tensor | list[Tensor]:
        """Give back vectors.

        Args:
            codes: of this codec.

        Returns:
            Vectors, float32, (N, D), or a list of one matrix a part. Under metric "cosine" about unit length: a little
            shorter, as the estimate of least squared error is.

        Raises:
            ValueError: the codes are of another codec.
        """
        return self.joining.split(self.decode_joined(codes))

    def decode_joined(self, codes: CodecCodes) -> Tensor:
        """Vectors as the codec compares them: parts scaled and side by side, float32, (N, D)."""
        self._check_fits(codes)
        device = self.decoder.mean_D.device
        decoded_ND = self.decoder.decode(codes.symbols().to(device))
        for (rows_E, symbols_ES), stage in zip(codes.escapes, self.decoder.stages, strict=False):  # not all may be used
            decoded_ND[rows_E.to(device)] += additive_decode(symbols_ES.to(device), stage)
        decoded_ND += self.decoder.mean_D
        rows_X, values_XD = codes.exceptions
        decoded_ND[rows_X.to(device)] = values_XD.to(device)
        return decoded_ND

    def _check_fits(self, codes: CodecCodes) -> None:
        if codes.codec_id != self.codec_id:
            raise ValueError(
                f"codes: made by codec {codes.codec_id[:12] or 'unknown'}, this is {self.codec_id[:12]}; decode them "
                "with the codec that made them"
            )
        shape = (codes.symbols_per_row, codes.bits_per_symbol, len(codes.escapes))
        fits = shape[:2] == (self.decoder.n_symbols, self.decoder.bits_per_symbol)
        fits &= len(codes.escapes) <= len(self.decoder.stages)
        fits &= all(symbols_ES.shape[1:] == (STAGE_SYMBOLS,) for _, symbols_ES in codes.escapes)
        fits &= codes.exceptions[1].shape[1:] == (self.dim,)
        if not fits:
            raise ValueError(
                f"codes: {shape[0]} symbols of {shape[1]} bits, {shape[2]} escape stages and exceptions of "
                f"{tuple(codes.exceptions[1].shape)} do not fit the codec they name"
            )

    def report(
        self,
        x: Parts,
        *,
        codes: CodecCodes | None = None,
        held_out: Parts | None = None,
        queries: int = 1000,
        k: int = 10,
    ) -> dict[str, Any]:
        """Say what the codec makes of a vocabulary: bytes, identity, neighbours, errors; see `codec_report.report`.

        Args:
            x: the vocabulary.
            codes: self.encode(x), where it is there already; made anew by default.
            held_out: vectors that the codec was not fitted to.
            queries: vectors of the vocabulary asked for, at most.
            k: neighbours a query.
        """
        from sdquant.codec_report import report

        return report(self, x, codes=codes, held_out=held_out, queries=queries, k=k)

    def to(self, device: torch.device | str) -> Codec:
        """The same codec, to encode and decode on a device."""
        return Codec(self.joining, self.decoder.to(device), self.config, self.compression)

    @property
    def codec_id(self) -> str:
        """Checksum of what the codec decodes by."""
        if self._id is None:
            facts = {**self.decoder.facts(), "joining": asdict(self.joining)}
            self._id = checksum(self.decoder.tensors(), json.dumps(facts, sort_keys=True))[:16]
        return self._id

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        facts = {
            "joining": asdict(self.joining),
            "config": asdict(self.config),
            "compression": self.compression,
            **self.decoder.facts(),
        }
        write_tensor_file(path, self.decoder.tensors(), kind=FORMAT, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: str | Path, *, dim: int | Sequence[int] | None = None) -> Codec:
        """Read what `save` wrote.

        Args:
            path: the file.
            dim: the dimension (or those of the parts) that it must be for, to find out here rather than at encode.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, of another kind, of a newer version, or for another dimension.
        """
        tensors, facts = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            joining = Joining(**{name: _tuples(value) for name, value in facts["joining"].items()})
            config = CodecConfig(**{name: _tuples(value) for name, value in facts["config"].items()})
            codec = cls(joining, Decoder.read(tensors, facts, joining.dim), config, float(facts["compression"]))
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
            raise FileFormatError(f"{path}: not a usable codec: {error}") from error
        wanted = codec.joining.dims if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
        if wanted != codec.joining.dims:
            raise FileFormatError(f"{path}: a codec for dimension(s) {codec.joining.dims}, not {wanted}")
        return codec


def _tuples(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value
