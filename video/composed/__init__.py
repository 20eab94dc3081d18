"""Clips composed of real captioned pictures, with questions whose answers follow from the composition."""
