"""Settings of a video evaluation that cannot mean what they say are refused before a model is loaded."""

import json

import pytest
from benchmark_folders import longvideobench
from video_files import write_video

from namm_xmodal.config import packaged_configs
from namm_xmodal.modalities.video import session
from namm_xmodal.video import at_hand

REFUSED = [
    (
        "video.protect_recent=1000",
        "policies.recency: protect_first + protect_recent = 1 + 1000: a prompt with 8 frames has",
    ),
    ("video.protect_recent=60", "policies.recency: 50% of 72 visual tokens and all"),
    ("video.update_every=1024", "a prompt with 8 frames has 8"),
    ("video.policies={h2o: null, recency: null, namm: {policy: namm, init: zeros}}", None),
    ("video.policies.own={policy: namm, init: zeros}", None),
    ("video.sampler=foo", "sampler: 'foo': unknown sampler; known: inner_points, linspace"),
    ("video.sampler=linspce", "sampler: 'linspce': unknown sampler; did you mean linspace?"),
    ("video.budgets=[0.001]", "reductions.fewer_frames: budget 0.001: none of 8 frames would remain"),
    ("video.model=llava-smal", "unknown video model 'llava-smal': did you mean llava-small"),
    ("video.model=./nowhere", "model './nowhere': no such folder"),
    ("video.device=cuda:99", "device: 'cuda:99': "),
    ("video.benchmark=generatd", "unknown benchmark 'generatd': did you mean generated"),
]


@pytest.mark.parametrize(("change", "said"), [row for row in REFUSED if row[1]])
def test_a_real_run_and_a_dry_one_refuse_the_same(run, change, said, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "load_video_model", None)  # loading a model would fail
    arguments = ("video-qa", "video/smoke", "--set", change, "--output", tmp_path / "out")
    dry, real = (run(*arguments, *more, code=2).stderr.strip() for more in (["--dry-run"], []))
    assert said in dry
    assert dry == real
    assert len(dry.splitlines()) == 1
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize("change", [change for change, said in REFUSED if said is None])
def test_what_is_meaningful_passes(run, change, tmp_path):
    assert not run("video-qa", "video/smoke", "--set", change, "--output", tmp_path / "out", "--dry-run").stderr
    assert not (tmp_path / "out").exists()


def test_a_policy_that_chooses_its_size_needs_an_update_too(run, tmp_path):
    alone = "video.policies={h2o: null, recency: null, namm: {policy: namm, init: zeros}}"
    few = ("--set", alone, "--set", "video.reductions={fewer_frames: null, divprune: null}")
    few += ("--set", "video.update_every=512")
    said = run("video-qa", "video/smoke", *few, "--output", tmp_path / "out", "--dry-run", code=2).stderr
    assert "shorter than update_every=512, so policies.namm would evict nothing" in said


def test_another_kind_of_model_is_found_by_its_configuration(run, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    arguments = ("video-qa", "video/smoke", "--set", f"video.model={tmp_path / 'model'}", "--output", tmp_path / "out")
    assert (
        "is of type llama, which takes no videos; expected a vision-language model"
        in run(*arguments, "--dry-run", code=2).stderr
    )


def test_a_model_that_must_be_fetched_is_checked_prompt_by_prompt(run, monkeypatch, tmp_path):
    arguments = ("video-qa", "video/smoke", "--set", "video.protect_recent=60", "--output", tmp_path / "out")
    monkeypatch.setattr(at_hand, "_read", lambda place, name: None)
    assert "is not on this machine yet" in run(*arguments, "--dry-run").stderr
    assert "50% of 72 visual tokens and all" in run(*arguments, code=2).stderr


@pytest.mark.parametrize("name", ["video/smoke", "video/offline", "video/namm", "video/fresh"])
def test_shipped_files_pass_their_dry_run(run, name, tmp_path):
    assert not run("video-qa", name, "--dry-run", "--output", tmp_path / "out").stderr
    assert name in packaged_configs()


def test_inspect_refuses_what_it_could_not_draw(run, tmp_path):
    for options, said in (
        (("--sampler", "foo"), "unknown sampler 'foo': known: "),
        (("--protect-recent", "1000"), "fewer than protect_first"),
        (("--update-every", "2048"), "shorter than update_every=2048"),
    ):
        line = run("inspect", "generated:0", *options, "--output", tmp_path / "a.png", code=2).stderr
        assert said in line
        assert not list(tmp_path.iterdir())


def test_a_video_too_short_for_an_update_is_one_skipped_item(run, model_folder, tmp_path):
    longvideobench(tmp_path / "data")
    write_video(tmp_path / "data" / "videos" / "v1.mp4", frames=1)
    sets = ("dtype=float32", "frames=8", "sampler=linspace", "generate=false", "loader.workers=0", "budgets=[0.5]")
    alone = "policies={keydiff: null, h2o: null, snapkv: null, random: null, namm: {policy: namm, init: zeros}}"
    found = [f"data={tmp_path / 'data'}", f"model={model_folder}", *sets, "update_every=96", alone]
    options = [part for each in found for part in ("--set", f"video.{each}")]
    run("video-qa", "video/longvideobench", *options, "--output", tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()[2:]]
    short = {line["policy"]: line for line in lines if line["tags"]["id"] == "v1_0"}
    assert short["full"]["status"] == "scored"
    assert {short[policy]["status"] for policy in ("recency", "namm")} == {"skipped"}
    assert "is shorter than update_every=96" in short["recency"]["message"]
    assert {line["status"] for line in lines if line["tags"]["id"] == "v0_0"} == {"scored"}
