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
        channels: of the inputs of maass and cortex, 0 for the builder's own number; a task sets its own.
    """

    name: str = "maass"
    neurons: int = 0
    scale: float = 0.1
    columns: int = 4
    midbrain: bool = False
    working_memory: bool = False
    channels: int = 0

    def __post_init__(self) -> None:
        if self.neurons < 0 or self.columns < 1 or self.channels < 0:
            raise ValueError(
                f"neurons and channels must not be negative, columns positive, got {self.neurons}, {self.channels} and "
                f"{self.columns}"
            )
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], got {self.scale}")


@dataclass(frozen=True)
class EngineSettings:
    """How it is simulated.

    Args:
        precision: of the neurons' states.
        threads: of the simulation in this process; 0 for as many as numba uses by default. Spikes do not depend on it.
        procedural: store no synapses of FixedOutdegree with constant weight and delay; draw them again at each spike.
    """

    precision: Literal["float32", "float64"] = "float32"
    threads: int = 0
    procedural: bool = False

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


@dataclass(frozen=True)
class TaskSettings:
    """What the liquid is to tell.

    Args:
        name: templates, delayed and xor (which of two spike templates is heard, was heard before, or whether these
            differ), narma10 and memory (a series of random values), digits (spoken, from wav files), text (labelled
            lines, words as spikes of their vectors).
        data: of digits, a folder or tar archive of files named digit_speaker_index.wav; of text, a file with
            label<TAB>text lines.
        samples: training streams of templates, or values of a series; 0 for 200 streams or 2,000 values.
        test_samples: as many to judge by; 0 for half of them.
        split: of digits: official (indices 0 to 4 are the test) or speakers (each left out in turn).
        jitter: of templates, ms.
        hold: ms that a value of a series, or a word, is shown.
        limit: recordings or texts at most, drawn by key; 0 for all.
    """

    name: Literal["templates", "delayed", "xor", "narma10", "memory", "digits", "text"] = "templates"
    data: str = ""
    samples: int = 0
    test_samples: int = 0
    split: Literal["official", "speakers"] = "official"
    jitter: float = 4.0
    hold: float = 20.0
    limit: int = 0

    def __post_init__(self) -> None:
        if min(self.samples, self.test_samples, self.limit, self.jitter) < 0 or self.hold <= 0:
            raise ValueError(f"samples, limit and jitter must not be negative, hold must be positive, got {self}")
        if self.name in ("digits", "text") and not self.data:
            what = "a folder or tar archive of wav files" if self.name == "digits" else "a file of label<TAB>text lines"
            raise ValueError(f"task.name={self.name} needs task.data (--data): {what}")

    @property
    def n_train(self) -> int:
        """Training streams, or values of a series."""
        return self.samples or (2000 if self.name in ("narma10", "memory") else 200)

    @property
    def n_test(self) -> int:
        """Test streams, or values of a series."""
        return self.test_samples or max(1, self.n_train // 2)


@dataclass(frozen=True)
class ReadoutSettings:
    """What reads the liquid.

    Args:
        kind: ridge, logistic or delta.
        penalty: of ridge and logistic; 0 chooses the ridge's on a fifth of the training groups.
        tau: of the filter of the spikes, ms.
        instants: of a sample that are read, where it has one label; 0 for what suits the task.
    """

    kind: Literal["ridge", "logistic", "delta"] = "ridge"
    penalty: float = 0.0
    tau: float = 30.0
    instants: int = 0

    def __post_init__(self) -> None:
        if self.penalty < 0 or self.tau <= 0 or self.instants < 0:
            raise ValueError(
                f"penalty and instants must not be negative, tau must be positive, got {self.penalty}, {self.instants} "
                f"and {self.tau}"
            )


@dataclass(frozen=True)
class LiquidTrainSettings:
    """Settings of `neuro liquid train`.

    Args:
        task: what is learnt.
        network: the liquid; its input channels are the task's.
        readout: what reads it.
        controls: judge the readout on the input alone, on random features of it, and on the scrambled liquid too.
        block: samples between looks at signals, whose states are kept for a run that goes on.
        engine: how it is simulated.
        seed: keys everything that is drawn.
        device: where.
    """

    task: TaskSettings = field(default_factory=TaskSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    readout: ReadoutSettings = field(default_factory=ReadoutSettings)
    controls: bool = True
    block: int = 20
    engine: EngineSettings = field(default_factory=EngineSettings)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError(f"block must be positive, got {self.block}")
