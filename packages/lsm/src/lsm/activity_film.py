"""A film of the activity: neurons where they stand, lit by their spikes, above the raster. Needs the extra `plots`.

Shapes: N neurons; positions_ND with D = 2 or 3.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ddp_utils import atomic_file
from numpy.typing import ArrayLike, NDArray

from lsm.figures import GREEN, Sizes, check_spikes, colours_of, new_figure, offsets_of
from lsm.raster_plots import draw_raster, shown_neurons

if TYPE_CHECKING:
    from matplotlib.animation import AbstractMovieWriter

FORMATS = (".gif", ".html", ".mp4")
_POINTS = 4000


def grid_positions(sizes: Sizes) -> NDArray[np.float64]:
    """Places for neurons that have none: a block of a grid for each population, beneath each other.

    Args:
        sizes: neurons by population, in the order of their ids.

    Returns:
        x and y, (N, 2); all of them one and the same width.
    """
    width = max(1, int(np.ceil(np.sqrt(2.5 * max(sum(sizes.values()), 1)))))
    blocks, top = [], 0.0
    for n in sizes.values():
        index = np.arange(n)
        blocks.append(np.stack([index % width, -(top + index // width)], axis=1))
        top += -(-n // width) + max(1.0, 0.02 * width)
    return np.concatenate([*blocks, np.empty((0, 2))]).astype(np.float64)


def save_activity_film(
    path: str | Path,
    times: ArrayLike,
    ids: ArrayLike,
    sizes: Sizes,
    *,
    positions_ND: ArrayLike | None = None,
    begin: float = 0.0,
    end: float | None = None,
    frames: int = 100,
    tau: float = 10.0,
    frames_per_second: float = 12.0,
    inhibitory: Collection[str] | None = None,
) -> Path:
    """Write a film: a spike lights its neuron, and the light decays with `tau`.

    Args:
        path: the file, .gif, .html (plays in a browser, without network) or .mp4 (needs ffmpeg); what was there stays
            until the new one is whole.
        times: of the spikes in ms, (S,).
        ids: of the neurons that fired, (S,).
        sizes: neurons by population, in the order of their ids.
        positions_ND: where neurons stand, (N, 2) or (N, 3); in blocks of their populations without it.
        begin: in ms.
        end: in ms; the last spike's time without it.
        frames: pictures, >= 2.
        tau: in ms, > 0.
        frames_per_second: speed of the film.
        inhibitory: names of the populations in red; those ending in I without it.

    Raises:
        ValueError: an ending that is not known, or arguments that do not fit each other.
        RuntimeError: .mp4 is asked for and ffmpeg is not on the PATH.
    """
    from matplotlib.animation import FuncAnimation

    path = Path(path)
    writer = _writer_for(path, frames_per_second)
    times, ids = np.asarray(times, dtype=np.float64), np.asarray(ids, dtype=np.int64)
    check_spikes("save_activity_film", times, ids, sizes)
    positions_ND = grid_positions(sizes) if positions_ND is None else np.asarray(positions_ND, dtype=np.float64)
    total = sum(sizes.values())
    if positions_ND.shape not in ((total, 2), (total, 3)):
        raise ValueError(f"save_activity_film: expected {total} positions in 2 or 3 dimensions: {positions_ND.shape}")
    end = float(times.max(initial=begin)) if end is None else end
    if end <= begin or frames < 2 or tau <= 0:
        raise ValueError(
            f"save_activity_film: end must lie behind begin, frames be 2 at least and tau positive, "
            f"got {begin} to {end} ms, {frames}, {tau} ms"
        )
    order = np.argsort(times, kind="stable")
    scene = _Scene(times[order], ids[order], sizes, positions_ND, begin, end, tau, inhibitory)
    moments = np.linspace(begin, end, frames + 1)[1:]
    animation = FuncAnimation(scene.figure, scene.show, frames=list(moments), cache_frame_data=False)
    with atomic_file(path) as temporary, tempfile.TemporaryDirectory() as folder:
        made = Path(folder, path.name)  # writers choose the format by the name's ending
        animation.save(made, writer=writer)
        temporary.write_bytes(made.read_bytes())
    return path


class _Scene:
    """The figure, and what changes in it from moment to moment."""

    def __init__(
        self,
        times: NDArray[np.float64],
        ids: NDArray[np.int64],
        sizes: Sizes,
        positions_ND: NDArray[np.float64],
        begin: float,
        end: float,
        tau: float,
        inhibitory: Collection[str] | None,
    ) -> None:
        from matplotlib.colors import to_rgb

        shown, colours = shown_neurons(sizes, _POINTS), colours_of(list(sizes), inhibitory)
        first = offsets_of(sizes)
        self.drawn = np.concatenate([first[name] + local for name, local in shown.items()])
        base = [np.broadcast_to(to_rgb(colours[name]), (len(local), 3)) for name, local in shown.items()]
        self.colour_N3 = np.concatenate(base)
        self.times, self.ids, self.tau = times, ids, tau
        self.light_N, self.now, self.done = np.zeros(sum(sizes.values())), begin, int(np.searchsorted(times, begin))
        flat = positions_ND.shape[1] == 2
        self.figure, (cells, raster) = new_figure(2, size=(5.6, 6.4), heights=(3, 1.3))
        place = positions_ND[self.drawn].T
        size = float(np.clip(20000 / max(len(self.drawn), 1), 2.0, 60))
        if flat:
            self.points: Any = cells.scatter(*place, s=size, linewidths=0)
            cells.set_aspect("equal", adjustable="datalim")
            cells.set_axis_off()
        else:
            slot = cells.get_subplotspec()
            cells.remove()
            cells = self.figure.add_subplot(slot, projection="3d")
            space: Any = cells
            self.points = space.scatter(*place, s=size, linewidths=0, depthshade=False)
            spans = np.ptp(positions_ND, axis=0)
            space.set_box_aspect(np.clip(spans / max(float(spans.max()), 1e-12), 0.3, 1.0))
            cells.set_axis_off()
        self.title = cells.set_title("", fontsize="medium", loc="left")
        draw_raster(raster, times, ids, sizes, begin=begin, end=end, rows=200, inhibitory=inhibitory)
        if len(sizes) > 12:
            raster.set_yticks([])
        raster.set_xlabel("time (ms)")
        self.line = raster.axvline(begin, color=GREEN, linewidth=1.2)
        self.figure.canvas.draw()
        self.figure.set_layout_engine("none")  # laid out once, not again for every picture

    def show(self, moment: float) -> list[Any]:
        """Let the light decay up to a moment and add that of the spikes until then."""
        if moment < self.now:  # the first picture is drawn twice by matplotlib
            self.light_N[:], self.now = 0.0, moment
            self.done = 0
        until = int(np.searchsorted(self.times, moment, side="right"))
        self.light_N *= np.exp(-(moment - self.now) / self.tau)
        part = slice(self.done, until)
        np.add.at(self.light_N, self.ids[part], np.exp(-(moment - self.times[part]) / self.tau))
        self.now, self.done = moment, until
        light_N1 = np.clip(self.light_N[self.drawn], 0, 1)[:, None]
        colour = 0.8 * (1 - light_N1) + self.colour_N3 * light_N1
        self.points.set_facecolor(np.concatenate([colour, 0.4 + 0.6 * light_N1], axis=1))
        self.points.set_edgecolor("none")
        self.title.set_text(f"{moment:.0f} ms")
        self.line.set_xdata([moment, moment])
        return [self.points, self.title, self.line]


def _writer_for(path: Path, frames_per_second: float) -> AbstractMovieWriter:
    from matplotlib.animation import FFMpegWriter, HTMLWriter, PillowWriter

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f"{path}: expected a name ending in {', '.join(FORMATS)}")
    if kind == ".mp4" and shutil.which("ffmpeg") is None:
        raise RuntimeError(f"{path}: MP4 needs ffmpeg on the PATH, and there is none; write a .gif or .html instead")
    if kind == ".gif":
        return PillowWriter(fps=round(frames_per_second))
    if kind == ".html":
        return HTMLWriter(fps=round(frames_per_second), embed_frames=True, default_mode="loop")
    return FFMpegWriter(fps=round(frames_per_second))
