"""An episode as a film: the task beside the spikes, as film strip, GIF or MP4. Needs the extra `plots`.

Shapes: T control steps; pictures (height, width, 3), uint8.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ddp_utils import atomic_file
from numpy.typing import NDArray

from evosnn.drawing import BLUE, GREY, RED, draw_raster, new_figure, plot_raster, save_figure
from evosnn.life import Life

FORMATS = (".png", ".gif", ".mp4")
_STRIP, _MOST_FRAMES, _HEIGHT = 6, 150, 300
Picture = NDArray[np.uint8]


def save_film(life: Life, path: str | Path) -> Path:
    """Write an episode as a film, by the ending of the name: .png a strip, .gif or .mp4 moving.

    Args:
        life: the episode.
        path: the file; what was there stays until the new one is whole.

    Returns:
        The path.

    Raises:
        ValueError: another ending.
        RuntimeError: .mp4 is asked for and ffmpeg is not on the PATH, or ffmpeg fails.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f"{path}: expected a name ending in {', '.join(FORMATS)}")
    if kind == ".png":
        return save_figure(plot_strip(life), path)
    every = -(-len(life) // _MOST_FRAMES)
    per_second = min(30.0, max(5.0, 1000 / life.action_ms / every))
    if kind == ".gif":
        _save_gif(moving_pictures(life, every), path, per_second)
    else:
        _save_mp4(moving_pictures(life, every), path, per_second)
    return path


def plot_strip(life: Life, pictures: int = _STRIP):
    """Moments of the task in a row, and below the spikes of the whole episode with these moments marked."""
    figure = plot_raster(life)
    raster, below = figure.axes[:2]
    moments = np.unique(np.linspace(0, len(life) - 1, pictures).round().astype(int))
    grid = figure.add_gridspec(3, len(moments), height_ratios=(2.2, 3.4, 1.0))
    raster.set_subplotspec(grid[1, :])
    below.set_subplotspec(grid[2, :])
    figure.axes[2].set_subplotspec(grid[2, :])  # the rewards' axis, on the actions'
    figure.set_size_inches(8.0, 5.8)
    for column, t in enumerate(moments):
        axis = figure.add_subplot(grid[0, column])
        axis.imshow(task_picture(life, int(t)))
        axis.set_axis_off()
        axis.set_title(f"{t * life.action_ms:.0f} ms", fontsize="small")
        for panel in (raster, below):
            panel.axvline(t * life.action_ms, color=RED, linewidth=0.8, alpha=0.6)
    return figure


def task_picture(life: Life, t: int) -> Picture:
    """The task before action t: its own picture, or its observation as bars with the action where it has none."""
    if life.frames:
        return life.frames[t]
    figure, (axis,) = new_figure(1, size=(2.4, 1.8))
    observation_O = life.observation_TO[t]
    low, high = life.observation_TO.min(), life.observation_TO.max()
    axis.bar(np.arange(len(observation_O)), observation_O, color=[BLUE if x >= 0 else RED for x in observation_O])
    axis.axhline(0, color=GREY, linewidth=0.6)
    axis.set(ylim=(min(low, -0.1) * 1.1, max(high, 0.1) * 1.1), xticks=range(len(observation_O)))
    action = ", ".join(f"{a:.3g}" for a in life.action_TD[t])
    axis.set_title(f"action {action}, reward {life.reward_T[t]:.3g}", fontsize="small")
    return _pixels(figure)


def moving_pictures(life: Life, every: int = 1) -> Iterator[Picture]:
    """The task on the left, the spikes of the episode on the right with a line at the present."""
    figure, (axis,) = new_figure(1, size=(4.2, 2.4))
    draw_raster(axis, life)
    axis.set_xlabel("time (ms)")
    raster = _pixels(figure)
    box = axis.get_window_extent()
    scale = _HEIGHT / raster.shape[0]
    raster = _resized(raster, _HEIGHT)
    top = round((figure.bbox.height - box.y1) * scale)
    bottom = round((figure.bbox.height - box.y0) * scale)
    for t in range(0, len(life), every):
        picture = raster.copy()
        x = round((box.x0 + (box.x1 - box.x0) * t / len(life)) * scale)
        picture[top:bottom, x : x + 2] = (192, 57, 43)
        both = np.concatenate([_resized(task_picture(life, t), _HEIGHT), picture], axis=1)
        yield both[:, : both.shape[1] // 2 * 2]  # what encodes films wants even sizes


def _pixels(figure) -> Picture:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()


def _resized(picture: Picture, height: int) -> Picture:
    from PIL import Image

    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((width, height)))


def _save_gif(pictures: Iterator[Picture], path: Path, per_second: float) -> None:
    from PIL import Image

    first, *rest = (Image.fromarray(picture).quantize(64, dither=Image.Dither.NONE) for picture in pictures)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        first.save(file, "gif", save_all=True, append_images=rest, duration=round(1000 / per_second), loop=0)


def _save_mp4(pictures: Iterator[Picture], path: Path, per_second: float) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        raise RuntimeError(f"{path}: MP4 needs ffmpeg on the PATH, and there is none; write a .gif or .png instead")
    first = next(pictures)
    height, width = first.shape[:2]
    with atomic_file(path) as temporary:
        command = [
            program,
            "-loglevel",
            "error",
            "-y",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
        ]
        command += ["-r", f"{per_second:g}", "-i", "-", "-pix_fmt", "yuv420p", "-f", "mp4", str(temporary)]
        frames = first.tobytes() + b"".join(picture.tobytes() for picture in pictures)
        done = subprocess.run(command, input=frames, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{path}: ffmpeg failed: {done.stderr.decode(errors='replace').strip()}")
