"""The language objective: members in a batch are members alone, samples are drawn fairly, prefixes run once."""

import numpy as np
import pytest
import torch

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import DataError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness import LanguageObjective, Mixture, MixtureFactory, ObjectiveSettings, TemplateSpec
from namm_xmodal.fitness.pool import draw
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.fitness.statistics import statistics_of
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.next_token import NextToken
from namm_xmodal.policies.namm import make_features

SPEC = TemplateSpec((0.01,) * 17, (0.02,) * 17, "a test")


def settings(**changes):
    settings = dict(
        models=("tiny-random",),
        tasks={"keys": KeyRetrieval(length=(300,)), "texts": NextToken(length=(200,))},
        samples=2,
        pool=6,
        pruning=PruningSettings(32),
        dtype="float32",
    )
    return ObjectiveSettings(**{**settings, **changes})


def objective(**changes):
    return LanguageObjective(settings(**changes), SPEC)


def population(count: int = 3, length: int = 4172) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (count, length))


def test_scores_are_those_of_each_member_alone():
    run = objective()
    members = population()
    for shard in run.shards(0):
        found = run.evaluate(members, shard).check(3, shard)
        model, sample = run.model_named(shard.model).model, run.pool_of(shard.model, shard.task)[shard.samples[0]]
        ids = torch.tensor([[*sample.prompt, *sample.answer]])
        for member in range(3):
            policy = Namm(torch.from_numpy(members[member : member + 1]).float(), run.template.statistics)
            with pruned(model, policy, update_every=32, attention="sdpa") as memory:
                logits = model(ids[:, :-1], past_key_values=memory.cache()).logits[0, len(sample.prompt) - 1 :]
                kept = memory.report().kept_fraction
            expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.answer)[:, None]).mean().exp().item()
            assert found.scores[member, 0] == pytest.approx(expected, rel=1e-4)
            assert found.kept[member, 0] == pytest.approx(kept, abs=1e-9)
        full = model(ids[:, :-1]).logits[0, len(sample.prompt) - 1 :].log_softmax(-1)
        assert found.base[0] == pytest.approx(
            full.gather(1, torch.tensor(sample.answer)[:, None]).mean().exp().item(), rel=1e-4
        )


def test_rows_in_a_batch_do_not_change_results():
    members, shard = population(5), Shard("keys", (1,), "tiny-random")
    whole, halves = (objective(rows=rows).evaluate(members, shard) for rows in (5, 2))
    assert np.allclose(whole.scores, halves.scores, rtol=1e-5)
    assert np.array_equal(whole.kept, halves.kept)


def test_zero_parameters_keep_everything_and_score_as_the_base():
    run = objective()
    for shard in run.shards(3):
        result = run.evaluate(np.zeros((1, run.num_parameters)), shard)
        assert result.kept[0, 0] == 1.0
        assert result.scores[0, 0] == pytest.approx(result.base[0], rel=1e-4)


def test_samples_are_a_function_of_seed_and_generation():
    assert objective().shards(4) == objective().shards(4)
    assert objective().shards(4) != objective(seed=1).shards(4)
    seen = [draw(6, 2, generation, 0, 0) for generation in range(6)]
    assert sorted(sum(seen[:3], ())) == sorted(sum(seen[3:], ())) == list(range(6)), "each pass uses every sample once"
    assert seen[:3] != seen[3:]


def test_statistics_describe_the_unpruned_model():
    run = Mixture(MixtureFactory(settings(), SPEC))
    told = []
    statistics = statistics_of(run, 2, make_features("spectrogram"), lambda *progress: told.append(progress))
    assert [(done, total) for done, total, _ in told][-1] == (3, 4)
    assert (statistics.mean > 0).all()
    assert (statistics.std > 0).all()
    assert "tiny-random, 4 training texts" in statistics.source


def test_impossible_work_is_refused():
    with pytest.raises(DataError, match="fewer than update_every"):
        objective(pruning=PruningSettings(512)).evaluate(population(), Shard("keys", (0,), "tiny-random"))
    with pytest.raises(DataError, match="the pool has 6"):
        objective(samples=7).shards(0)
    with pytest.raises(DataError, match="not a task and model"):
        objective().evaluate(population(), Shard("other", (0,), "tiny-random"))
    with pytest.raises(DataError, match="no training task"):
        objective(tasks={})
