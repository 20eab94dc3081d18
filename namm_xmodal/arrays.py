"""The array type of environments and agents, apart from `types` because `--help` waits for no NumPy."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
"""Numbers of environments: states, actions, returns."""
