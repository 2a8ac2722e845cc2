"""A midbrain below the cortex: a map of where to look, and a pool that tells when reward is better than expected.

Legend: N neurons.
"""

from __future__ import annotations

import numpy as np
from ddp_utils.seed import keyed_numpy_generator
from numpy.typing import ArrayLike

from lsm.distributions import Uniform
from lsm.fixed_indegree import FixedIndegree
from lsm.lif import LIF
from lsm.network import Network
from lsm.poisson import Poisson
from lsm.spatial_indegree import SpatialIndegree
from lsm.topography import near_in_column

FOVEA, SCALE_U, SCALE_V = 3.0, 1.4, 1.8
SHEET_U, SHEET_V = 5.0, 5.6
CENTRE, SURROUND = 0.25, 0.9
NEURON = LIF(tau_m=10.0, threshold=15.0, refractory=2.0, synapse="exponential", tau_syn=4.0, capacitance=10.0)


def collicular_map(eccentricity: ArrayLike, direction: ArrayLike) -> np.ndarray:
    """Where a place in the visual field lies on the superior colliculus: a logarithmic polar map.

        u = B_u ln(sqrt(R^2 + 2 A R cos phi + A^2) / A),   v = B_v atan(R sin phi / (R cos phi + A))

    Args:
        eccentricity: R, degrees, >= 0.
        direction: phi, radians, from the horizontal, within +- pi / 2 of it.

    Returns:
        (u, v) in mm, (..., 2): the fovea is (0, 0).

    References:
        Ottes, van Gisbergen, Eggermont (1986), Visuomotor fields of the superior colliculus, Vision Research 26.
    """
    r, phi = np.broadcast_arrays(np.asarray(eccentricity, np.float64), np.asarray(direction, np.float64))
    if (r < 0).any():
        raise ValueError(f"collicular_map: eccentricity must not be negative, got {r.min()}")
    along, across = r * np.cos(phi) + FOVEA, r * np.sin(phi)
    return np.stack([SCALE_U * np.log(np.hypot(along, across) / FOVEA), SCALE_V * np.arctan2(across, along)], -1)


def add_midbrain(net: Network, *, neurons: int = 500, dopamine: int = 100) -> None:
    """Add a colliculus and a dopaminergic pool to a cortex.

    "SCe" and "SCi" are a sheet of 5 mm x 5.6 mm with near excitation and far inhibition (a Mexican hat), so that
    near places help and far ones hinder each other; layer 5 of the last column (or 2/3 without one) drives it, its y
    along u. "DA" fires with the inputs "reward" and less with the inhibitory "expected", which the inputs "expectation"
    drive: reward as expected leaves its rate as it was. It has a background of a few Hz. Its spikes can gate
    `DopamineSTDP(dopamine="DA")`.

    Args:
        net: with populations as of `cortex`.
        neurons: of the colliculus.
        dopamine: of the dopaminergic pool.
    """
    n_inhibitory = round(0.25 * neurons)
    for name, n in (("SCe", neurons - n_inhibitory), ("SCi", n_inhibitory)):
        rng = keyed_numpy_generator(net.seed, f"places of {name}")
        places = np.column_stack([rng.random(n) * SHEET_U, (rng.random(n) - 0.5) * SHEET_V])
        net.population(name, n, NEURON, positions=places)
    layer = next(p for p in reversed(net.populations) if p.name == ("5E" if _has(net, "5E") else "23E"))
    sheet = net.find("SCe")
    assert layer.positions is not None
    assert sheet.positions is not None
    column = np.floor(layer.positions[:, 0].max())
    as_column = np.column_stack([np.full(sheet.n, column), sheet.positions[:, 0] / SHEET_U, np.zeros(sheet.n)])
    rng = keyed_numpy_generator(net.seed, "wiring of the colliculus")
    delays = Uniform(2.0, 6.0)
    net.connect(layer, sheet, near_in_column(layer.positions, as_column, 20, 0.05, rng), weight=9.0, delay=delays)
    net.connect("SCe", "SCe", SpatialIndegree(15, CENTRE), weight=4.0, delay=delays)
    net.connect("SCe", "SCi", SpatialIndegree(15, SURROUND), weight=6.0, delay=delays)
    net.connect("SCi", "SCe", SpatialIndegree(15, SURROUND), weight=-8.0, delay=delays)
    add_dopamine(net, neurons=dopamine)


def add_dopamine(net: Network, *, neurons: int = 100) -> None:
    """Add the dopaminergic pool "DA", its inhibition "expected", and the inputs "reward" and "expectation".

    A burst on all 10 channels of "reward" makes each neuron of the pool fire; the same burst on "expectation" as well
    takes that away.

    Args:
        net: any network.
        neurons: of each of the two pools.
    """
    net.inputs("reward", 10)
    net.inputs("expectation", 10)
    net.population("DA", neurons, NEURON)
    net.population("expected", neurons, NEURON)
    net.drive("DA", Poisson(rate=500.0, weight=5.0))
    # inhibition is there before the excitation that it is to meet
    net.connect("reward", "DA", FixedIndegree(10), weight=12.0, delay=5.0)
    net.connect("expectation", "expected", FixedIndegree(10), weight=12.0, delay=1.0)
    net.connect("expected", "DA", FixedIndegree(10), weight=-13.0, delay=1.0)


def _has(net: Network, name: str) -> bool:
    return any(population.name == name for population in net.populations)
