"""What all pictures share: figures without a screen, colours, populations as bands of rows. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ddp_utils import atomic_file
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RED, BLUE, GREEN, GREY = "#c0392b", "#1f5f99", "#2e7d4f", "#8a8a8a"
Sizes = Mapping[str, int]


def inhibitory_names(names: Collection[str]) -> set[str]:
    """Names that say so: those that end in I, as in `23I`, or hold the word."""
    return {name for name in names if name.endswith("I") or "inhib" in name.lower()}


def colours_of(names: Sequence[str], inhibitory: Collection[str] | None) -> dict[str, str]:
    """Blue for what excites, red for what inhibits."""
    red = inhibitory_names(names) if inhibitory is None else set(inhibitory)
    return {name: RED if name in red else BLUE for name in names}


def offsets_of(sizes: Sizes) -> dict[str, int]:
    """Global id of each population's first neuron."""
    ends = np.cumsum([0, *sizes.values()])
    return {name: int(first) for name, first in zip(sizes, ends[:-1], strict=True)}


def check_spikes(caller: str, times: NDArray[Any], ids: NDArray[Any], sizes: Sizes) -> None:
    """Refuse spikes that do not fit the populations.

    Raises:
        ValueError: times and ids are not as many, or an id lies outside the populations.
    """
    total = sum(sizes.values())
    if times.shape != ids.shape or times.ndim != 1:
        raise ValueError(f"{caller}: expected as many times as ids, got shapes {times.shape} and {ids.shape}")
    if len(ids) and not (ids.min() >= 0 and ids.max() < total):
        raise ValueError(f"{caller}: ids {ids.min()} to {ids.max()} do not lie in {total} neurons of {list(sizes)}")


def new_figure(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float],
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
    share: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure that draws without a screen, and its panels row by row.

    Args:
        rows: panels above each other.
        columns: panels beside each other.
        size: width and height in inches.
        heights: of the rows, relative.
        widths: of the columns, relative.
        share: panels of a column have one x axis, of a row one y axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid: dict[str, Any] = {"height_ratios": heights, "width_ratios": widths}
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        sharex="col" if share else False,
        sharey="row" if share else False,
        gridspec_kw={key: value for key, value in grid.items() if value is not None},
    )
    panels = list(np.ravel(axes))
    for axis in panels:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, panels


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure, PNG, SVG or PDF by its name; what was there stays until the new file is whole.

    Raises:
        ValueError: the name's ending is no format that matplotlib writes.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise ValueError(f"{path}: expected a name ending in {', '.join(sorted(known))}")
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".").lower())
    return path
