"""A budget divided by gradients: the forward is the engine's, worth is a gradient, steps go where it is, runs resume."""

import json

import pytest
import torch
from families import VOCABULARY, tiny

from namm_xmodal import pruned
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.config.agree import KINDS
from namm_xmodal.errors import DataError, EvolutionError
from namm_xmodal.fitness import AgreeSettings
from namm_xmodal.fitness.agree import AgreeObjective
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.divide import STATE, DivisionRun, divide, read_divided
from namm_xmodal.gradient.division import Division
from namm_xmodal.gradient.head_worth import HeadWorth
from namm_xmodal.language.models import load_language_model
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.h2o import H2O
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.namm import Namm, ThresholdSchedule

LENGTH = 103
PROTECTED = PruningSettings(16, 4, 8)


@pytest.fixture(autouse=True)
def _gradients():
    with torch.enable_grad():
        yield


def lesson_of(model, loss, pruning=PROTECTED):
    ids = torch.randint(3, VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(1))
    return Lesson(model, find_adapter(model), {"input_ids": ids}, loss, pruning)


@pytest.mark.parametrize("base", [Geometry(), KeyDiff(), H2O(normalise=True)], ids=lambda base: type(base).__name__)
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_the_forward_is_the_engine_s(base, name):
    model = tiny(name, torch.float64)
    heads, layers = model.config.num_key_value_heads, model.config.num_hidden_layers
    weights = torch.rand(layers, heads, generator=torch.Generator().manual_seed(3)) + 0.2
    shares = HeadShares.of(weights, "")
    found = {}
    lesson = lesson_of(model, lambda logits: found.setdefault("logits", logits).square().mean())
    policy = ByHead(base=base, shares=shares, budget=0.4)
    aim = Aim(ThresholdSchedule(), 0.4, per_head=True, length=LENGTH, shares=shares)
    read_divided(lesson, policy.base, aim, gradient=False)
    with torch.no_grad(), pruned(model, policy, update_every=16, protect_first=4, protect_recent=8) as memory:
        expected = model(**lesson.inputs, past_key_values=memory.cache()).logits
    torch.testing.assert_close(found["logits"], expected)


def test_worth_is_the_change_by_one_softly_counted_token():
    worth = HeadWorth(2, 3, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    margins = torch.randn(1, 3, 20, generator=generator)
    free = torch.rand(1, 3, 20, generator=generator) > 0.2
    value = torch.randn(1, 3, 20, generator=generator)
    loss = -(torch.sigmoid(worth.lowered(margins, free, 1)) * value * free).sum()
    slope = torch.sigmoid(margins) * (1 - torch.sigmoid(margins)) * free
    expected = (slope * value).sum((0, 2)) / slope.sum((0, 2))
    found = worth.of(loss)
    torch.testing.assert_close(found[1].float(), expected)
    assert found[0].tolist() == [0, 0, 0]


def test_a_head_that_keeps_everything_is_worth_nothing():
    model = tiny("llama", torch.float64)
    shares = HeadShares.of(torch.tensor([[4.0, 0.1], [0.1, 0.1], [0.1, 0.1]]), "")
    aim = Aim(ThresholdSchedule(), 0.3, per_head=True, length=LENGTH, shares=shares)
    lesson = lesson_of(model, lambda logits: logits.square().mean(), PruningSettings(16, 0, 1))
    found = read_divided(lesson, Geometry(), aim, gradient=True)
    assert found.worth is not None
    assert found.worth[0, 0] == 0
    assert (found.worth[1] != 0).all()
    assert torch.isfinite(found.worth).all()


def test_shares_move_to_where_tokens_are_worth_most():
    division = Division.even(2, 2, steps=20, rate=0.2)
    for _ in range(20):
        division.take(torch.tensor([[3.0, 1.0], [1.0, 1.0]], dtype=torch.float64), 1.0)
    weights = torch.tensor(division.answer("").weights)
    assert weights[0, 0] > 2
    assert weights.mean() == pytest.approx(1, abs=1e-3)
    assert torch.tensor(division.shares().weights).min() > 0


def test_nothing_to_learn_moves_nothing():
    division = Division.even(2, 2, steps=3, rate=0.2)
    for _ in range(3):
        division.take(torch.zeros(2, 2, dtype=torch.float64), 0.0)
    assert division.answer("").weights == ((1.0, 1.0), (1.0, 1.0))


# ------------------------------------------------------------------ runs
def run_of(count=5, held_out=2, **changes):
    source = KINDS["language"](model="tiny-random", count=count, tokens=80, update_every=32, **changes)
    objective = AgreeObjective(AgreeSettings({"language": source}), Namm.untrained(), load_language_model)
    return DivisionRun(objective, KeyDiff(), 0.3, samples=1, held_out=held_out, seed=0)


def test_a_run_goes_on_where_it_stopped(tmp_path):
    whole = divide(run_of(), 4, 0.25, tmp_path / "whole", "a", lambda step, loss: None)
    steps = []

    def stop(step, loss):
        steps.append(step)
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        divide(run_of(), 4, 0.25, tmp_path / "parts", "a", stop)
    parts = divide(run_of(), 4, 0.25, tmp_path / "parts", "a", lambda step, loss: steps.append(step))
    assert steps == [1, 2, 3, 4]
    assert parts.answer("") == whole.answer("")
    assert (tmp_path / "parts" / STATE).read_text() == (tmp_path / "whole" / STATE).read_text()


def test_every_input_comes_once_before_any_comes_again():
    run = run_of(count=6, held_out=2)
    asked = []
    run.objective.lesson = lambda shard: (
        asked.append(shard.samples[0]) or Lesson(None, None, {"x": torch.ones(1, 1)}, None, None)
    )
    for step in range(8):
        run._lessons(step)
    assert sorted(asked[:4]) == sorted(asked[4:]) == [0, 1, 2, 3]


def test_another_run_in_the_folder_is_refused(tmp_path):
    divide(run_of(), 1, 0.25, tmp_path, "a", lambda step, loss: None)
    with pytest.raises(EvolutionError, match="other settings"):
        divide(run_of(), 1, 0.25, tmp_path, "b", lambda step, loss: None)
    state = json.loads((tmp_path / STATE).read_text())
    (tmp_path / STATE).write_text(json.dumps({**state, "logs": "many"}))
    with pytest.raises(EvolutionError, match="damaged"):
        divide(run_of(), 2, 0.25, tmp_path, "a", lambda step, loss: None)


def test_several_models_are_refused():
    source = KINDS["rl"](
        model="tmaze", count=2, environment_options={"length": 20}, tokens=60, update_every=16, model_seeds=(0, 1)
    )
    objective = AgreeObjective(AgreeSettings({"rl": source}), Namm.untrained(), load_language_model)
    run = DivisionRun(objective, KeyDiff(), 0.3, samples=2, held_out=0, seed=0)
    with pytest.raises(DataError, match=r"agree\.rl: has several models"):
        [run._lessons(step) for step in range(4)]


def test_agents_and_videos_divide_too():
    source = KINDS["rl"](
        model="tmaze", count=2, environment_options={"length": 20}, tokens=60, update_every=16, model_seeds=(0,)
    )
    objective = AgreeObjective(AgreeSettings({"rl": source}), Namm.untrained(), load_language_model)
    run = DivisionRun(objective, Geometry(), 0.4, samples=1, held_out=1, seed=0)
    division = run.start(1, 0.25)
    run.advance(division)
    assert division.step == 1
    assert len(run.judge(division.shares())) == 1
