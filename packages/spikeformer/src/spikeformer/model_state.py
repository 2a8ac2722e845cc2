"""What a model keeps of the tokens so far: explicit, of fixed size, and writable as flat tensors.

Shapes: T micro-steps, B sequences, H heads, d channels of a head, D channels, P keys kept, K delays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from spikeformer.attention import AttentionState

BATCH_AXIS = {"memory": 1, "keys": 1, "values": 1, "trace": 0, "delayed": 1}


@dataclass(frozen=True)
class LayerState:
    """State of one block.

    Args:
        attention: of its attention.
        trace: slow trace of its input spikes, (B, D); None where the model has no working memory.
        delayed: currents of the last K - 1 tokens, (T, B, K - 1, D).
    """

    attention: AttentionState
    trace: Tensor | None = None
    delayed: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """What is there, by name."""
        named = {field.name: getattr(self.attention, field.name) for field in fields(AttentionState)}
        named |= {"trace": self.trace, "delayed": self.delayed}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> LayerState:
        """What `tensors` gave."""
        attention = {field.name: tensors.get(field.name) for field in fields(AttentionState)}
        return cls(AttentionState(**attention), tensors.get("trace"), tensors.get("delayed"))


@dataclass(frozen=True)
class SpikeformerState:
    """State of a model after some tokens; give it to the next call to go on there.

    Args:
        layers: of every block.
        position: tokens so far, modulo `spikeformer.model.position_period`.
    """

    layers: tuple[LayerState, ...]
    position: int

    @property
    def batch(self) -> int:
        """Sequences B."""
        name, tensor = next(iter(self.layers[0].tensors().items()))
        return tensor.shape[BATCH_AXIS[name]]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for layer in self.layers for tensor in layer.tensors().values())

    def detach(self) -> SpikeformerState:
        """The same state without its history of gradients."""
        return self._map(lambda _, tensor: tensor.detach())

    def to(self, device: torch.device | str) -> SpikeformerState:
        """The same state on a device."""
        return self._map(lambda _, tensor: tensor.to(device))

    def select(self, rows: Tensor) -> SpikeformerState:
        """The state of some sequences.

        Args:
            rows: numbers of sequences, int64, or a mask of them, bool, (B,).

        Raises:
            IndexError: a row is out of range.
        """
        if rows.dtype == torch.bool:
            rows = rows.nonzero()[:, 0]
        return self._map(lambda name, tensor: tensor.index_select(BATCH_AXIS[name], rows.to(tensor.device)))

    def to_dict(self) -> dict[str, Tensor]:
        """As flat tensors, for a checkpoint: "position" and "layers.I.NAME"."""
        flat = {
            f"layers.{i}.{name}": tensor
            for i, layer in enumerate(self.layers)
            for name, tensor in layer.tensors().items()
        }
        return {"position": torch.tensor(self.position), **flat}

    @classmethod
    def from_dict(cls, tensors: Mapping[str, Tensor]) -> SpikeformerState:
        """What `to_dict` gave.

        Args:
            tensors: by name.

        Raises:
            ValueError: names are missing or unknown.
        """
        layers: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            head, _, rest = key.partition(".")
            number, _, name = rest.partition(".")
            if head == "layers" and number.isdecimal() and name in BATCH_AXIS:
                layers.setdefault(int(number), {})[name] = tensor
            elif key != "position":
                raise ValueError(f"SpikeformerState.from_dict: unknown tensor {key!r}")
        if "position" not in tensors or not layers or sorted(layers) != list(range(len(layers))):
            raise ValueError(
                f"SpikeformerState.from_dict: expected position and layers.0 onwards, got {', '.join(sorted(tensors))}"
            )
        states = tuple(LayerState.from_tensors(layers[i]) for i in range(len(layers)))
        return cls(states, int(tensors["position"]))

    def _map(self, change: Callable[[str, Tensor], Tensor]) -> SpikeformerState:
        layers = tuple(
            LayerState.from_tensors({name: change(name, tensor) for name, tensor in layer.tensors().items()})
            for layer in self.layers
        )
        return SpikeformerState(layers, self.position)
