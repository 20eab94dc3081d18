"""Behaviour policies that make training data: memoryless policies, trained here (ARS) or read from files."""
