"""Data that stands beside the checkout, or what is embedded in its stead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from binemb import WordVectors, load_vectors

DATA = Path(__file__).parents[2] / "shared" / "data"
GLOVE = DATA / "vectors" / "glove.6B.100d.top100k.f16.npy"


def glove(limit: int) -> WordVectors:
    """GloVe 6B 100-d where it is there, else the embedded 50-d."""
    if not GLOVE.exists():
        return load_vectors("samples:glove-50d", limit=limit)
    name = GLOVE.name.replace(".f16.npy", ".vocab.txt")
    words = GLOVE.with_name(name).read_text(encoding="utf-8").split("\n")[:limit]
    return WordVectors(words, torch.from_numpy(np.load(GLOVE, mmap_mode="r")[:limit].astype(np.float32)), "GloVe 100-d")
