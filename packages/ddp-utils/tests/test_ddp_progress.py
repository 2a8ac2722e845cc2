"""Progress and log lines: a few plain ones in a pipe, none when quiet."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from ddp_utils import progress, setup_logging


def test_a_pipe_gets_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 1000, unit="steps", done=990) as bar:
        for _ in range(10):
            bar.advance(loss=0.123456)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"training: 1000/1000 steps, [\d,.]+/s, 0 s left  loss 0\.1235\n", err)


def test_lines_come_at_intervals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("encoding", 100) as bar:
        for _ in range(100):
            now[0] += 1.0
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("/")[0] for line in lines] == [f"encoding: {done}" for done in range(5, 101, 5)]
    assert "1.0/s, 95 s left" in lines[0]


def test_nobody_knows_how_many(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("tokenizing", None, unit="tokens") as bar:
        for _ in range(12):
            now[0] += 1.0
            bar.advance(2)
    assert capsys.readouterr().err == "tokenizing: 10 tokens, 2.0/s\ntokenizing: 20 tokens, 2.0/s\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 3, quiet=True) as bar:
        bar.advance(3)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def _loggers() -> Iterator[None]:
    names = ("ddp_utils", "sdquant", "binemb", "neuro")
    former = [(logging.getLogger(n), logging.getLogger(n).handlers[:], logging.getLogger(n).level) for n in names]
    yield
    for logger, handlers, level in former:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = True


@pytest.mark.usefixtures("_loggers")
def test_quiet_logs_keep_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ddp_utils")
    setup_logging()
    logger.info("one %d", 1)
    setup_logging(quiet=True)
    logger.info("two")
    logger.warning("three")
    assert capsys.readouterr() == ("", "INFO one 1\nWARNING three\n")
