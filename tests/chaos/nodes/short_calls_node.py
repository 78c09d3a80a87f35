"""A worker node whose calls to the provider may take four seconds in all, where they may else take forty."""

import sys
from datetime import timedelta

from celery.__main__ import main

from worker import wiring

if __name__ == "__main__":
    wiring.HTTP_TOTAL = timedelta(seconds=4)  # type: ignore[attr-defined]
    sys.exit(main())
