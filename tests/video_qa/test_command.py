"""`video-qa` and `prepare video` from the command line: every benchmark's layout, skips that are counted, resuming."""

import json

import benchmark_folders as folders
import pytest
from evaluations import load

from namm_xmodal.cli.folders import training_folder
from namm_xmodal.config import packaged_configs
from namm_xmodal.config.describe import describe
from namm_xmodal.modalities.video import session as video_session
from namm_xmodal.modalities.video.arms import build_benchmark, video_arms
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.training.llava_small.recipe import TINY

VIDEO = [name for name in packaged_configs() if name.startswith("video/")]
QUICK = (
    "video.loader.workers=0",
    "video.frames=8",
    "video.update_every=16",
    "video.budgets=[0.5]",
    "video.generate_tokens=3",
    "bootstrap.resamples=100",
)
FEW = (
    "video.policies={random: null, keydiff: null, h2o: null, snapkv: null}",
    "video.reductions={uniform_drop: null}",
)
"""Leaves full cache, recency, fewer frames and DivPrune."""
MAKE = {  # maker of the folder, questions, those without a video, a video to take away for that
    "longvideobench": (folders.longvideobench, 3, 1, None),
    "mlvu": (folders.mlvu_dev, 4, 1, "MLVU/video/4_count/count_1.mp4"),
    "videomme": (folders.videomme, 6, 3, None),
    "egoschema": (folders.egoschema, 2, 1, None),
    "nextqa": (folders.nextqa, 2, 1, "NExTVideo/4011.mp4"),
}


def settings(*more):
    return [part for each in (*QUICK, *FEW, *more) for part in ("--set", each)]


def rows(folder):
    return json.loads((folder / "summary.json").read_text())["rows"]


def records(folder):
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()[1:]]
    return [line for line in lines if "settings_of" not in line]


def score(row, name="accuracy"):
    return next(cell["score"] for cell in row["cells"] if cell["metric"] == name)


def scores(folder):
    return sorted((record["policy"], record["item"], str(record["scores"])) for record in records(folder))


def smoke(model, *more):
    changes = ("video.options.n=4", f"video.model={model}", *more)
    return [part for each in changes for part in ("--set", each)]


@pytest.mark.parametrize("name", MAKE)
def test_a_benchmark_runs_from_its_folder_and_counts_what_it_skips(run, tmp_path, model_folder, name):
    make, questions, absent, taken = MAKE[name]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    make(data)
    if taken:
        (data / taken).unlink()
    options = settings(f"video.data={data}", f"video.model={model_folder}", "video.dtype=float32")
    shown = run("video-qa", f"video/{name}", *options, "--output", out)
    full = rows(out)[0]
    assert (full["n"], full["skipped"]) == (questions - absent, absent)
    assert score(full)["n"] == questions - absent
    assert full["kept"]["fraction"] == 1.0
    found = records(out)
    assert len(found) == 4 * questions
    assert {row["policy"] for row in rows(out)} == {"full", "recency", "fewer_frames", "divprune"}
    for row in rows(out)[1:]:
        assert row["kept"]["fraction"] == pytest.approx(0.5, abs=0.15)  # room that text leaves is filled with pictures
    assert shown.stderr.count(": skipped: ") == 1
    skipped = {record["item"]: record["message"] for record in found if record["status"] == "skipped"}
    assert len(skipped) == absent
    assert all("no such file" in message for message in skipped.values())
    assert json.loads((out / "summary.json").read_text())["messages"] == {"video": skipped}
    assert all("frames by time" in each["facts"]["sampler"] for each in found if each["status"] == "scored")
    for file in ("table.txt", "predictions.json", "config.yaml", "report/index.html"):
        assert (out / file).stat().st_size > 0


def test_strict_counts_skipped_items_as_wrong(run, tmp_path, model_folder):
    (tmp_path / "data").mkdir()
    folders.egoschema(tmp_path / "data")
    options = settings(f"video.data={tmp_path / 'data'}", f"video.model={model_folder}", "video.generate=false")
    run("video-qa", "video/egoschema", *options, "--strict", "--output", tmp_path / "out")
    full = rows(tmp_path / "out")[0]
    assert (full["n"], full["skipped"], score(full)["n"]) == (1, 1, 2)


def test_generated_answers_that_name_no_option_are_counted(run, tmp_path, model_folder):
    """The official score of Video-MME is over answers that name one; the others are counted."""
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    folders.videomme(data)
    options = settings(f"video.data={data}", f"video.model={model_folder}", "video.dtype=float32")
    run("video-qa", "video/videomme", *options, "--output", out)
    answered = [each for each in records(out) if each["policy"] == "full" and each["status"] == "scored"]
    parsed = [each["facts"]["parsed"] for each in answered]
    full = rows(out)[0]
    assert score(full, "unparsed")["value"] == pytest.approx(parsed.count(None) / len(parsed))
    named = [each["scores"]["generated_accuracy"] for each in answered if each["facts"]["parsed"] is not None]
    cells = {cell["metric"]: cell["score"] for cell in full["cells"]}
    assert [cells["parsed_accuracy"]["n"]] == [len(named)] if named else "parsed_accuracy" not in cells


def test_nothing_is_done_twice_and_a_policy_may_be_added(run, tmp_path, model_folder, monkeypatch):
    options, out = smoke(model_folder), tmp_path / "out"
    run("video-qa", "video/smoke", *options, "--output", out)
    first = records(out)
    assert len(first) == 5 * 4
    more = [*options, "--set", "video.policies.tova={policy: tova}"]
    run("video-qa", "video/smoke", *more, "--output", out)
    second = records(out)
    assert second[: len(first)] == first
    assert {record["policy"] for record in second[len(first) :]} == {"tova"}
    monkeypatch.setattr(video_session, "load_video_model", None)  # finished: no model is loaded
    assert "finished earlier" in run("video-qa", "video/smoke", *more, "--output", out).stderr
    assert records(out) == second


def test_a_cut_off_run_goes_on_to_the_same_results(run, tmp_path, model_folder):
    for name in ("whole", "cut"):
        run("video-qa", "video/smoke", *smoke(model_folder), "--output", tmp_path / name)
    path = tmp_path / "cut/results.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:9]) + lines[9][:20])
    run("video-qa", "video/smoke", *smoke(model_folder), "--output", tmp_path / "cut")
    assert scores(tmp_path / "cut") == scores(tmp_path / "whole")


def test_two_workers_answer_as_one_does(run, tmp_path, model_folder):
    for count in (1, 2):
        line = ("video-qa", "video/smoke", *smoke(model_folder), "--workers", count)
        run(*line, "--output", tmp_path / str(count))
    assert scores(tmp_path / "1") == scores(tmp_path / "2")


def test_statistics_of_a_namm_are_named_and_differ(run, tmp_path, model_folder):
    namm = "{policy: namm, init: random, sigma: 0.5, threshold: -.inf, budget: [0.5], statistics: %s}"
    options = ["video.options.n=3", f"video.model={model_folder}", "video.dtype=float32"]
    options += [f"video.policies.{name}={namm % name}" for name in ("frozen", "estimated")]
    run("video-qa", "video/smoke", *(part for each in options for part in ("--set", each)), "--output", tmp_path)
    named = {row["policy"]: row["fit"] for row in rows(tmp_path)}
    assert named["estimated"].startswith("estimated on ")
    assert "16 videos of generated, update every 16" in named["estimated"]
    assert named["frozen"] != named["estimated"]


def test_the_dry_run_names_every_run_and_loads_nothing(run, tmp_path):
    shown = run("video-qa", "video/offline", "--dry-run").stdout
    assert "keydiff: 25%, schedule streaming" in shown
    assert "divprune: 50%, schedule before" in shown


BAD = {
    "unknown benchmark": (["--set", "video.benchmark=mlvuu"], "unknown benchmark 'mlvuu': did you mean mlvu?"),
    "unknown option": (["--set", "video.options.lenght=3"], "options.lenght: unknown key of benchmark generated"),
    "no folder": (
        ["--set", "video.benchmark=mlvu", "--set", "video.options={n: null, frames: null}"],
        "data='': no such folder",
    ),
    "budget": (["--set", "video.budgets=[1.5]"], "expected a share of the visual tokens in (0, 1]"),
    "a budget twice": (["--set", "video.budgets=[0.5, 0.5]"], "contains a budget twice"),
    "policy budget": (
        ["--set", "video.policies.h2o.budget=60"],
        "policies.h2o.budget: 60: expected a share of the visual tokens in (0, 1]",
    ),
    "reduction": (
        ["--set", "video.reductions.x={reduction: divprun}"],
        "unknown reduction 'divprun': did you mean divprune?",
    ),
    "clock": (
        ["--set", "video.policies.n={policy: namm, init: zeros}", "--set", "video.update_every=10"],
        "of this NAMM's hop",
    ),
    "key": (["--set", "video.frame=8"], "frame: unknown key; did you mean frames"),
    "key at the top": (["--set", "frames=8"], "frames: expected in its section, as video.frames"),
    "section": (
        ["--set", "video=null", "--set", "rl={model: tmaze, policies: {full: {policy: full}}}"],
        "section video",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_one_line(run, tmp_path, name):
    arguments, message = BAD[name]
    line = run("video-qa", "video/offline", *arguments, "--output", tmp_path, code=2).stderr.strip()
    assert line.startswith("namm-xmodal: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("name", VIDEO)
def test_every_shipped_file_makes_a_plan(name):
    section = load(name, None).sections["video"]
    assert video_arms(section)[0].full
    assert build_benchmark(section).name == section.benchmark
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_every_key_is_explained():
    assert all(row.help for row in describe(VideoSection))


def test_prepare_trains_and_goes_on_to_the_same_weights(run, tmp_path):
    import torch
    from safetensors.torch import load_file

    from namm_xmodal.training.llava_small import train as training

    with torch.enable_grad():
        run("prepare", "video", "--tiny", "--output", tmp_path / "whole")
    whole = load_file(tmp_path / "whole/model/model.safetensors")
    with torch.enable_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SAVE_EVERY", 1)

        def killed(done, total, what):
            if done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), training_folder(tmp_path / "cut").claimed():
            training.train(0, tmp_path / "cut", TINY, killed, 2)
        run("prepare", "video", "--tiny", "--output", tmp_path / "cut")
    again = load_file(tmp_path / "cut/model/model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert (tmp_path / "whole/model/README.md").read_text().startswith("---\nlicense: apache-2.0")
