"""Trains Decision Transformers on trajectories, with transformers' own class: what `namm-xmodal prepare rl` does."""
