"""`rollout` in environments that break or cannot draw themselves, and films of those that can."""

import json

import av
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from transformers import DecisionTransformerConfig, DecisionTransformerModel
from typer.testing import CliRunner

from namm_xmodal.agents.checkpoint import save_checkpoint
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.cli.app import app


class Point(gymnasium.Env):
    """Pushes a point about for 20 steps; draws 30 x 50 pixels, in another size at the end."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space, action_space = spaces.Box(-9, 9, (2,)), spaces.Box(-1, 1, (1,))

    def __init__(self, render_mode=None, fails="never", draws="well"):
        self.render_mode, self.fails, self.draws = render_mode, fails, draws

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.seed_given = 0, seed
        if self.fails == "at reset" or (self.fails == "once" and seed % 2):
            raise RuntimeError("the world is not there")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.fails == "midway" and self.steps > 10:
            raise RuntimeError("it fell apart")
        return np.full(2, self.steps / 20, np.float32), 1.0, self.steps == 20, False, {}

    def render(self):
        if self.draws == "with errors":
            raise RuntimeError("no display")
        if self.draws == "text":
            return "O"
        return np.full((60, 100, 3) if self.steps > 12 else (30, 50, 3), 10 * self.steps, np.uint8)


class Choices(Point):
    action_space = spaces.Discrete(2)


class Blind(Point):
    metadata = {"render_modes": ["human"]}  # noqa: RUF012


@pytest.fixture(scope="module", autouse=True)
def environments():
    for kind in (Point, Choices, Blind):
        gymnasium.register(f"EdgesTest{kind.__name__}-v0", kind)
    yield
    for kind in (Point, Choices, Blind):
        del gymnasium.registry[f"EdgesTest{kind.__name__}-v0"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = DecisionTransformerConfig(state_dim=2, act_dim=1, hidden_size=16, n_layer=1, n_head=1, max_ep_len=50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DecisionTransformerModel(config)
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(
        made,
        CheckpointMetadata(environment="EdgesTestPoint-v0", target=20.0, scale=1.0, window=5, memory="cache"),
        folder / "m",
    )
    return folder / "m"


OTHERS = ("window", "random", "l2_norm", "tova", "h2o", "namm", "namm_budget", "namm_untrained")


def rollout(model, out, *changes, more=(), code=0):
    options = ["episodes=2", "model_seeds=null", "update_every=12", "protect_recent=3", "max_steps=30", "score=return"]
    options += [f"model={model}", *changes, f"policies={{{', '.join(f'{label}: null' for label in OTHERS)}}}"]
    sets = [part for each in options for part in ("--set", f"rl.{each}")]
    arguments = ["rollout", "rl/hopper", *sets, "--output", str(out), *more]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120", "NO_COLOR": "1"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_an_episode_that_does_not_start_is_counted_and_named(model, tmp_path):
    shown = rollout(model, tmp_path, "environment_options.fails=once", "seed=10", "budgets=[12]")
    assert (
        "rl m#11: failed: step 0: the environment did not start: RuntimeError: the world is not there" in shown.stderr
    )
    for row in json.loads((tmp_path / "summary.json").read_text())["rows"]:
        score = row["cells"][0]["score"]
        assert (row["failed"], score["n"], score["value"]) == (1, 1, 20.0)
        assert row["kept"]["tokens"] > 6  # of the episode that was played


def test_an_episode_that_fails_midway_counts_with_what_it_had(model, tmp_path):
    shown = rollout(model, tmp_path, "environment_options.fails=midway", "budgets=[12]")
    assert "step 10: the environment stopped: RuntimeError: it fell apart" in shown.stderr
    for row in json.loads((tmp_path / "summary.json").read_text())["rows"]:
        assert (row["failed"], row["cells"][0]["score"]["n"], row["cells"][0]["score"]["value"]) == (2, 2, 10.0)


def test_where_no_episode_began_no_return_is_shown_and_the_reason_is(model, tmp_path):
    shown = rollout(model, tmp_path, "environment_options.fails='at reset'", "budgets=[12]")
    assert "#1000: failed: step 0: the environment did not start: RuntimeError" in " ".join(shown.stderr.split())
    assert [row["cells"] for row in json.loads((tmp_path / "summary.json").read_text())["rows"]] == [[], []]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2 + 2 * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("environment=EdgesTestChoices-v0", "EdgesTestChoices-v0: actions of type Discrete: expected a Box"),
        ("environment=EdgesTestBlind-v0", "cannot be rendered (render modes: human); --video needs rgb_array"),
        ("environment_options.draws='with errors'", "cannot be rendered here (RuntimeError: no display)"),
        ("environment_options.draws=text", "renders str; expected (height, width, 3) of uint8"),
        ("environment_options.fails='at reset'", "step 0: the environment did not start: RuntimeError"),
        ("max_steps=2", "max_steps=2: too short for a frame, expected at least 4"),
    ],
)
def test_a_film_that_cannot_be_made_is_one_line(model, tmp_path, change, message):
    line = rollout(model, tmp_path, change, more=["--video", "full"], code=2).stderr.strip()
    assert message in line and "\n" not in line
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize(("fails", "frames"), [("never", 5), ("midway", 3)])
def test_every_environment_that_draws_is_filmed(model, tmp_path, fails, frames):
    shown = rollout(model, tmp_path, f"environment_options.fails={fails}", more=["--video", "full"])
    (film,) = tmp_path.glob("*.mp4")
    with av.open(str(film)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == frames
    assert pictures[0].shape == (240, 400 + 400, 3)
    assert pictures[0][100, 100].mean() == pytest.approx(40, abs=6)  # what was drawn after four steps
    assert ("the episode failed at step 10: the environment stopped" in shown.stderr) == (fails == "midway")
    assert (tmp_path / film.with_suffix(".png").name).stat().st_size > 0


def test_a_film_stays_in_its_folder_whatever_its_policy_is_called(model, tmp_path):
    out, label = tmp_path / "deep" / "out", "../a b"
    rollout(model, out, f"policies={{'{label}': {{policy: full}}}}", more=["--video", label])
    assert sorted(path.suffix for path in out.glob("..-a-b-*")) == [".mp4", ".png"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
