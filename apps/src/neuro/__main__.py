"""`neuro`: parse, run, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
DEBUG = "--debug"


def main() -> None:
    """Entry point of the `neuro` script, of `python -m neuro` and of `torchrun -m neuro`."""
    # threads that wait by spinning make a machine with other work on it ten times slower; read when torch loads
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug = DEBUG in sys.argv
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != DEBUG]
    if debug:
        os.environ["NEURO_DEBUG"] = "1"  # processes that this one launches see it too
    from neuro.cli import app
    from neuro.interrupts import keep_interrupts

    keep_interrupts()
    sys.exit(guarded(lambda: app(standalone_mode=False)))


def guarded(command: Callable[[], object]) -> int:
    """Run a command; returns its exit code after telling the user, in one line, what went wrong.

    Codes: 0; 1 the work failed; 2 bad usage or bad input; 75 stopped by a signal, resumable; 130 interrupted.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what Ctrl-C can stop, SIGTERM can stop
    try:
        code = command()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED if ending.code else 0
    except BrokenPipeError:
        sys.stdout = None  # the reader has gone (`neuro ... | head`): nothing is left to flush
        return EXIT_FAILED
    except KeyboardInterrupt:
        return _tell(EXIT_INTERRUPTED, "interrupted")
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return EXIT_USAGE  # the help it stands for is printed by now
        if os.environ.get("NEURO_DEBUG"):
            raise
        if type(error).__name__ == "RemoteError":
            return EXIT_FAILED  # the process that failed says why; two reports would race for the exit code
        return _tell(exit_code(error), one_line(error))
    if code == EXIT_INTERRUPTED:  # typer has caught the KeyboardInterrupt
        return _tell(EXIT_INTERRUPTED, "interrupted")
    if "DDP_UTILS_REPORTS" in os.environ:  # the launcher waits for every process's word
        from ddp_utils.launcher import report_exit

        report_exit(0, "")
    return code if isinstance(code, int) else 0  # typer returns what --help and --version exit with


def exit_code(error: Exception) -> int:
    """2 for what the user can mend in the input, 75 for a run that can go on, 1 for all else."""
    from ddp_utils import EXIT_RESUMABLE, Stopped

    if isinstance(error, Stopped):
        return EXIT_RESUMABLE
    if hasattr(error, "format_message"):  # typer's, whose classes are private
        return EXIT_USAGE
    paths = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
    bad_input = (ValueError, TypeError, ImportError, *paths)
    return EXIT_USAGE if isinstance(error, bad_input) else EXIT_FAILED


def one_line(error: Exception) -> str:
    """An error's message on one line; with its kind where the message alone does not say it."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        context = getattr(error, "ctx", None)
        return " ".join(format_message().split()) + (f" See {context.command_path} --help" if context else "")
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        path = error.filename2 or error.filename  # of a rename, its target
        return f"{path}: {error.strerror}" if path else error.strerror
    known = (
        isinstance(error, ValueError | RuntimeError | MemoryError | ImportError | OSError)
        or type(error).__name__ == "Stopped"
    )
    return text if known and text else f"{type(error).__name__}: {text}"


def _tell(code: int, message: str) -> int:
    from ddp_utils.launcher import EXIT_RESUMABLE, report_exit

    if not report_exit(code, message):
        label = "stopped" if code in (EXIT_RESUMABLE, EXIT_INTERRUPTED) else "error"
        sys.stderr.write(f"{label}: {message}\n")
    return code


if __name__ == "__main__":
    main()
