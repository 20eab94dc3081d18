"""Evolution of a parameter vector: numbers in, numbers out. No model and no task is known here."""
