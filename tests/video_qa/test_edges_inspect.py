"""Contact sheet, film and numbers of a video may be drawn again, and only over files that were drawn before."""

from video_files import write_video


def test_own_files_are_replaced(run, tmp_path, model_folder):
    clip, out = write_video(tmp_path / "a.mp4", frames=8), tmp_path / "seen.png"
    line = ("inspect", clip, "--question", "what is shown?", "--model", model_folder, "--policy", "full", "--frames", 8)
    for _ in range(2):
        run(*line, "--output", out)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "seen.png", "seen.mp4", "seen.json"}
    before = clip.read_bytes()
    film = tmp_path / "seen.mp4"  # a film of the package is an input like any other
    said = run("inspect", film, *line[2:], "--output", out, code=2).stderr
    assert "seen.mp4 is an input of this command" in " ".join(said.split())
    assert clip.read_bytes() == before
