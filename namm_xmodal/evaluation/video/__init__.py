"""Policies and rivals against a video benchmark: what is decoded and encoded once is shared by all of them."""
