"""Interrupts that Python loses."""

from __future__ import annotations

import os
import signal
import sys
import threading

AGAIN_S = 0.1


def keep_interrupts() -> None:
    """Raise an interrupt again that came where Python cannot raise one.

    In a callback from C (a compiler's, a finalizer's) a KeyboardInterrupt goes to `sys.unraisablehook`, which would
    print it and go on: Ctrl-C would have done nothing. A moment later the callback is over.
    """
    report = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)
            return
        timer = threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook
