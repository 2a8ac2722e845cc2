"""`neuro spike generate`: text from a language model, as it comes."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ddp_utils import resolve_device, setup_logging
from spikeformer import generate, load_model

from neuro.config import ConfigError
from neuro.language_data import model_file, read_data_facts
from neuro.output import print_json
from neuro.text_tokenizers import open_tokenizer


def generate_text(
    run: Path,
    prompt: str,
    n: int,
    *,
    temperature: float,
    top_k: int,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Write the prompt and what follows it to stdout.

    Args:
        run: run folder of `spike train`.
        prompt: the text to go on with; "" for the start of a document.
        n: tokens to make.
        temperature: as for `spikeformer.generate`.
        top_k: as there.
        seed: keys the draws.
        device: where to compute.
        as_json: one JSON document at the end in place of the text as it comes.

    Raises:
        ConfigError: there is no model or tokenizer.
        FileFormatError: one of them is damaged.
    """
    setup_logging(quiet=True)
    tokenizer = open_tokenizer(read_data_facts(run)["tokenizer"], run)
    model = load_model(model_file(run)).to(resolve_device(device)).eval()
    start = tokenizer.encode([prompt])[0].tolist() if prompt else [tokenizer.end_id]
    if not start:
        raise ConfigError(f"--prompt {prompt!r}: the tokenizer finds no token in it")
    begin, made = time.perf_counter(), 0

    def known() -> Iterator[int]:
        nonlocal made
        for token in generate(model, start, n, temperature=temperature, top_k=top_k, seed=seed):
            made += 1
            if token < tokenizer.vocab_size:  # a model may have entries that no text has
                yield token

    pieces = tokenizer.pieces(itertools.chain(start if prompt else (), known()))
    if not as_json:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return
    text = "".join(pieces)
    seconds = time.perf_counter() - begin
    print_json({"text": text, "tokens": made, "tokens_per_second": made / max(seconds, 1e-9), "seed": seed})
