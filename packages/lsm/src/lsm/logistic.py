"""Logistic regression as a readout.

Legend: B rows, F features, K classes.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lsm.readout_targets import Targets


class LogisticReadout:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS.

        min over W, b of -(1/B) sum_i log softmax(W^T z_i + b)[y_i] + (penalty / 2) |W|^2

    where z are the states less their mean, over the root of their mean variance (one scale for all features, so that
    silent neurons are not blown up).

    Args:
        penalty: >= 0, of the scaled features.
        max_iterations: of L-BFGS.
    """

    def __init__(self, penalty: float = 1e-3, *, max_iterations: int = 500) -> None:
        if penalty < 0 or max_iterations < 1:
            raise ValueError(f"LogisticReadout: penalty >= 0, max_iterations >= 1, got {penalty}, {max_iterations}")
        self.penalty, self.max_iterations = penalty, max_iterations
        self.targets: Targets | None = None

    def fit(self, states_BF: np.ndarray, targets: np.ndarray) -> LogisticReadout:
        """Learn labels.

        Args:
            states_BF: features, (B, F).
            targets: labels, (B,).

        Raises:
            ValueError: targets that are values, or fewer than two classes.
        """
        self.targets = Targets.of(targets)
        if self.targets.classes is None or len(self.targets.classes) < 2:
            raise ValueError("LogisticReadout: needs labels of at least two classes")
        columns_BK = self.targets.columns(targets)
        x_BF = np.asarray(states_BF, np.float64)
        mean_F = x_BF.mean(0)
        scale = float(np.sqrt(x_BF.var(0).mean())) or 1.0
        z_BF = (x_BF - mean_F) / scale
        n_features, n_classes = z_BF.shape[1], columns_BK.shape[1]

        def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            matrix = parameters.reshape(n_features + 1, n_classes)
            scores_BK = z_BF @ matrix[:-1] + matrix[-1]
            value = -(columns_BK * log_softmax(scores_BK, axis=1)).sum() / len(z_BF)
            error_BK = (softmax(scores_BK, axis=1) - columns_BK) / len(z_BF)
            gradient = np.concatenate([z_BF.T @ error_BK + self.penalty * matrix[:-1], error_BK.sum(0)[None]])
            return value + self.penalty / 2 * (matrix[:-1] ** 2).sum(), gradient.ravel()

        start = np.zeros((n_features + 1) * n_classes)
        found = minimize(
            loss, start, jac=True, method="L-BFGS-B", options={"maxiter": self.max_iterations, "gtol": 1e-6}
        )
        matrix = found.x.reshape(n_features + 1, n_classes)
        self.weights_FK = matrix[:-1] / scale
        self.intercept_K = matrix[-1] - mean_F @ self.weights_FK
        return self

    def probabilities(self, states_BF: np.ndarray) -> np.ndarray:
        """Probability of each class, float64 (B, K)."""
        if self.targets is None:
            raise ValueError("LogisticReadout: not fitted yet")
        return softmax(np.asarray(states_BF, np.float64) @ self.weights_FK + self.intercept_K, axis=1)

    def predict(self, states_BF: np.ndarray) -> np.ndarray:
        """The likeliest label, (B,)."""
        probabilities_BK = self.probabilities(states_BF)
        assert self.targets is not None
        return self.targets.answers(probabilities_BK)

    def score(self, states_BF: np.ndarray, targets: np.ndarray) -> float:
        """Share of right labels."""
        return float((self.predict(states_BF) == np.asarray(targets)).mean())
