"""What a readout learns: labels as one column a class, or values as they are.

Legend: B rows, K columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Targets:
    """How targets turn into columns and back.

    Args:
        classes: the labels in order, or None where targets are values.
        flat: whether values came as (B,).
    """

    classes: np.ndarray | None
    flat: bool

    @classmethod
    def of(cls, targets: np.ndarray, classes: np.ndarray | None = None) -> Targets:
        """Whole numbers, truth values and text are labels; floats are values.

        Raises:
            ValueError: no rows, or labels that are not one a row.
        """
        targets = np.asarray(targets)
        if not len(targets):
            raise ValueError("readout: there are no targets")
        if classes is None and targets.dtype.kind == "f":
            if targets.ndim > 2 or not np.isfinite(targets).all():
                raise ValueError(f"readout: values must be finite and (B,) or (B, K), got shape {targets.shape}")
            return cls(None, targets.ndim == 1)
        if targets.ndim != 1:
            raise ValueError(f"readout: labels must be one a row, got shape {targets.shape}")
        return cls(np.unique(targets if classes is None else classes), True)

    def columns(self, targets: np.ndarray) -> np.ndarray:
        """Float64 (B, K): 1 in the column of the label and 0 elsewhere, or the values.

        Raises:
            ValueError: a label that is none of the classes.
        """
        targets = np.asarray(targets)
        if self.classes is None:
            return targets.astype(np.float64).reshape(len(targets), -1)
        unknown = np.setdiff1d(targets, self.classes)
        if len(unknown):
            raise ValueError(f"readout: label {unknown[0]!r} is none of the classes {self.classes.tolist()}")
        return (targets[:, None] == self.classes).astype(np.float64)

    def answers(self, columns_BK: np.ndarray) -> np.ndarray:
        """The label of the greatest column, or the values."""
        if self.classes is None:
            return columns_BK[:, 0] if self.flat else columns_BK
        return self.classes[columns_BK.argmax(1)]

    def score(self, answers: np.ndarray, targets: np.ndarray) -> float:
        """Share of right labels; for values R^2 = 1 - residual / total squares, mean over columns.

        A column that does not vary counts as 1 where it is met exactly, else as 0.
        """
        targets = np.asarray(targets)
        if self.classes is not None:
            return float((answers == targets).mean())
        residual_K = ((np.asarray(answers).reshape(len(targets), -1) - self.columns(targets)) ** 2).sum(0)
        total_K = ((self.columns(targets) - self.columns(targets).mean(0)) ** 2).sum(0)
        r2_K = np.where(total_K > 0, 1 - residual_K / np.where(total_K > 0, total_K, 1), residual_K == 0)
        return float(r2_K.mean())
