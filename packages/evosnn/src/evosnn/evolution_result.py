"""What a run of an evolution gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from evosnn.genome import Genome


@dataclass(frozen=True)
class EvolutionResult:
    """How an evolution ended.

    Args:
        best: the champion.
        score: its mean score over `claimed` episodes.
        claimed: episodes that the score was measured on, none of which it was selected by where the run was solved.
        solved: it held the target on them; False where there was no target.
        generations: generations done.
        episodes: episodes lived by all individuals, those of claims included.
        history: one record a generation.
    """

    best: Genome
    score: float
    claimed: int
    solved: bool
    generations: int
    episodes: int
    history: list[dict[str, Any]] = field(default_factory=list)
