"""Memory policies: what to read of attention, how to score tokens, which to keep."""
