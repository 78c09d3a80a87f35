"""`python -m ops.sandbox` starts the sandbox."""

import sys

from ops.sandbox.cli import main

sys.exit(main())
