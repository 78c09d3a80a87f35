"""`python -m worker.cli` is the console script ``darkroom``."""

from worker.cli import main

main()
