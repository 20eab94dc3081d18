"""Guarded: the folder is imported as namm_xmodal.adapters (a bare `adapters` would shadow other packages)."""

if __name__ != "namm_xmodal.adapters":
    raise ImportError("import namm_xmodal.adapters, not adapters")
