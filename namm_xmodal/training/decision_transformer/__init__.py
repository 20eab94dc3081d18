"""Trains Decision Transformers on trajectories, with transformers' own class."""
