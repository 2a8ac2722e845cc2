"""A run's report: one HTML file with its pictures inside, readable without network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from ddp_utils import atomic_file, environment


@dataclass(frozen=True)
class Section:
    """Part of a report.

    Args:
        title: heading.
        text: a paragraph.
        columns, rows: a table, first column left-aligned.
        note: small print under the table.
        pictures: PNG files to put in.
        preformatted: text to show as it is.
    """

    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""
    pictures: Sequence[Path] = field(default_factory=list)
    preformatted: str = ""


def write_report(path: Path, title: str, sections: Sequence[Section]) -> Path:
    """Write the report, atomically."""
    from jinja2 import Environment, PackageLoader

    template = Environment(loader=PackageLoader("neuro"), autoescape=True, trim_blocks=True).get_template("report.html")
    facts = environment()
    machine = (
        f"{facts['processor']}, {facts['cpus']} cores, {facts['memory_gib']} GiB, "
        f"{', '.join(facts['devices']) or 'no GPU'}; Python {facts['python']}, torch {facts['packages']['torch']}"
    )
    page = template.render(title=title, sections=sections, picture=_data_uri, machine=machine, version=version("neuro"))
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
