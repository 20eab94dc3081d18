"""Traces: what features see of an unpruned cache at an update, and what attention each token receives later."""
