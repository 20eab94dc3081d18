"""Guarded: the folder is imported as namm_xmodal.video (a bare `video` would shadow other packages)."""

if __name__ != "namm_xmodal.video":
    raise ImportError("import namm_xmodal.video, not video")
