"""Sort synapses into the segments of a store: count them first, then put each in its place."""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import mix
from lsm.kernels.values import value

WEIGHT_SALT, DELAY_SALT = np.uint64(0x5765696768740000), np.uint64(0x44656C6179000000)
_LISTED = 3


@jit
def _key(distribution, word, salt):
    """Stream of a synapse's weight or delay; a list is read at the word itself."""
    return word if distribution[0] == _LISTED else mix(word ^ salt)


@jit
def _segment(source, word, delay, delay_table, step, first_delay, n_delays):
    steps = np.int64(np.rint(value(delay, delay_table, _key(delay, word, DELAY_SALT)) / step))
    return np.int64(source) * n_delays + max(steps, 1) - first_delay


@jit
def count(source_n, word_n, delay, delay_table, step, first_delay, n_delays, counts):
    """Add the synapses of a chunk to the counts of their segments."""
    for i in range(len(source_n)):
        if delay[0] == 0:
            counts[np.int64(source_n[i])] += 1
        else:
            counts[_segment(source_n[i], word_n[i], delay, delay_table, step, first_delay, n_delays)] += 1


@jit
def fill_constant(source_n, target_n, word_n, delay, delay_table, step, first_delay, n_delays, shift, cursor, out):
    """Put targets + shift where the cursors of their segments are."""
    for i in range(len(source_n)):
        if delay[0] == 0:
            segment = np.int64(source_n[i])
        else:
            segment = _segment(source_n[i], word_n[i], delay, delay_table, step, first_delay, n_delays)
        out[cursor[segment]] = target_n[i] + shift
        cursor[segment] += 1


@jit
def fill_weighted(
    source_n, target_n, word_n, delay, delay_table, step, first_delay, n_delays, shift, weight, weight_table, quantum,
    cursor, out, half,
):  # fmt: skip
    """Put weight in units and target + shift where the cursors of their segments are."""
    for i in range(len(source_n)):
        segment = _segment(source_n[i], word_n[i], delay, delay_table, step, first_delay, n_delays)
        drawn = value(weight, weight_table, _key(weight, word_n[i], WEIGHT_SALT))
        units = np.int64(np.rint(drawn / quantum))
        out[cursor[segment]] = (units << half) | (np.int64(target_n[i]) + shift)
        cursor[segment] += 1


@jit
def fill_plastic(
    source_n, target_n, word_n, delay, delay_table, step, first_delay, n_delays, shift, weight, weight_table, cursor,
    targets, weights,
):  # fmt: skip
    """Put target + shift and the weight itself where the cursors of their segments are."""
    for i in range(len(source_n)):
        segment = _segment(source_n[i], word_n[i], delay, delay_table, step, first_delay, n_delays)
        at = cursor[segment]
        targets[at] = target_n[i] + shift
        weights[at] = value(weight, weight_table, _key(weight, word_n[i], WEIGHT_SALT))
        cursor[segment] += 1
