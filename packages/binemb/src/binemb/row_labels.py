"""What the rows of an index are called: ids, and words where all rows have one."""

from __future__ import annotations

import torch
from torch import Tensor

from binemb.codes import pack_words, unpack_words

LARGEST_ID = torch.iinfo(torch.int64).max


class RowLabels:
    """Ids and words of rows, in the order in which they were added.

    Attributes:
        words: one for each row, if all rows came with words; else None.
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._count, self._largest = 0, -1
        self.words: list[str] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> Tensor:
        """Ids of all rows, int64, (N,)."""
        if len(self._parts) != 1:
            self._parts = [torch.cat(self._parts) if self._parts else torch.zeros(0, dtype=torch.int64)]
        return self._parts[0]

    def checked(self, count: int, ids: Tensor | None) -> Tensor:
        """Ids for `count` more rows, nothing changed yet.

        Args:
            count: how many rows.
            ids: whole numbers, (count,), different from each other and from those there; None for the numbers that
                follow on the largest so far.

        Returns:
            int64, (count,).

        Raises:
            TypeError: ids are not whole numbers.
            ValueError: they repeat, or there are more or fewer than rows, or none are left.
        """
        if ids is None:
            start = self._largest + 1
            if start > LARGEST_ID - count:
                raise ValueError(f"add: no numbers are left after the largest id, {self._largest}; give ids")
            return torch.arange(start, start + count)
        if not isinstance(ids, Tensor):
            raise TypeError(f"add: ids must be a tensor of whole numbers, got {type(ids).__name__}")
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise TypeError(f"add: ids must be whole numbers, got {ids.dtype}")
        if ids.dtype == torch.uint64:  # its upper half would turn negative
            raise TypeError("add: ids must fit int64, got torch.uint64")
        new = ids.to("cpu", torch.int64)
        if new.shape != (count,):
            raise ValueError(f"add: {count} rows need as many ids, got shape {tuple(new.shape)}")
        follow_on = not self._count or (
            count > 0 and int(new.min()) > self._largest
        )  # then none of those there repeats
        together = new if follow_on else torch.cat([self.ids, new])
        if len(torch.unique(together)) != len(together):
            raise ValueError("add: ids must differ from each other and from those in the index")
        return new

    def extend(self, new_ids: Tensor, words: list[str] | None) -> None:
        """Take in rows whose ids `checked` gave, with their words if they have any."""
        if not len(new_ids):
            return
        if words is None or (self.words is None and self._count):
            self.words = None
        else:
            self.words = self.words or []
            self.words.extend(words)
        largest = int(new_ids.max())
        self._largest = max(self._largest, largest) if self._count else largest
        self._parts.append(new_ids)
        self._count += len(new_ids)

    def tensors(self) -> dict[str, Tensor]:
        """The labels as a file stores them."""
        return {"ids": self.ids} if self.words is None else {"ids": self.ids, "words": pack_words(self.words)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], count: int, *, has_words: bool) -> RowLabels:
        """What `tensors` stored, for `count` rows.

        Raises:
            KeyError, TypeError, ValueError: a tensor is missing or does not fit.
        """
        labels = cls()
        words = unpack_words(tensors["words"], count) if has_words else None
        if words is not None and len(words) != count:
            raise ValueError(f"{len(words)} words for {count} rows")
        if tensors["ids"].dtype != torch.int64:
            raise TypeError(f"ids must be int64, got {tensors['ids'].dtype}")
        labels.extend(labels.checked(count, tensors["ids"]), words)
        return labels
