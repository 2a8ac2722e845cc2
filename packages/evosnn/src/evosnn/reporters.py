"""Who hears of each generation: a table on the terminal, a JSON Lines file, TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ddp_utils import MetricsLog, is_main
from rich.console import Console
from rich.table import Table

ROWS_BETWEEN_HEADS = 20
COLUMNS = {
    "generation": (10, "d"),
    "best": (8, ".2f"),
    "median": (8, ".2f"),
    "species": (7, ".0f"),
    "neurons": (7, ".1f"),
    "edges": (6, ".1f"),
    "rate": (6, ".1f"),
    "decided": (8, ".2f"),
    "diversity": (9, ".2f"),
    "episodes": (9, "d"),
}  # name to width and format of what a record may hold; those of one record fit into the 80 columns of a pipe


class Reporter(Protocol):
    """What an `Evolution` tells of its generations. All processes call it together."""

    def start(self, generation: int) -> None:
        """A run begins or goes on with this generation."""
        ...

    def report(self, record: Mapping[str, Any]) -> None:
        """A generation is done; the record is a line of the history."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


class TableReporter:
    """A row a generation on a terminal, written by the main process; the head comes again every 20 rows.

    Args:
        console: where to; by default the standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._rows = 0

    def start(self, generation: int) -> None:
        """See `Reporter`."""
        if is_main() and generation:
            self.console.print(f"going on with generation {generation}")
        self._rows = 0

    def report(self, record: Mapping[str, Any]) -> None:
        """See `Reporter`."""
        if not is_main():
            return
        table = Table(box=None, show_header=self._rows % ROWS_BETWEEN_HEADS == 0, padding=(0, 1, 0, 0), pad_edge=False)
        shown = {name: shape for name, shape in COLUMNS.items() if name in record}
        for name, (width, _) in shown.items():
            table.add_column(name, justify="right", min_width=width, no_wrap=True)
        table.add_row(*(format(record[name], form) for name, (_, form) in shown.items()))
        self.console.print(table)
        self._rows += 1

    def close(self) -> None:
        """See `Reporter`."""


class MetricsReporter:
    """`metrics.jsonl` in a folder, one line a generation, and TensorBoard scalars beside it if asked for.

    A resumed run drops the lines of generations that it does again. The `step` of a line is the number of generations
    done.

    Args:
        folder: the run folder.
        tensorboard: also write event files under `tensorboard/`.

    Raises:
        ImportError: TensorBoard is asked for and not installed (when the run starts).
    """

    def __init__(self, folder: str | Path, *, tensorboard: bool = False) -> None:
        self.folder, self.tensorboard = Path(folder), tensorboard
        self._log: MetricsLog | None = None

    def start(self, generation: int) -> None:
        """See `Reporter`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = MetricsLog(self.folder, resume_step=generation, tensorboard=self.tensorboard)

    def report(self, record: Mapping[str, Any]) -> None:
        """See `Reporter`."""
        assert self._log is not None, "start comes first"
        self._log.write(record["generation"] + 1, **record)

    def close(self) -> None:
        """See `Reporter`."""
        if self._log is not None:
            self._log.close()
