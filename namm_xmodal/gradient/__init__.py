"""A first mean for evolution: straight-through gradients through hard evictions (docs/evolving.md)."""

from namm_xmodal.gradient.descent import Descent, DescentSettings
from namm_xmodal.gradient.sample import SampleGradient, sample_gradient

__all__ = ["Descent", "DescentSettings", "SampleGradient", "sample_gradient"]
