"""Pre-training by gradients: straight-through, or from the rewards of random evictions (docs/evolving.md)."""

from namm_xmodal.gradient.descent import Descent, DescentSettings
from namm_xmodal.gradient.sample import SampleGradient, sample_gradient

__all__ = ["Descent", "DescentSettings", "SampleGradient", "sample_gradient"]
