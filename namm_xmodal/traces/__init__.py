"""Traces: features of an unpruned cache at updates, and the attention that each token receives later."""
