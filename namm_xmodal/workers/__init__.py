"""Worker processes, here or on a cluster, for whatever needs them: evaluation, evolution, gradients, decoding videos."""
