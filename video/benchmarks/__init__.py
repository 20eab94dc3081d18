"""Video question answering benchmarks, read from local folders in the layouts in which they are published."""
