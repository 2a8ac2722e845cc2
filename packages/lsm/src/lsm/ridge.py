"""Ridge regression as a readout: sums that are streamed, added over processes and solved once.

Legend: B rows (instants or samples), F features (neurons), K targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from scipy.linalg import cho_factor, cho_solve

from lsm.readout_targets import Targets

_BLOCK = 1 << 22  # states


@dataclass
class RidgeSums:
    """What ridge regression needs of any number of rows: n, sum x, sum y, X^T X, X^T Y in float64.

    Args:
        n_features: F.
        n_targets: K.
    """

    n_features: int
    n_targets: int

    def __post_init__(self) -> None:
        n_columns = self.n_features + self.n_targets
        self.rows = 0.0
        self.sum_C = np.zeros(n_columns)
        self.products_FC = np.zeros((self.n_features, n_columns))
        self.squares_K = np.zeros(self.n_targets)

    def add(self, x_BF: np.ndarray, y_BK: np.ndarray) -> RidgeSums:
        """Add rows.

        Args:
            x_BF: features, (B, F).
            y_BK: targets, (B, K).
        """
        x_BF, y_BK = np.asarray(x_BF, np.float64), np.asarray(y_BK, np.float64)
        if x_BF.shape != (len(x_BF), self.n_features) or y_BK.shape != (len(x_BF), self.n_targets):
            raise ValueError(
                f"RidgeSums.add: expected ({len(x_BF)}, {self.n_features}) and ({len(x_BF)}, {self.n_targets}), "
                f"got {x_BF.shape} and {y_BK.shape}"
            )
        self.rows += len(x_BF)
        self.sum_C += np.concatenate([x_BF.sum(0), y_BK.sum(0)])
        self.products_FC[:, : self.n_features] += x_BF.T @ x_BF
        self.products_FC[:, self.n_features :] += x_BF.T @ y_BK
        self.squares_K += (y_BK**2).sum(0)
        return self

    def all_reduce(self) -> RidgeSums:
        """Add the sums of all processes, where `torch.distributed` is initialised; every one then has the whole."""
        if dist.is_initialized():
            device = "cuda" if dist.get_backend() == "nccl" else "cpu"
            for name in ("sum_C", "products_FC", "squares_K"):
                values = torch.from_numpy(getattr(self, name)).to(device)
                dist.all_reduce(values)
                setattr(self, name, values.cpu().numpy())
            rows = torch.tensor([self.rows], dtype=torch.float64, device=device)
            dist.all_reduce(rows)
            self.rows = rows.item()
        return self

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and intercept of the least penalised squares.

            min over W, b of sum |y - W^T x - b|^2 + lambda |W|^2,   lambda = penalty * mean_f sum x_f^2

        The squares are those about the mean, so that the penalty has no unit and means the same for any number of rows
        and any scale of the features.

        Args:
            penalty: > 0.

        Returns:
            W (F, K) and b (K,), float64.

        Raises:
            ValueError: no rows, or penalty not positive.
        """
        if self.rows < 1:
            raise ValueError("RidgeSums.solve: no rows were added")
        _check_penalty(penalty)
        mean_C = self.sum_C / self.rows
        mean_F, mean_K = mean_C[: self.n_features], mean_C[self.n_features :]
        centred_FC = self.products_FC - self.rows * np.outer(mean_F, mean_C)
        xx_FF, xy_FK = centred_FC[:, : self.n_features], centred_FC[:, self.n_features :]
        gram_FF = xx_FF.copy()
        gram_FF.flat[:: self.n_features + 1] += _scaled(penalty, np.trace(xx_FF), self.n_features)
        weights_FK = cho_solve(cho_factor(gram_FF, lower=True, overwrite_a=True, check_finite=True), xy_FK)
        return weights_FK, mean_K - mean_F @ weights_FK


class RidgeReadout:
    """Linear readout by ridge regression; labels are learnt as one column a class and the greatest wins.

    Args:
        penalty: lambda in units of the features' mean sum of squares about their means, > 0.

    Attributes:
        weights_FK: one column a target or class.
        intercept_K: what a readout says without input.
    """

    def __init__(self, penalty: float = 1e-2) -> None:
        _check_penalty(penalty)
        self.penalty = penalty
        self.targets: Targets | None = None
        self._sums: RidgeSums | None = None

    def partial_fit(
        self, states_BF: np.ndarray, targets: np.ndarray, *, classes: np.ndarray | None = None
    ) -> RidgeReadout:
        """Add rows to the sums; `finish` solves for them.

        Args:
            states_BF: features, (B, F).
            targets: labels of whole numbers or text, (B,), or values, float (B,) or (B, K).
            classes: all labels there are; needed in the first call where its rows do not hold every label.
        """
        if self.targets is None:
            self.targets = Targets.of(targets, classes)
        columns_BK = self.targets.columns(targets)
        if self._sums is None:
            self._sums = RidgeSums(np.shape(states_BF)[1], columns_BK.shape[1])
        self._sums.add(states_BF, columns_BK)
        return self

    def finish(self) -> RidgeReadout:
        """Add the sums of all processes and solve.

        Raises:
            ValueError: no rows were given, or the processes have other features or classes than each other.
        """
        if self._sums is None or self.targets is None:
            raise ValueError("RidgeReadout.finish: no rows were given")
        classes = None if self.targets.classes is None else self.targets.classes.tolist()
        learnt = _of_all((self._sums.n_features, self._sums.n_targets, classes))
        if any(other != learnt[0] for other in learnt):
            raise ValueError(f"RidgeReadout.finish: processes learn other features, targets or classes: {learnt}")
        self.weights_FK, self.intercept_K = self._sums.all_reduce().solve(self.penalty)
        self._sums = None
        return self

    def fit(self, states_BF: np.ndarray, targets: np.ndarray) -> RidgeReadout:
        """Learn from all rows at once: by the smaller of the two equal systems, features or rows.

        Beside fewer rows than features, states are read in blocks of columns: there is no second copy of them.

        Where `torch.distributed` is initialised, from the rows of all processes, each of which calls it with its own.

        Args:
            states_BF: features, finite, (B, F).
            targets: as in `partial_fit`.

        Raises:
            ValueError: features that are not finite or not (B, F), or not as many targets.
        """
        if np.ndim(states_BF) != 2 or len(states_BF) != len(targets) or not _finite(states_BF):
            shapes = f"{np.shape(states_BF)} and {np.shape(targets)}"
            raise ValueError(f"RidgeReadout.fit: states must be finite, (B, F), targets as many; got shapes {shapes}")
        self.targets, self._sums = Targets.of(targets), None
        if self.targets.classes is not None:  # those of all processes
            self.targets = Targets.of(targets, np.concatenate(_of_all(self.targets.classes)))
        if dist.is_initialized() or len(states_BF) >= np.shape(states_BF)[1]:
            return self.partial_fit(states_BF, targets).finish()
        states_BF, y_BK = np.asarray(states_BF), self.targets.columns(targets)
        mean_F, mean_K = states_BF.mean(0, dtype=np.float64), y_BK.mean(0)
        gram_BB = np.zeros((len(y_BK), len(y_BK)))
        for part in _blocks(states_BF):
            centred_BF = states_BF[:, part] - mean_F[part]
            gram_BB += centred_BF @ centred_BF.T
        gram_BB.flat[:: len(gram_BB) + 1] += _scaled(self.penalty, np.trace(gram_BB), states_BF.shape[1])
        dual_BK = cho_solve(cho_factor(gram_BB, lower=True, overwrite_a=True), y_BK - mean_K)
        self.weights_FK = np.empty((states_BF.shape[1], y_BK.shape[1]))
        for part in _blocks(states_BF):
            self.weights_FK[part] = (states_BF[:, part] - mean_F[part]).T @ dual_BK
        self.intercept_K = mean_K - mean_F @ self.weights_FK
        return self

    def decision(self, states_BF: np.ndarray) -> np.ndarray:
        """The columns before the greatest is taken, float64 (B, K)."""
        if self.targets is None or not hasattr(self, "weights_FK"):
            raise ValueError("RidgeReadout: not fitted yet")
        states_BF = np.asarray(states_BF)
        if states_BF.ndim != 2 or states_BF.shape[1] != len(self.weights_FK):
            n_features = len(self.weights_FK)
            raise ValueError(f"RidgeReadout: states must be (B, {n_features}), got shape {states_BF.shape}")
        columns_BK = np.tile(self.intercept_K, (len(states_BF), 1))
        for part in _blocks(states_BF):
            columns_BK += states_BF[:, part].astype(np.float64) @ self.weights_FK[part]
        return columns_BK

    def predict(self, states_BF: np.ndarray) -> np.ndarray:
        """Labels, (B,), or values of the shape that was learnt."""
        columns_BK = self.decision(states_BF)
        assert self.targets is not None
        return self.targets.answers(columns_BK)

    def score(self, states_BF: np.ndarray, targets: np.ndarray) -> float:
        """Share of right labels, or R^2 of values (mean over targets)."""
        answers = self.predict(states_BF)
        assert self.targets is not None
        return self.targets.score(answers, targets)


def _blocks(states_BF: np.ndarray) -> Iterator[slice]:
    """Columns that are turned into float64 at once."""
    width = max(1, _BLOCK // max(1, len(states_BF)))
    return (slice(begin, begin + width) for begin in range(0, states_BF.shape[1], width))


def _finite(states_BF: np.ndarray) -> bool:
    states_BF = np.asarray(states_BF)
    return all(bool(np.isfinite(states_BF[:, part]).all()) for part in _blocks(states_BF))


def _of_all(value: Any) -> list[Any]:
    """What each process has; of one alone, its own."""
    if not dist.is_initialized():
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def _scaled(penalty: float, trace: float, n_features: int) -> float:
    """Lambda; features that never change leave nothing to penalise, and any positive number will do."""
    return penalty * trace / n_features if trace > 0 else penalty


def _check_penalty(penalty: float) -> None:
    if not penalty > 0:
        raise ValueError(f"ridge: penalty must be positive, got {penalty}")
