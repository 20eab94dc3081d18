"""Decision Transformers that act with a pruned cache."""
