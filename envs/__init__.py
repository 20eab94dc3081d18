"""Guarded: the folder is imported as namm_xmodal.envs (a bare `envs` would shadow other packages)."""

if __name__ != "namm_xmodal.envs":
    raise ImportError("import namm_xmodal.envs, not envs")
