"""Traces: what a NAMM's features see of an unpruned cache at an update, and the attention that each token still receives."""
