"""Inputs without labels of any modality, each with the model that reads it."""
