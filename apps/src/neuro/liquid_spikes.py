"""The spikes of a simulation as files: parts while it runs, one file with what pictures need in the end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from numpy.typing import NDArray

KIND, VERSION = "neuro.liquid.spikes", 1


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of all populations in a stretch of time.

    Args:
        times: in ms, sorted, (S,).
        ids: global, population after population, (S,).
        sizes: neurons by population, in the order of the ids.
        begin: of the stretch, ms.
        end: of the stretch, ms.
        positions_N3: where neurons stand; None where the network has no places.
        network: what the network is: name, synapses by pair of populations.
    """

    times: NDArray[np.float64]
    ids: NDArray[np.int64]
    sizes: dict[str, int]
    begin: float
    end: float
    positions_N3: NDArray[np.float64] | None = None
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """In ms."""
        return self.end - self.begin

    def counts(self) -> NDArray[np.int64]:
        """Spikes of every neuron, (N,)."""
        return np.bincount(self.ids, minlength=sum(self.sizes.values()))

    def rates(self) -> dict[str, float]:
        """Mean rate of each population, Hz."""
        ends = np.cumsum([0, *self.sizes.values()])
        parts = np.add.reduceat(np.append(self.counts(), 0), ends[:-1])
        return {
            name: float(n) / size / self.duration * 1000
            for (name, size), n in zip(self.sizes.items(), parts, strict=True)
        }

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        tensors = {"times": torch.from_numpy(self.times), "ids": torch.from_numpy(self.ids.astype(np.int32))}
        if self.positions_N3 is not None:
            tensors["positions"] = torch.from_numpy(np.ascontiguousarray(self.positions_N3))
        facts = {"sizes": list(self.sizes.items()), "begin": self.begin, "end": self.end, "network": self.network}
        write_tensor_file(path, tensors, kind=KIND, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: Path) -> Spikes:
        """Read them.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: damaged, of another kind or newer.
        """
        tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
        try:
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            sizes = {str(name): int(n) for name, n in facts["sizes"]}
            ids = arrays["ids"].astype(np.int64)
            total = sum(sizes.values())
            if ids.shape != arrays["times"].shape or (len(ids) and not (ids.min() >= 0 and ids.max() < total)):
                raise ValueError("ids that do not fit times or populations")
            span = (float(facts["begin"]), float(facts["end"]))
            return cls(arrays["times"], ids, sizes, *span, arrays.get("positions"), facts["network"])
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"{path}: not usable: {error}") from error


def joined(parts: list[Spikes], **facts: Any) -> Spikes:
    """Parts that follow each other as one."""
    assert all(first.end == second.begin for first, second in itertools.pairwise(parts)), "a part is missing"
    times, ids = (np.concatenate([getattr(part, name) for part in parts]) for name in ("times", "ids"))
    return Spikes(times, ids, parts[0].sizes, parts[0].begin, parts[-1].end, **facts)
