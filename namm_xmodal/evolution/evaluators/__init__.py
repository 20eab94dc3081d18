"""Where shards are evaluated: in this process, in local processes, or on a Ray cluster. The result is the same."""
