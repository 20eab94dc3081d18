"""Decision Transformers that act with pruned memory."""
