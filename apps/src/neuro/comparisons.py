"""Codes beside float on the same items: differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from binemb import (
    AnalogyResult,
    PairedDifference,
    RetrievalResult,
    SimilarityResult,
    TooFewKnownError,
    paired_bootstrap,
)
from torch import Tensor

Outcome: TypeAlias = SimilarityResult | AnalogyResult | RetrievalResult | Tensor
Outcomes: TypeAlias = dict[str, dict[str, Outcome]]
"""Code to measure to outcomes, one an item."""


@dataclass(frozen=True)
class Comparison:
    """How much better a code is than vectors in float32, by one measure.

    Args:
        code: the code.
        against: what it is compared with.
        measure: the measure.
        result: the difference, code minus float32, with its 95% interval.
    """

    code: str
    against: str
    measure: str
    result: PairedDifference

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {"code": self.code, "against": self.against, "measure": self.measure, **asdict(self.result)}


def compare(
    outcomes: Mapping[str, Mapping[str, Outcome]], against: str, *, resamples: int, seed: int
) -> list[Comparison]:
    """Every binary code against float vectors, by every measure that both have on three items or more.

    Args:
        outcomes: code to measure to outcomes.
        against: the entry that others are compared with.
        resamples: resamples of the items, >= 100.
        seed: keys the draws.
    """
    found = []
    for code, measures in outcomes.items():
        for measure, outcome in measures.items() if code.startswith("binary") else ():
            reference = outcomes[against].get(measure)
            if reference is None:
                continue
            try:
                result = paired_bootstrap(outcome, reference, resamples=resamples, seed=seed)
            except TooFewKnownError:  # one or two items: an interval would say nothing
                continue
            found.append(Comparison(code, against, measure, result))
    return found


def comparison_table(comparisons: list[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, as text: codes down, measures across."""
    measures = list(dict.fromkeys(comparison.measure for comparison in comparisons))
    cells = {(comparison.code, comparison.measure): difference_text(comparison.result) for comparison in comparisons}
    codes = dict.fromkeys(comparison.code for comparison in comparisons)
    return ["code", *measures], [[code, *(cells.get((code, measure), "-") for measure in measures)] for code in codes]


def difference_text(result: PairedDifference) -> str:
    """Difference and interval, as text."""
    low, high = result.interval
    return f"{result.difference:+.3f} ({low:+.3f} to {high:+.3f})"


def comparison_note(comparisons: list[Comparison], *, items: str) -> str:
    """What the table says.

    Args:
        comparisons: at least one.
        items: what is resampled, in the plural.
    """
    return (
        f"Code minus {comparisons[0].against}, with the 95% interval of {comparisons[0].result.resamples:,} paired "
        f"resamples of the {items}. An interval on one side of 0: a difference beyond the choice of the {items}."
    )
