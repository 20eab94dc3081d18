"""`namm-xmodal check task`."""


def test_the_command(run):
    said = run("check", "task", "key_retrieval", "length=[512]").stdout
    assert "passes the task contract checks" in " ".join(said.split())


def test_the_command_names_a_mistake(refused, tmp_path):
    assert "unknown task 'key_retreival': did you mean" in refused("check", "task", "key_retreival")
    (tmp_path / "own.jsonl").write_text('{"prompt": "p"}\n')
    line = refused("check", "task", "questions", f"file={tmp_path}/own.jsonl", "n=1")
    assert "own.jsonl:1: lacks answer" in line
