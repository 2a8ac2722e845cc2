"""`neuro`: parse, run, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
DEBUG = "--debug"


def main() -> None:
    """Entry point of the `neuro` script, of `python -m neuro` and of `torchrun -m neuro`."""
    debug = DEBUG in sys.argv
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != DEBUG]
    if debug:
        os.environ["NEURO_DEBUG"] = "1"  # processes that this one launches see it too
    from neuro.cli import app

    sys.exit(guarded(app))


def guarded(command: Callable[[], object]) -> int:
    """Run a command; returns its exit code after telling the user, in one line, what went wrong.

    Codes: 0; 1 the work failed; 2 bad usage or bad input; 75 stopped by a signal, resumable; 130 interrupted.
    """
    try:
        command()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED if ending.code else 0
    except BrokenPipeError:
        sys.stdout = None  # the reader has gone (`neuro ... | head`): nothing is left to flush
        return EXIT_FAILED
    except KeyboardInterrupt:
        return _tell(EXIT_INTERRUPTED, "interrupted")
    except Exception as error:
        if os.environ.get("NEURO_DEBUG"):
            raise
        return _tell(exit_code(error), one_line(error))
    return 0


def exit_code(error: Exception) -> int:
    """2 for what the user can mend in the input, 75 for a run that can go on, 1 for all else."""
    from ddp_utils import EXIT_RESUMABLE, Stopped

    if isinstance(error, Stopped):
        return EXIT_RESUMABLE
    bad_input = (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError, ImportError)
    return EXIT_USAGE if isinstance(error, bad_input) else EXIT_FAILED


def one_line(error: Exception) -> str:
    """An error's message on one line; with its kind where the message alone does not say it."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    known = (
        isinstance(error, ValueError | RuntimeError | MemoryError | ImportError) or type(error).__name__ == "Stopped"
    )
    return text if known and text else f"{type(error).__name__}: {text}"


def _tell(code: int, message: str) -> int:
    from ddp_utils.launch import EXIT_RESUMABLE, report_exit

    if not report_exit(code, message):
        label = "stopped" if code in (EXIT_RESUMABLE, EXIT_INTERRUPTED) else "error"
        sys.stderr.write(f"{label}: {message}\n")
    return code


if __name__ == "__main__":
    main()
