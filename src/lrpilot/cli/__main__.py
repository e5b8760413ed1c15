"""`python -m lrpilot.cli`."""

import sys

from lrpilot.cli import main

sys.exit(main())
