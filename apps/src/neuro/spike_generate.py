"""`neuro spike generate`: text from a language model, as it comes."""

from __future__ import annotations

import itertools
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ddp_utils import resolve_device, setup_logging
from spikeformer import generate, load_model

from neuro.config import ConfigError
from neuro.language_data import model_file, read_data_facts
from neuro.output import print_json
from neuro.spikeformer_settings import GenerateSettings
from neuro.text_tokenizers import TextTokenizer, open_tokenizer

log = logging.getLogger("neuro")


def check(run: Path, prompt: str, settings: GenerateSettings) -> tuple[TextTokenizer, list[int]]:
    """Refuse what cannot be gone on with or written.

    Args:
        run: run folder of `spike train`.
        prompt: the text to go on with.
        settings: how to go on.

    Returns:
        The tokenizer and the prompt's tokens.

    Raises:
        ConfigError: there is no model or tokenizer, the prompt is no text, or stdout cannot show all characters.
        FileFormatError: the tokenizer is damaged.
    """
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"--prompt {prompt!r}: not UTF-8; write it in UTF-8") from None
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        (prompt + "\ufffd").encode(encoding)  # stands for what is no character yet in tokens that are bytes
    except UnicodeEncodeError:
        raise ConfigError(f"stdout: is {encoding}, texts need UTF-8; set PYTHONIOENCODING=utf-8") from None
    resolve_device(settings.device)
    tokenizer = open_tokenizer(read_data_facts(run)["tokenizer"], run)
    model_file(run)
    start = tokenizer.encode([prompt])[0].tolist() if prompt else [tokenizer.end_id]
    if not start:
        raise ConfigError(f"--prompt {prompt!r}: the tokenizer finds no token in it")
    return tokenizer, start


def generate_text(run: Path, prompt: str, settings: GenerateSettings, *, as_json: bool, quiet: bool) -> None:
    """Write the prompt and what follows it to stdout.

    Args:
        run: run folder of `spike train`.
        prompt: the text to go on with; "" for the start of a document.
        settings: how to go on.
        as_json: one JSON document at the end in place of the text as it comes.
        quiet: no word on the speed.

    Raises:
        ConfigError, FileFormatError: as for `check`; or the model is damaged.
    """
    setup_logging(quiet=quiet)
    tokenizer, start = check(run, prompt, settings)
    model = load_model(model_file(run)).to(resolve_device(settings.device)).eval()
    begin, made = time.perf_counter(), 0
    options = {"temperature": settings.temperature, "top_k": settings.top_k, "seed": settings.seed}

    def known() -> Iterator[int]:
        nonlocal made
        for token in generate(model, start, settings.tokens, **options):
            made += 1
            if token < tokenizer.vocab_size:  # a model may have entries that no text has
                yield token

    text = []
    for piece in tokenizer.pieces(itertools.chain(start if prompt else (), known())):
        if as_json:
            text.append(piece)
        else:
            sys.stdout.write(piece)
            sys.stdout.flush()
    speed = made / max(time.perf_counter() - begin, 1e-9)
    if as_json:
        print_json({"text": "".join(text), "tokens": made, "tokens_per_second": speed, "seed": settings.seed})
    else:
        sys.stdout.write("\n")
        log.info("%d tokens, %.0f a second", made, speed)
