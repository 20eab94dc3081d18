"""`video-qa` and `prepare video` from the command line: every benchmark's layout, skips that are counted, resuming."""

import json

import benchmark_folders as folders
import pytest
from namm_xmodal.config.video_qa import VideoQAConfig, build_benchmark, load_video_qa_config
from namm_xmodal.evaluation.video.plan import make_runs

from namm_xmodal.cli.folders import training_folder
from namm_xmodal.config import describe, packaged_configs

VIDEO = [name for name in packaged_configs() if name.startswith("video/")]
QUICK = (
    "loader.workers=0",
    "frames=8",
    "update_every=16",
    "budgets=[0.5]",
    "generate_tokens=3",
    "bootstrap.resamples=100",
)
FEW = ("policies={random: null, keydiff: null, h2o: null, snapkv: null}", "reductions={uniform_drop: null}")
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
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()[1:]]


@pytest.mark.parametrize("name", MAKE)
def test_a_benchmark_runs_from_its_folder_and_counts_what_it_skips(run, tmp_path, model_folder, name):
    make, questions, absent, taken = MAKE[name]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    make(data)
    if taken:
        (data / taken).unlink()
    shown = run(
        "video-qa",
        f"video/{name}",
        *settings(f"data={data}", f"model={model_folder}", "dtype=float32"),
        "--output",
        out,
    )
    full = rows(out)[0]
    assert (full["answered"], full["skipped"]) == (questions - absent, absent)
    assert full["accuracy"]["n"] == questions - absent
    assert full["kept"] == 1.0
    assert len(records(out)) == 4 * questions
    assert {row["policy"] for row in rows(out)} == {"full", "recency", "fewer_frames", "divprune"}
    for row in rows(out)[1:]:
        assert row["kept"] == pytest.approx(0.5, abs=0.15)  # room that text leaves is filled with pictures
    assert shown.stderr.count("skipped: ") == 1
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["skipped"]) == absent
    assert all("no such file" in reason for reason in summary["skipped"].values())
    assert all("frames by time" in sampler for sampler in summary["samplers"])
    for file in ("table.txt", "accuracy.png", "accuracy.svg", "predictions.json", "config.yaml"):
        assert (out / file).stat().st_size > 0


def test_strict_counts_skipped_items_as_wrong(run, tmp_path, model_folder):
    data = folders.egoschema(tmp_path / "data") if (tmp_path / "data").mkdir() is None else None
    options = settings(f"data={data}", f"model={model_folder}", "generate=false")
    run("video-qa", "video/egoschema", *options, "--strict", "--output", tmp_path / "out")
    full = rows(tmp_path / "out")[0]
    assert (full["answered"], full["skipped"], full["accuracy"]["n"]) == (1, 1, 2)


def test_nothing_is_done_twice_and_a_policy_may_be_added(run, tmp_path, model_folder, monkeypatch):
    options = [part for each in ("options.n=4", f"model={model_folder}") for part in ("--set", each)]
    out = tmp_path / "out"
    run("video-qa", "video/smoke", *options, "--output", out)
    first = records(out)
    assert len(first) == 5 * 4
    run("video-qa", "video/smoke", *options, "--set", "policies.tova={policy: tova}", "--output", out)
    second = records(out)
    assert second[: len(first)] == first
    assert {record["policy"] for record in second[len(first) :]} == {"tova"}
    import namm_xmodal.evaluation.video.runner as runner

    monkeypatch.setattr(runner, "VideoWorker", None)  # finished: no model is loaded
    run("video-qa", "video/smoke", *options, "--output", out)
    assert records(out) == second


def test_a_cut_off_run_goes_on_to_the_same_results(run, tmp_path, model_folder):
    options = [part for each in ("options.n=4", f"model={model_folder}") for part in ("--set", each)]
    for name in ("whole", "cut"):
        run("video-qa", "video/smoke", *options, "--output", tmp_path / name)
    path = tmp_path / "cut/results.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:9]) + lines[9][:20])
    run("video-qa", "video/smoke", *options, "--output", tmp_path / "cut")

    def scores(folder):
        return [(row["policy"], row["sample"], row["scores"]) for row in records(folder)]

    assert sorted(map(str, scores(tmp_path / "cut"))) == sorted(map(str, scores(tmp_path / "whole")))


def test_statistics_of_a_namm_are_named_and_differ(run, tmp_path, model_folder):
    namm = "{policy: namm, init: random, sigma: 0.5, threshold: -.inf, budget: [0.5], statistics: %s}"
    options = ["options.n=3", f"model={model_folder}", "dtype=float32"]
    options += [f"policies.{name}={namm % name}" for name in ("frozen", "estimated")]
    run("video-qa", "video/smoke", *(part for each in options for part in ("--set", each)), "--output", tmp_path)
    named = {row["policy"]: row["statistics"] for row in rows(tmp_path)}
    assert named["estimated"].startswith("estimated on ")
    assert "16 videos of generated, update every 16" in named["estimated"]
    assert named["frozen"] != named["estimated"]


def test_the_dry_run_names_every_run_and_loads_nothing(run, tmp_path):
    shown = run("video-qa", "video/offline", "--dry-run").stdout
    assert "keydiff: 25% of the visual tokens, clock" in shown
    assert "divprune: 50% of the visual tokens, before" in shown


BAD = {
    "unknown benchmark": (["--set", "benchmark=mlvuu"], "unknown benchmark 'mlvuu': did you mean mlvu?"),
    "unknown option": (["--set", "options.lenght=3"], "options.lenght: unknown key of benchmark generated"),
    "no folder": (["--set", "benchmark=mlvu", "--set", "options={n: null, frames: null}"], "data='': no such folder"),
    "budget": (["--set", "budgets=[1.5]"], "expected a share of the visual tokens in (0, 1]"),
    "policy budget": (
        ["--set", "policies.h2o.budget=0.5"],
        "sizes are shares of the visual tokens and stand in `budgets`",
    ),
    "reduction": (
        ["--set", "reductions.x={reduction: divprun}"],
        "unknown reduction 'divprun': did you mean divprune?",
    ),
    "clock": (
        ["--set", "policies.n={policy: namm, init: zeros}", "--set", "update_every=10"],
        "of this NAMM's hop",
    ),
    "key": (["--set", "frame=8"], "frame: unknown key; did you mean frames"),
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
    config = load_video_qa_config(name)
    assert make_runs(config)[0].full
    assert build_benchmark(config).name == config.benchmark
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_every_key_is_explained():
    assert all(row.help for row in describe(VideoQAConfig))


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
            training.train(0, tmp_path / "cut", training_recipe(), killed, 2)
        run("prepare", "video", "--tiny", "--output", tmp_path / "cut")
    again = load_file(tmp_path / "cut/model/model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert (tmp_path / "whole/model/README.md").read_text().startswith("---\nlicense: apache-2.0")


def training_recipe():
    from namm_xmodal.training.llava_small.recipe import TINY

    return TINY
