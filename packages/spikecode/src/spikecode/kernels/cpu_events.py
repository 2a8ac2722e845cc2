"""numba kernel that lists the spikes of packed trains, in no more memory than the list takes.

Shapes: R rows, W neurons of a window, K words of a train, S spikes.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from spikecode.kernels.cpu import _UNIT, _ZERO, _popcount, jit, over_rows


@jit
def _list_rows(words_RWK, first_R, offset_R, steps, events_S, first, last):
    for row in range(first, last):
        at = offset_R[row]
        for w in range(words_RWK.shape[1]):
            start = (first_R[row] + w) * steps
            for k in range(words_RWK.shape[2]):
                word = words_RWK[row, w, k]
                while word != _ZERO:
                    lowest = word & (~word + _UNIT)
                    events_S[at] = start + (k << 6) + _popcount(lowest - _UNIT)
                    at += 1
                    word ^= lowest


def list_spikes(words_RWK: Tensor, first_R: Tensor, offsets_R: Tensor, steps: int, events_S: Tensor) -> None:
    """See `spikecode.kernels.list_spikes`."""
    arguments = (
        words_RWK.contiguous().numpy().view(np.uint64),
        first_R.long().contiguous().numpy(),
        offsets_R.numpy(),
        steps,
        events_S.numpy(),
    )
    over_rows(_list_rows, arguments, len(words_RWK), words_RWK.shape[0] * words_RWK.shape[1])
