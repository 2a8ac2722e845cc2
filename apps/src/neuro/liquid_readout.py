"""Readouts of `neuro liquid`: learnt, judged beside controls, kept as files.

Legend: I rows, F features, K columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from lsm.delta_rule import DeltaRuleReadout
from lsm.intervals import paired_difference, wilson_interval
from lsm.logistic import LogisticReadout
from lsm.readout_targets import Targets
from lsm.ridge import RidgeReadout
from lsm.task_series import normalised_error
from numpy.typing import NDArray

from neuro.liquid_settings import ReadoutSettings
from neuro.liquid_tasks import Task

KIND, VERSION = "neuro.liquid.readout", 1
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-4.0, 2.5, 0.5))


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """What a readout has learnt: columns = states weights + intercept, and the greatest column's label, or values.

    Args:
        weights_FK: one column a class or value.
        intercept_K: of the columns.
        classes: labels of the columns; None for values.
        penalty: it was learnt with.
    """

    weights_FK: NDArray[np.float64]
    intercept_K: NDArray[np.float64]
    classes: NDArray[Any] | None
    penalty: float

    def predict(self, states_IF: NDArray[np.floating]) -> NDArray[Any]:
        """Labels, (I,), or values, (I, K)."""
        columns_IK = np.asarray(states_IF, np.float64) @ self.weights_FK + self.intercept_K
        return columns_IK if self.classes is None else self.classes[columns_IK.argmax(1)]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        tensors = {"weights": torch.from_numpy(self.weights_FK), "intercept": torch.from_numpy(self.intercept_K)}
        classes = None if self.classes is None else self.classes.tolist()
        write_tensor_file(
            path, tensors, kind=KIND, version=VERSION, metadata={"classes": classes, "penalty": self.penalty}
        )

    @classmethod
    def load(cls, path: Path) -> LinearReadout:
        """Read one.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: damaged, of another kind or newer.
        """
        tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
        try:
            weights_FK, intercept_K = tensors["weights"].numpy(), tensors["intercept"].numpy()
            classes = None if facts["classes"] is None else np.array(facts["classes"])
            n_columns = len(intercept_K) if classes is None else len(classes)
            if weights_FK.ndim != 2 or weights_FK.shape[1] != n_columns or intercept_K.shape != (n_columns,):
                raise ValueError(f"{weights_FK.shape[1:]} columns for {n_columns}")
            return cls(weights_FK, intercept_K, classes, float(facts["penalty"]))
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"{path}: not usable: {error}") from error


def learn(
    states_IF: NDArray[np.floating], targets: NDArray[Any], groups_I: NDArray[np.int64], settings: ReadoutSettings
):
    """Learn from rows; a ridge without a penalty chooses one on every fifth of the groups, and then takes all rows."""
    if settings.kind == "delta":
        fitted, penalty = DeltaRuleReadout().fit(states_IF, targets), 0.0
    elif settings.kind == "logistic":
        penalty = settings.penalty or 1e-3
        fitted = LogisticReadout(penalty).fit(states_IF, targets)
    else:
        penalty = settings.penalty or _chosen_penalty(states_IF, targets, groups_I)
        fitted = RidgeReadout(penalty).fit(states_IF, targets)
    assert fitted.targets is not None
    return LinearReadout(np.asarray(fitted.weights_FK, np.float64), fitted.intercept_K, fitted.targets.classes, penalty)


def _chosen_penalty(states_IF: NDArray[np.floating], targets: NDArray[Any], groups_I: NDArray[np.int64]) -> float:
    names, number_I = np.unique(groups_I, return_inverse=True)
    held = number_I % 5 == min(4, len(names) - 1)
    if held.all() or not held.any() or len(np.unique(targets[~held])) < 2:
        return 1e-2
    known = Targets.of(targets)
    if known.classes is not None:
        held &= np.isin(targets, targets[~held])
    scores = [
        _score(RidgeReadout(p).fit(states_IF[~held], targets[~held]), states_IF[held], targets[held]) for p in PENALTIES
    ]
    best = int(np.argmax(scores))  # of equals the smallest
    return PENALTIES[best]


def _score(readout: RidgeReadout, states_IF: NDArray[np.floating], targets: NDArray[Any]) -> float:
    return readout.score(states_IF, targets)


def answers_of_folds(
    states_IF: NDArray[np.floating], task: Task, settings: ReadoutSettings
) -> tuple[NDArray[Any], list[float]]:
    """What readouts say of each fold's test rows, in the order of `task.test_rows`, and the penalties they took."""
    answers, penalties = [], []
    for train, test in task.folds:
        readout = learn(states_IF[train], task.targets[train], task.groups_I[train], settings)
        answers.append(readout.predict(states_IF[test]))
        penalties.append(readout.penalty)
    return np.concatenate(answers), penalties


def judge(answers: NDArray[Any], targets: NDArray[Any], *, name: str) -> dict[str, Any]:
    """Figures of answers: accuracy with its interval, or errors and memory of values."""
    if targets.dtype.kind != "f":
        right = int((answers == targets).sum())
        low, high = wilson_interval(right, len(targets))
        return {"method": name, "accuracy": right / len(targets), "low": low, "high": high, "items": len(targets)}
    errors = [normalised_error(answers[:, k], targets[:, k]) for k in range(targets.shape[1])]
    memory = [_squared_correlation(answers[:, k], targets[:, k]) for k in range(targets.shape[1])]
    return {
        "method": name,
        "nrmse": float(np.mean(errors)),
        "memory": memory,
        "capacity": sum(memory),
        "items": len(targets),
    }


def gain(ours: NDArray[Any], theirs: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
    """How much more is right than a control, or how much less its error is, with a 95% interval of the paired rows."""
    if targets.dtype.kind != "f":
        found = paired_difference(ours == targets, theirs == targets)
    else:
        first, second = (((answers - targets) ** 2).mean(1) / targets.var(0).mean() for answers in (theirs, ours))
        found = paired_difference(first, second)
    return {"gain": found.difference, "gain_low": found.interval[0], "gain_high": found.interval[1]}


def _squared_correlation(answers: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    if not answers.std() or not targets.std():
        return 0.0
    correlation = float(np.corrcoef(answers, targets)[0, 1])
    return max(correlation, 0.0) ** 2
