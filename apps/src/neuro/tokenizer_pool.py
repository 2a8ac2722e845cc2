"""Tokenizing in several processes, the order kept."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

import numpy as np

from neuro.text_tokenizers import ByteTokenizer, FileTokenizer, TextTokenizer

WAITING = 3  # batches a process that are read ahead

_own: TextTokenizer = ByteTokenizer()  # of a worker process


def encode_in_order(
    batches: Iterable[Sequence[str]], tokenizer: TextTokenizer, workers: int
) -> Iterator[list[np.ndarray]]:
    """Tokens of batches of texts, in their order.

    Args:
        batches: texts; read ahead by a few for each process.
        tokenizer: what encodes them.
        workers: processes; 1 works in this one.

    Raises:
        RuntimeError: a process was killed.
    """
    if workers == 1:
        yield from map(tokenizer.encode, batches)
        return
    given = (tokenizer.name, tokenizer.content) if isinstance(tokenizer, FileTokenizer) else None
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(given,))
    try:
        waiting: deque[Future[list[np.ndarray]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_encode, list(batch)))
            if len(waiting) > WAITING * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"one of --workers {workers} was killed, perhaps for want of memory; the same command goes on where it "
            "was, with fewer --workers too"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(given: tuple[str, str] | None) -> None:
    global _own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process, one core
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own = FileTokenizer(*given) if given else ByteTokenizer()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _encode(texts: list[str]) -> list[np.ndarray]:
    return _own.encode(texts)
