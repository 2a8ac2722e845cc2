"""What an argument may be, said in one place."""

from __future__ import annotations

import math
from numbers import Integral, Real


def require_finite(name: str, value: object) -> None:
    """Raise a ValueError that names the argument where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}: a finite number is needed, got {value!r}")


def require_at_least(name: str, value: float, least: float, *, unit: str = "") -> None:
    """Raise a ValueError that names the argument where it is below the least."""
    require_finite(name, value)
    if value < least:
        raise ValueError(f"{name}: at least {least:g} {unit} is needed, got {value!r}".replace("  ", " "))


def require_above(name: str, value: float, bound: float, *, unit: str = "") -> None:
    """Raise a ValueError that names the argument where it is not above the bound."""
    require_finite(name, value)
    if value <= bound:
        raise ValueError(f"{name}: more than {bound:g} {unit} is needed, got {value!r}".replace("  ", " "))


def require_whole(name: str, value: object, least: int) -> None:
    """Raise a ValueError that names the argument where it is no whole number or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")


def require_fraction(name: str, value: float) -> None:
    """Raise a ValueError that names the argument where it is not from 0 to 1."""
    require_finite(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: from 0 to 1, got {value!r}")
