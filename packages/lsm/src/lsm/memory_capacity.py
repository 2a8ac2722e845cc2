"""How far back a linear readout can tell the input from the state.

Legend: T instants, F features, D delays.
"""

from __future__ import annotations

import numpy as np

from lsm.ridge import RidgeReadout
from lsm.task_series import delayed_series


def memory_function(
    train_TF: np.ndarray,
    train_inputs_T: np.ndarray,
    test_TF: np.ndarray,
    test_inputs_T: np.ndarray,
    *,
    n_delays: int = 20,
    penalty: float = 1e-3,
) -> np.ndarray:
    """Squared correlation of the delayed input with what a ridge readout makes of the state, by delay.

        m_k = cov(u_{t-k}, r_k(t))^2 / (var u var r_k),   k = 1..D,   memory capacity = sum of m_k

    Readouts learn from the training part, and the correlations are those of the test part, so that noise alone does not
    count; for independent inputs the capacity is at most F.

    Args:
        train_TF: states at the end of each input, (T, F).
        train_inputs_T: u, (T,).
        test_TF: states of another stretch.
        test_inputs_T: its inputs.
        n_delays: D.
        penalty: of the ridge readout.

    Returns:
        m, float64 (D,), each in [0, 1].

    References:
        Jaeger (2002), Short term memory in echo state networks, GMD report 152.
    """
    train_TD, test_TD = delayed_series(train_inputs_T, n_delays), delayed_series(test_inputs_T, n_delays)
    if min(len(train_TF), len(test_TF)) <= n_delays + 1:
        raise ValueError(f"memory_function: needs more than {n_delays + 1} instants in both parts")
    readout = RidgeReadout(penalty).fit(np.asarray(train_TF)[n_delays:], train_TD[n_delays:])
    answers_TD, truth_TD = readout.predict(np.asarray(test_TF)[n_delays:]), test_TD[n_delays:]
    answers_TD, truth_TD = answers_TD - answers_TD.mean(0), truth_TD - truth_TD.mean(0)
    scale_D = (answers_TD**2).sum(0) * (truth_TD**2).sum(0)
    products_D = (answers_TD * truth_TD).sum(0)
    return np.where(products_D > 0, products_D**2 / np.where(scale_D > 0, scale_D, 1), 0.0)
