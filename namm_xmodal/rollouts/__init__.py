"""Policies in the memory of agents: plan, runs, records, statistics."""
