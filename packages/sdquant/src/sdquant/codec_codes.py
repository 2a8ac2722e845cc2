"""What a codec makes of a vocabulary: symbols of every row, and more for the rows that need it.

Shapes: N rows, D dimensions, M symbols a row; E rows of an escape stage with S symbols each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from sdquant.bit_stream import (
    pack_numbers,
    pack_sorted,
    sorted_bytes,
    stream_bytes,
    unpack_numbers,
    unpack_sorted,
)

FORMAT, VERSION = "sdquant.codec_codes", 1
STAGE_BITS = 4  # of a symbol of an escape


@dataclass(frozen=True, eq=False)
class CodecCodes:
    """Codes of N rows, len() of them; `Codec.decode` reads them.

    Args:
        stream: symbols of all rows one after the other, uint8, (ceil(N M bits / 8),).
        n_rows: N.
        symbols_per_row: M.
        bits_per_symbol: 1 to 8.
        escapes: for each stage the rows that go on into it, int64, increasing, (E,), and their symbols, uint8, (E, S).
            The rows of a stage are among those of the stage before.
        exceptions: rows kept as they are: their numbers, int64, increasing, (X,), and values, float32, (X, D).
        codec_id: checksum of the codec that made them.
    """

    stream: Tensor
    n_rows: int
    symbols_per_row: int
    bits_per_symbol: int
    escapes: tuple[tuple[Tensor, Tensor], ...]
    exceptions: tuple[Tensor, Tensor]
    codec_id: str

    def __len__(self) -> int:
        return self.n_rows

    def symbols(self) -> Tensor:
        """Symbols of all rows, uint8, (N, M)."""
        flat = unpack_numbers(self.stream, self.n_rows * self.symbols_per_row, self.bits_per_symbol)
        return flat.view(self.n_rows, self.symbols_per_row)

    @property
    def bits_per_row(self) -> int:
        """Bits of a row that does not escape."""
        return self.symbols_per_row * self.bits_per_symbol

    @property
    def n_escapes(self) -> int:
        """Rows with more than the bits of all."""
        first = self.escapes[0][0] if self.escapes else self.exceptions[0]
        return len(torch.cat([first, self.exceptions[0]]).unique())

    @property
    def escape_bytes(self) -> int:
        """Bytes beyond those of all rows."""
        total, universe = 0, self.n_rows
        for rows_E, symbols_ES in self.escapes:
            total += sorted_bytes(len(rows_E), universe) + stream_bytes(symbols_ES.numel(), STAGE_BITS)
            universe = len(rows_E)
        rows_X, values_XD = self.exceptions
        return total + sorted_bytes(len(rows_X), self.n_rows) + values_XD.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of symbols and escapes; a file adds about a kilobyte."""
        return self.stream.nbytes + self.escape_bytes

    def of_codec(self, codec_id: str) -> CodecCodes:
        """The same codes with the name of the codec that made them."""
        return replace(self, codec_id=codec_id)

    def __getitem__(self, rows: slice | list[int] | Tensor) -> CodecCodes:
        """Take some rows: a slice, row numbers, or a mask of N booleans.

        Raises:
            IndexError: a row number does not fit.
        """
        picked = torch.arange(self.n_rows)[rows].contiguous()
        if picked.ndim != 1:
            raise IndexError(f"codes: index by a slice, a list or a vector, got {rows!r}; one row is codes[i : i + 1]")
        taken = [_take(kept, values, picked) for kept, values in (*self.escapes, self.exceptions)]
        stream = pack_numbers(self.symbols()[picked].flatten(), self.bits_per_symbol)
        shape = (len(picked), self.symbols_per_row, self.bits_per_symbol)
        return CodecCodes(stream, *shape, tuple(taken[:-1]), taken[-1], self.codec_id)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        tensors, counts, within = {"stream": self.stream}, [], torch.arange(self.n_rows)
        for i, (rows_E, symbols_ES) in enumerate(self.escapes):
            tensors[f"rows{i}"] = pack_sorted(torch.searchsorted(within, rows_E), len(within))
            tensors[f"symbols{i}"] = pack_numbers(symbols_ES.flatten(), STAGE_BITS)
            counts.append([len(rows_E), symbols_ES.shape[1]])
            within = rows_E
        tensors["exception_rows"] = pack_sorted(self.exceptions[0], self.n_rows)
        tensors["exceptions"] = self.exceptions[1]
        facts = {
            "rows": self.n_rows,
            "symbols": self.symbols_per_row,
            "bits": self.bits_per_symbol,
            "escapes": counts,
            "codec": self.codec_id,
        }
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: str | Path) -> CodecCodes:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, of another kind, or of a newer version.
        """
        tensors, facts = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            return cls._read(tensors, facts)
        except (KeyError, ValueError, TypeError, IndexError, OverflowError, RuntimeError) as error:
            raise FileFormatError(f"{path}: not usable codec codes: {error}") from error

    @classmethod
    def _read(cls, tensors: dict[str, Tensor], facts: dict[str, Any]) -> CodecCodes:
        n_rows, n_symbols, n_bits = (_whole(facts[name], name) for name in ("rows", "symbols", "bits"))
        if (
            n_symbols < 1
            or not 1 <= n_bits <= 8
            or tensors["stream"].shape != (stream_bytes(n_rows * n_symbols, n_bits),)
        ):
            raise ValueError("the stream does not fit its description")
        escapes, within = [], torch.arange(n_rows)
        for i, (count, width) in enumerate(facts["escapes"]):
            places = unpack_sorted(tensors[f"rows{i}"], _whole(count, "escapes"), len(within))
            symbols = unpack_numbers(tensors[f"symbols{i}"], count * _whole(width, "escapes"), STAGE_BITS)
            within = within[places]
            escapes.append((within, symbols.view(count, width)))
        values_XD = tensors["exceptions"]
        if values_XD.dtype != torch.float32 or values_XD.ndim != 2 or not bool(torch.isfinite(values_XD).all()):
            raise ValueError("the exceptions are not finite float32 rows")
        rows_X = unpack_sorted(tensors["exception_rows"], len(values_XD), n_rows)
        codes = cls(
            tensors["stream"], n_rows, n_symbols, n_bits, tuple(escapes), (rows_X, values_XD), str(facts["codec"])
        )
        codes.symbols()
        return codes


def _whole(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a whole number, found {value!r}")
    return value


def _take(kept_E: Tensor, values_E: Tensor, picked_P: Tensor) -> tuple[Tensor, Tensor]:
    """Of the rows kept, those picked, under their new numbers."""
    if not len(kept_E):
        return kept_E, values_E
    place_P = torch.searchsorted(kept_E, picked_P).clamp(max=len(kept_E) - 1)
    found_P = kept_E[place_P] == picked_P
    return found_P.nonzero()[:, 0], values_E[place_P[found_P]]
