"""Logging that knows its rank: all of it from the main process, warnings from the others, on stderr."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler

from ddp_utils.distributed import is_main, rank, world_size

console = Console(stderr=True)


class _RankFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not is_main():
            record.msg = f"[process {rank()} of {world_size()}] {record.msg}"
        return is_main() or record.levelno >= logging.WARNING


def setup_logging(*, quiet: bool = False, level: int = logging.INFO) -> None:
    """Send the records of the loggers of `ddp_utils`, of the libraries over it and of `neuro` to stderr.

    On a terminal with colours, in a pipe as plain lines. Calling it again replaces the handler.

    Args:
        quiet: warnings and errors only.
        level: least level shown otherwise.
    """
    if sys.stderr.isatty():
        handler: logging.Handler = RichHandler(console=console, show_path=False, show_time=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(_RankFilter())
    for name in ("ddp_utils", "sdquant", "binemb", "spikecode", "spikeformer", "neuro"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.WARNING if quiet else level)
        logger.propagate = False
