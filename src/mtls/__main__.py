"""``python -m mtls``."""

import sys

from mtls.cli import main

sys.exit(main())
