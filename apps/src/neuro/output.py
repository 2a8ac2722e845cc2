"""What a command says on stdout: a table for people, or one JSON document."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuro.config import ConfigError


def print_json(document: Any) -> None:
    """One JSON document on stdout; NaN and infinity become null."""
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def check_writable(path: Path) -> None:
    """Refuse an output file that cannot be made, before the work that it is for.

    Raises:
        ConfigError: it is a folder, or lies below a file.
    """
    if path.is_dir():
        raise ConfigError(f"--out {path}: is a folder, not a file")
    standing = next(parent for parent in path.parents if parent.exists())
    if not standing.is_dir():
        raise ConfigError(f"--out {path}: {standing} is a file, not a folder")
    if not os.access(standing, os.W_OK):
        raise ConfigError(f"--out {path}: no permission to write to {standing}")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; the first column is left-aligned, the others right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # a pipe has no width of its own: wide enough that no figure is cut
    width = None if sys.stdout.isatty() else 160
    Console(width=width).print(table)


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
