"""A key-value cache of real, ragged eviction for any transformers model, through its public registries."""
