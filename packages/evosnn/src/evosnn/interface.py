"""How a network meets a task: encoder, decoder and timing in one object, which a genome carries as metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evosnn.action_decoding import ActionDecoder
from evosnn.encoding import ObservationEncoder
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A task with what joins a network to it.

    Args:
        task: where networks live.
        encoder: observations to afferents.
        decoder: spikes of outputs to actions.
        steps_per_action: micro-steps of the network between two observations, >= 1.
        step_ms: length of a micro-step in ms, > 0.
        plastic: whether networks learn while they live.

    Raises:
        ValueError: the encoder does not fit the observations, or the decoder the actions.
    """

    task: Task
    encoder: ObservationEncoder
    decoder: ActionDecoder = field(default_factory=ActionDecoder)
    steps_per_action: int = 10
    step_ms: float = 1.0
    plastic: bool = True

    def __post_init__(self) -> None:
        if len(self.encoder.low) != self.task.n_observations:
            raise ValueError(
                f"Interface: the encoder takes {len(self.encoder.low)} values, {self.task.name} gives "
                f"{self.task.n_observations}"
            )
        steps = self.steps_per_action
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"Interface: steps_per_action must be a whole number >= 1, got {steps!r}")
        if not 0 < self.step_ms < math.inf:
            raise ValueError(f"Interface: step_ms must be > 0 and finite, got {self.step_ms}")
        if not isinstance(self.plastic, bool):
            raise ValueError(f"Interface: plastic must be True or False, got {self.plastic!r}")
        self.decoder.n_outputs(self.task.actions)

    @classmethod
    def for_task(
        cls,
        task: str | Mapping[str, Any] | Task,
        *,
        encoding: str | Mapping[str, Any] = "rate",
        decoding: str | Mapping[str, Any] = "count",
        **options: Any,
    ) -> Interface:
        """Join networks to a task by names and defaults.

        Args:
            task: as `make_task` takes it.
            encoding: kind of the `ObservationEncoder`, or a mapping of its settings.
            decoding: kind of the `ActionDecoder`, or a mapping of its settings.
            options: steps_per_action, step_ms, plastic.

        Raises:
            TypeError: there is no such setting.
            ValueError: a setting is out of its range, or what is joined does not fit.
        """
        made = make_task(task)
        encoding = {"kind": encoding} if isinstance(encoding, str) else dict(encoding)
        decoding = {"kind": decoding} if isinstance(decoding, str) else dict(decoding)
        bounds = {"low": made.observation_low, "high": made.observation_high}
        return cls(
            task=made,
            encoder=ObservationEncoder(**{**bounds, **encoding}),
            decoder=ActionDecoder(**decoding),
            **options,
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Interface:
        """What `metadata` described.

        Raises:
            ValueError: an entry is missing, unknown or out of its range.
        """
        missing = {"task", "encoder", "decoder"} - set(metadata)
        if missing:
            raise ValueError(f"Interface: the metadata lacks {', '.join(sorted(missing))}")
        timing = {name: metadata[name] for name in ("steps_per_action", "step_ms", "plastic") if name in metadata}
        try:
            return cls(
                task=make_task(metadata["task"]),
                encoder=ObservationEncoder(**metadata["encoder"]),
                decoder=ActionDecoder(**metadata["decoder"]),
                **timing,
            )
        except TypeError as error:
            raise ValueError(f"Interface: unusable metadata: {error}") from None

    def metadata(self) -> dict[str, Any]:
        """Plain JSON values that `from_metadata` takes, for `Genome.metadata`."""
        return {
            "task": self.task.settings(),
            "encoder": self.encoder.settings(),
            "decoder": self.decoder.settings(),
            "steps_per_action": self.steps_per_action,
            "step_ms": self.step_ms,
            "plastic": self.plastic,
        }

    @property
    def n_afferents(self) -> int:
        """Afferents of a genome for this task, C."""
        return self.encoder.n_afferents

    @property
    def n_outputs(self) -> int:
        """Output neurons of a genome for this task, A."""
        return self.decoder.n_outputs(self.task.actions)
