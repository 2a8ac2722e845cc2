"""`neuro evolve replay`: a genome's episode as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evosnn import Genome
from evosnn.film import FORMATS, save_film
from evosnn.life import live

from neuro.config import ConfigError
from neuro.evolve_run import GENOME
from neuro.output import check_writable


def load_genome(path: Path) -> Genome:
    """The genome of a file, or of a run folder.

    Raises:
        FileNotFoundError: there is none.
        FileFormatError: damaged, of another kind or a newer version.
    """
    if path.is_dir() and not (path / GENOME).is_file():
        raise ConfigError(f"{path}: no {GENOME}: not a run folder of `evolve run`, or its run has not finished")
    return Genome.load(path / GENOME if path.is_dir() else path)


def replay(path: Path, out: Path, *, seed: int) -> dict[str, Any]:
    """Live an episode and write the film; returns the summary."""
    if out.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {out}: expected a name ending in {', '.join(FORMATS)}")
    check_writable(out)
    life = live(load_genome(path), seed)
    save_film(life, out)
    return {
        "task": life.task,
        "seed": seed,
        "score": life.score,
        "steps": len(life),
        "rates_hz": [round(float(rate), 3) for rate in life.rate_N],
        "film": str(out),
    }
