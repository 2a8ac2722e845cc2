"""Ridge readouts of groups left out, with a penalty that the training groups choose among themselves.

Legend: I items, F features, K classes, J training items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from lsm.readout_targets import Targets

PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-4, 2.5, 0.5))


@dataclass(frozen=True)
class NestedPrediction:
    """What the readouts say of items that none of them learnt from.

    Args:
        answers_I: the label of each item; for items that were in no test, the first class.
        penalties: the penalty that each fold chose, in the order of the folds.
        inner: accuracy of that penalty within each fold's training items: what tuning may look at.
    """

    answers_I: np.ndarray
    penalties: tuple[float, ...]
    inner: tuple[float, ...]


def nested_ridge(
    states_IF: np.ndarray,
    labels_I: np.ndarray,
    groups_I: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> NestedPrediction:
    """Predict each fold's test items by ridge regression on its training items.

    The penalty of a fold is the one with most right answers when each group of its training items is left out in turn:
    no test item is looked at. All is done on the matrix of inner products, so features may be many.

    Args:
        states_IF: features, (I, F).
        labels_I: labels, (I,).
        groups_I: the group of each item, for the inner folds; at least two groups in every training set.
        folds: pairs of training and test items.
        penalties: candidates, in units of the features' mean sum of squares, as in `RidgeReadout`.

    Returns:
        The answers, and the penalties chosen.
    """
    targets = Targets.of(labels_I)
    columns_IK = targets.columns(labels_I)
    groups_I = np.asarray(groups_I)
    x_IF = np.asarray(states_IF, np.float32)
    x_IF = x_IF - x_IF.mean(0)
    gram_II = (x_IF @ x_IF.T).astype(np.float64)
    answers_I = np.full(len(labels_I), targets.classes[0] if targets.classes is not None else 0)
    chosen, inner = [], []
    for train_J, test in folds:
        names = np.unique(groups_I[train_J])
        if len(names) < 2:
            raise ValueError("nested_ridge: every training set needs items of at least two groups")
        right_P = np.zeros(len(penalties))
        for name in names:
            out_J = groups_I[train_J] == name
            scores = _predictions(gram_II, columns_IK, train_J[~out_J], train_J[out_J], x_IF.shape[1], penalties)
            for number, columns_BK in enumerate(scores):
                right_P[number] += (targets.answers(columns_BK) == np.asarray(labels_I)[train_J[out_J]]).sum()
        best = int(right_P.argmax())
        chosen.append(float(penalties[best]))
        inner.append(float(right_P[best] / len(train_J)))
        (columns_BK,) = _predictions(gram_II, columns_IK, train_J, test, x_IF.shape[1], [penalties[best]])
        answers_I[test] = targets.answers(columns_BK)
    return NestedPrediction(answers_I, tuple(chosen), tuple(inner))


def _predictions(
    gram_II: np.ndarray,
    columns_IK: np.ndarray,
    train_J: np.ndarray,
    test_B: np.ndarray,
    n_features: int,
    penalties: Sequence[float],
) -> list[np.ndarray]:
    """Columns of the test items for each penalty: features and targets are centred on the training items."""
    gram_JJ, gram_BJ = gram_II[np.ix_(train_J, train_J)], gram_II[np.ix_(test_B, train_J)]
    means_J = gram_JJ.mean(0)
    gram_BJ = gram_BJ - means_J - gram_BJ.mean(1, keepdims=True) + means_J.mean()
    gram_JJ = gram_JJ - means_J - means_J[:, None] + means_J.mean()
    mean_K = columns_IK[train_J].mean(0)
    centred_JK = columns_IK[train_J] - mean_K
    scale = np.trace(gram_JJ) / n_features or 1.0
    answers = []
    for penalty in penalties:
        system_JJ = gram_JJ.copy()
        system_JJ.flat[:: len(system_JJ) + 1] += penalty * scale
        factor = cho_factor(system_JJ, lower=True, overwrite_a=True, check_finite=False)
        answers.append(gram_BJ @ cho_solve(factor, centred_JK, check_finite=False) + mean_K)
    return answers
