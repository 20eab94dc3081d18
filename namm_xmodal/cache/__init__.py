"""A key-value cache with real eviction, ragged over heads, for any transformers model."""
