"""Ranges of settings, checked where a configuration is made."""

from __future__ import annotations

import math
from typing import Any

PROBABILITY = (0.0, 1.0)
NOT_NEGATIVE = (0.0, math.inf)


def check_ranges(owner: Any, **ranges: tuple[float, float]) -> None:
    """Raise a ValueError for the first number that is not in its closed range, a TypeError for what is no number.

    A field that is written as a whole number in the class must be whole.
    """
    for name, (low, high) in ranges.items():
        value, whole = getattr(owner, name), type(owner).__dataclass_fields__[name].type == "int"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise TypeError(f"{type(owner).__name__}: {name} must be a {'whole ' * whole}number, got {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{type(owner).__name__}: {name} must lie in [{low:g}, {high:g}], got {value!r}")
