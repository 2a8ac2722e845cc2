"""`neuro liquid plot`: a picture, a film or a graph file of a simulation that has been run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
from lsm.activity_film import FORMATS, save_activity_film
from lsm.figures import save_figure

from neuro.config import ConfigError
from neuro.liquid_pictures import PICTURES, graph_of
from neuro.liquid_simulate import SPIKES
from neuro.liquid_spikes import Spikes
from neuro.output import check_writable

GRAPHS = (".graphml", ".gexf")


def plot(
    run: Path, picture: str, out: Path, *, begin: float | None, end: float | None, frames: int = 100
) -> dict[str, Any]:
    """Draw from the spikes of a run; `picture` is one of PICTURES or "film", `out` says the format by its ending.

    Raises:
        ConfigError: no such picture, a run without spikes, or a stretch that holds nothing.
        FileFormatError: the spikes are damaged.
    """
    if picture not in (*PICTURES, "film"):
        raise ConfigError(f"--picture {picture}: expected one of {', '.join(PICTURES)}, film")
    if picture == "film" and out.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {out}: a film needs a name ending in {', '.join(FORMATS)}")
    check_writable(out)
    spikes = _between(load_spikes(run), begin, end)
    if picture == "film":
        where = spikes.positions_N3
        span = {"begin": spikes.begin, "end": spikes.end, "frames": frames}
        save_activity_film(out, spikes.times, spikes.ids, spikes.sizes, positions_ND=where, **span)
    elif out.suffix.lower() in GRAPHS:
        write = nx.write_graphml if out.suffix.lower() == ".graphml" else nx.write_gexf
        write(graph_of(spikes), out)
    else:
        save_figure(PICTURES[picture](spikes), out)
    return {"run": str(run), "picture": picture, "begin": spikes.begin, "end": spikes.end, "file": str(out)}


def load_spikes(run: Path) -> Spikes:
    """The spikes of a run folder, or of a file."""
    path = run / SPIKES if run.is_dir() else run
    if run.is_dir() and not path.is_file():
        raise ConfigError(f"{run}: no {SPIKES}: not a run folder of `liquid simulate`, or its run has not finished")
    return Spikes.load(path)


def _between(spikes: Spikes, begin: float | None, end: float | None) -> Spikes:
    begin = spikes.begin if begin is None else spikes.begin + begin
    end = spikes.end if end is None else min(spikes.end, spikes.begin + end)
    if not spikes.begin <= begin < end:
        raise ConfigError(
            f"--begin and --end must lie in the {spikes.duration:g} ms that were recorded, in this order; they leave "
            f"{begin - spikes.begin:g} to {end - spikes.begin:g}"
        )
    within = (spikes.times > begin) & (spikes.times <= end)
    return replace(spikes, times=spikes.times[within], ids=spikes.ids[within], begin=begin, end=end)
