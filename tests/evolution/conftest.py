"""The toy objective has to be importable in worker processes and Ray actors too, by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
