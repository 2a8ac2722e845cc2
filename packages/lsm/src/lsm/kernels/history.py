"""Read the spike history in order of step and global id."""

from __future__ import annotations

from lsm.kernels.numba_jit import jit


@jit
def collect(start_WPG, id_WPN, slot_T, first_G, kept_G, step_n, id_n):
    """List step and global id of each spike of the kept populations."""
    at = 0
    for t in range(len(slot_T)):
        slot = slot_T[t]
        for g in range(len(first_G)):
            if kept_G[g]:
                for p in range(start_WPG.shape[1]):
                    for i in range(start_WPG[slot, p, g], start_WPG[slot, p, g + 1]):
                        step_n[at] = t
                        id_n[at] = first_G[g] + id_WPN[slot, p, i]
                        at += 1
