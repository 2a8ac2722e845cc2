"""Who trains and who tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

OFFICIAL_TEST_BELOW = 5


def leave_one_group_out(groups: Sequence[object] | np.ndarray) -> Iterator[tuple[object, np.ndarray, np.ndarray]]:
    """One fold a group, for example a speaker: all its items test, all others train.

    Args:
        groups: the group of each item.

    Yields:
        The group, the training items and the test items (rising indices), in the order of the groups' names.

    Raises:
        ValueError: fewer than two groups.
    """
    names, number_I = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"leave_one_group_out: needs at least two groups, got {len(names)}")
    for number, name in enumerate(names):
        yield name.item(), np.flatnonzero(number_I != number), np.flatnonzero(number_I == number)


def official_digit_split(indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The free spoken digit dataset's own split: recordings with index 0 to 4 are the test.

    Args:
        indices: the index of each recording.

    Returns:
        Training items and test items.

    Raises:
        ValueError: one of them would be empty.
    """
    test_I = np.asarray(indices) < OFFICIAL_TEST_BELOW
    if test_I.all() or not test_I.any():
        raise ValueError("official_digit_split: needs recordings with indices below 5 and from 5 on")
    return np.flatnonzero(~test_I), np.flatnonzero(test_I)
