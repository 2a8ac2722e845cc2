"""Pictures of the environments, drawn with numpy alone.

Shapes: H rows of pixels, W columns, 3 colours. Points are (x, y) in pixels, y down.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Point = tuple[float, float]

WHITE, BLACK, GREY, LIGHT = (255, 255, 255), (30, 30, 30), (150, 150, 150), (225, 225, 225)
BLUE, ORANGE, GREEN, RED = (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)


class Canvas:
    """A white picture to draw on.

    Args:
        width: W.
        height: H.
    """

    def __init__(self, width: int, height: int) -> None:
        self.pixels_HW3: NDArray[np.uint8] = np.full((height, width, 3), 255, np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels_HW3.shape[1], self.pixels_HW3.shape[0]

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        width, height = self.size
        x0, x1 = (int(np.clip(round(x), 0, width)) for x in (left, right))
        y0, y1 = (int(np.clip(round(y), 0, height)) for y in (top, bottom))
        self.pixels_HW3[y0:y1, x0:x1] = colour

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a disc."""
        self._fill(centre, centre, radius, colour)

    def line(self, start: Point, end: Point, colour: Colour, thickness: float = 2.0) -> None:
        """Draw a line with round ends."""
        self._fill(start, end, thickness / 2, colour)

    def curve(self, points: list[Point], colour: Colour, thickness: float = 2.0) -> None:
        """Join points by lines."""
        for start, end in itertools.pairwise(points):
            self.line(start, end, colour, thickness)

    def _fill(self, start: Point, end: Point, radius: float, colour: Colour) -> None:
        """Fill all pixels within a distance of a segment."""
        width, height = self.size
        (x0, y0), (x1, y1) = start, end
        left, right = int(np.clip(min(x0, x1) - radius, 0, width)), int(np.clip(max(x0, x1) + radius + 1, 0, width))
        top, bottom = int(np.clip(min(y0, y1) - radius, 0, height)), int(np.clip(max(y0, y1) + radius + 1, 0, height))
        if left >= right or top >= bottom:
            return
        y_HW, x_HW = np.mgrid[top:bottom, left:right] + 0.5
        dx, dy = x1 - x0, y1 - y0
        along_HW = np.clip(((x_HW - x0) * dx + (y_HW - y0) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        near_HW = (x_HW - x0 - along_HW * dx) ** 2 + (y_HW - y0 - along_HW * dy) ** 2 <= radius * radius
        self.pixels_HW3[top:bottom, left:right][near_HW] = colour
