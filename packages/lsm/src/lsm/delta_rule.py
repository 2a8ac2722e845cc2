"""A readout that learns while it runs: the normalised delta rule.

Legend: F features, K targets, B rows.
"""

from __future__ import annotations

import numpy as np

from lsm.readout_targets import Targets


class DeltaRuleReadout:
    """One row at a time, each moves the weights along its own error.

        e = y - W^T x - b,   W <- W + rate x e^T / (1 + |x|^2),   b <- b + rate e / (1 + |x|^2)

    With rate 1 the row just seen is answered without error; below 2 the error of that row never grows.

    Args:
        rate: in (0, 2).
        passes: how often `fit` goes through its rows, >= 1.
        seed: keys the order of the rows in `fit`.

    References:
        Widrow, Hoff (1960), Adaptive switching circuits; Haykin, Adaptive filter theory, chapter 6 (normalised LMS).
    """

    def __init__(self, rate: float = 0.2, *, passes: int = 5, seed: int = 0) -> None:
        if not 0 < rate < 2 or passes < 1:
            raise ValueError(f"DeltaRuleReadout: 0 < rate < 2 and passes >= 1, got {rate} and {passes}")
        self.rate, self.passes, self.seed = rate, passes, seed
        self.targets: Targets | None = None

    def start(self, n_features: int, targets: np.ndarray, *, classes: np.ndarray | None = None) -> DeltaRuleReadout:
        """Forget everything and take zero weights for targets like those given."""
        self.targets = Targets.of(targets, classes)
        n_targets = self.targets.columns(targets).shape[1]
        self.weights_FK, self.intercept_K = np.zeros((n_features, n_targets)), np.zeros(n_targets)
        return self

    def update(self, state_F: np.ndarray, target: object) -> np.ndarray:
        """Learn one row.

        Args:
            state_F: features, (F,).
            target: a label, a value, or values (K,).

        Returns:
            The error before learning, float64 (K,).
        """
        if self.targets is None:
            raise ValueError("DeltaRuleReadout.update: call start first")
        x_F = np.asarray(state_F, np.float64)
        error_K = self.targets.columns(np.asarray([target]))[0] - x_F @ self.weights_FK - self.intercept_K
        step_K = self.rate / (1.0 + x_F @ x_F) * error_K
        self.weights_FK += np.outer(x_F, step_K)
        self.intercept_K += step_K
        return error_K

    def fit(self, states_BF: np.ndarray, targets: np.ndarray) -> DeltaRuleReadout:
        """Go through the rows `passes` times, in a new order each."""
        targets = np.asarray(targets)
        self.start(np.shape(states_BF)[1], targets)
        rng = np.random.default_rng(self.seed)
        for _ in range(self.passes):
            for row in rng.permutation(len(targets)):
                self.update(states_BF[row], targets[row])
        return self

    def predict(self, states_BF: np.ndarray) -> np.ndarray:
        """Labels, (B,), or values of the shape that was learnt."""
        if self.targets is None:
            raise ValueError("DeltaRuleReadout: not fitted yet")
        return self.targets.answers(np.asarray(states_BF, np.float64) @ self.weights_FK + self.intercept_K)

    def score(self, states_BF: np.ndarray, targets: np.ndarray) -> float:
        """Share of right labels, or R^2 of values."""
        answers = self.predict(states_BF)
        assert self.targets is not None
        return self.targets.score(answers, targets)
