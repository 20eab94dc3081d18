"""Puts a policy into a model for the length of a `with` block."""

from namm_xmodal.memory.memory import Memory
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.memory.report import LayerReport, MemoryReport

__all__ = ["LayerReport", "Memory", "MemoryReport", "pruned"]
