"""One sample, one model, one policy: a result record with its uncertainty, seed and configuration."""
