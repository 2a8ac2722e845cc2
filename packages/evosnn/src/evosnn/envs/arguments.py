"""Arguments that the environments have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evosnn.evolution_config import EvolutionConfig
from evosnn.tasks.task import Task


def check_render_mode(metadata: Mapping[str, Any], render_mode: str | None) -> None:
    """Raise ValueError for a mode that the metadata does not name."""
    if render_mode is not None and render_mode not in metadata["render_modes"]:
        raise ValueError(f"render_mode must be one of {metadata['render_modes']} or None, got {render_mode!r}")


def target_score(environment: str, task: Task, target: float | None) -> float:
    """The score to reach: the one given, or the one that counts as solved.

    Args:
        environment: its name, for the message.
        task: what is scored.
        target: finite, or None for the task's own.

    Raises:
        ValueError: the target, or the task's own where none is given, is not finite.
    """
    wanted = task.solved if target is None else float(target)
    if not math.isfinite(wanted):
        lacks = f"{task.name} has no score that counts as solved; give a finite target"
        raise ValueError(f"{environment}: " + (lacks if target is None else f"target must be finite, got {target!r}"))
    return wanted


def evolution_config(config: EvolutionConfig | Mapping[str, Any] | None, default: EvolutionConfig) -> EvolutionConfig:
    """The configuration given, or made of the mapping given, or the default one."""
    if isinstance(config, Mapping):
        return EvolutionConfig.from_dict(config)
    return default if config is None else config
