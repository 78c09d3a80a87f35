"""Run a module that ends with its starter, also when that is killed: ``parent_watch FD MODULE ARGUMENTS``.

The starter holds the other end of a pipe. When it is gone, however that came, the pipe ends, and the process
asks itself to end in order; works wherever there are pipes.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 45.0
"""Longer than a warm shutdown takes; then the process ends at once."""


def main() -> None:
    """Run the module as its own main program, with the rest of the arguments."""
    descriptor, module = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with, args=(descriptor,), name="parent-watch", daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
