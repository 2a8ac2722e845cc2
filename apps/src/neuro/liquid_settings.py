"""Settings of `neuro liquid`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BUILDERS = ("maass", "microcircuit", "cortex", "working_memory")


@dataclass(frozen=True)
class NetworkSettings:
    """Which network.

    Args:
        name: maass, microcircuit, cortex, working_memory, the path of a TOML description, or of a saved simulation.
        neurons: of maass, cortex and working_memory; 0 for the builder's own number.
        scale: share of the microcircuit's neurons and in-degrees, in (0, 1].
        columns: of cortex.
        midbrain: cortex has one.
        working_memory: cortex has one.
        inputs: input channels of maass and cortex; a task sets its own.
    """

    name: str = "maass"
    neurons: int = 0
    scale: float = 0.1
    columns: int = 4
    midbrain: bool = True
    working_memory: bool = True
    inputs: int = 40

    def __post_init__(self) -> None:
        if self.neurons < 0 or self.columns < 1 or self.inputs < 1:
            raise ValueError(
                f"neurons must be 0 or positive, columns and inputs positive, got {self.neurons}, {self.columns} and "
                f"{self.inputs}"
            )
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], got {self.scale}")


@dataclass(frozen=True)
class EngineSettings:
    """How it is simulated.

    Args:
        precision: of the neurons' states.
        threads: of the simulation in this process; 0 for as many as numba uses by default. Spikes do not depend on it.
    """

    precision: Literal["float32", "float64"] = "float32"
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads must be 0 or positive, got {self.threads}")


@dataclass(frozen=True)
class LiquidBuildSettings:
    """Settings of `neuro liquid build`."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class LiquidSimulateSettings:
    """Settings of `neuro liquid simulate`.

    Args:
        network: what is simulated.
        ms: how long, a whole number of steps.
        warmup: ms before that, whose spikes are not kept.
        chunk: ms between looks at the progress and at signals.
        input_rate: of input channels, in Hz; each of them is a Poisson train.
        engine: how.
        seed: keys everything that is drawn.
        device: where.
    """

    network: NetworkSettings = field(default_factory=lambda: NetworkSettings("microcircuit"))
    ms: float = 1000.0
    warmup: float = 200.0
    chunk: float = 100.0
    input_rate: float = 20.0
    engine: EngineSettings = field(default_factory=EngineSettings)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.ms <= 0 or self.warmup < 0 or self.chunk <= 0 or self.input_rate < 0:
            raise ValueError(
                f"ms and chunk must be positive, warmup and input_rate not negative, got {self.ms}, {self.chunk}, "
                f"{self.warmup} and {self.input_rate}"
            )
