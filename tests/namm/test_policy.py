"""A NAMM as a policy: knobs, sharing, saving and loading, and mistakes that people make."""

import json

import pytest
import torch
from families import in_chunks, padded_batch, tiny
from safetensors.torch import load_file, save_file

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import BudgetError, CheckpointError, ClockError, ConfigError
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import FeatureStatistics, MlpScorer, StatisticsEstimator, make_features


def random_namm(**settings) -> Namm:
    statistics = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03), source="a guess")
    return Namm.untrained("random", sigma=0.3, seed=1, statistics=statistics, **settings)


def kept(model, policy, rows=1, **settings):
    with pruned(model, policy, update_every=32, **settings) as memory:
        in_chunks(model, padded_batch(96, rows=rows), memory.cache(), 96)
        return memory.report()


def test_zero_parameters_keep_everything_and_change_nothing():
    model, batch = tiny("llama"), padded_batch()
    expected = model(**batch).logits
    with pruned(model, Namm.untrained("zeros"), update_every=32, attention="sdpa") as memory:
        logits = in_chunks(model, batch, memory.cache(), 100)
        assert memory.report().kept_fraction == 1.0
    assert (logits - expected)[batch["attention_mask"].bool()].abs().max() < 1e-5


def test_threshold_and_cap_give_a_curve_of_sizes():
    model = tiny("llama")
    sizes = [kept(model, random_namm(threshold=t)).kept_fraction for t in (-100.0, -0.5, 0.0, 0.5, 100.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1.0
    assert sizes[-1] < 0.02, "only the newest token is protected"
    capped = kept(model, random_namm(threshold=-100.0, max_tokens=10))
    assert all(count == 10 for layer in capped.live for row in layer for count in row)
    half = kept(model, random_namm(threshold=-100.0, max_tokens=0.5))
    assert half.kept_fraction == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("sharing", ["layer", "head"])
def test_parameters_per_layer_and_head(sharing):
    model, shared = tiny("llama"), random_namm()
    sets = {"layer": 3, "head": 6}[sharing]
    copied = Namm(shared.parameters.repeat(sets, 1), shared.statistics, sharing=sharing)
    assert kept(model, copied).live == kept(model, shared).live
    different = copied.parameters.clone()
    different[0] = 0  # the first layer, or its first head, keeps everything
    layers = kept(model, Namm(different, shared.statistics, sharing=sharing)).live
    heads = [row[0] for row in layers[0]] if sharing == "head" else [h for row in layers[0] for h in row]
    assert set(heads) == {96}
    with pytest.raises(CheckpointError, match="this model needs"):
        kept(model, Namm(different[:2], shared.statistics, sharing=sharing))


def test_save_and_load(tmp_path):
    policy = random_namm(threshold=0.25, max_tokens=64, scorer=MlpScorer(10, 1), metadata={"note": "made in a test"})
    policy.save_pretrained(tmp_path / "policy")
    again = Namm.from_pretrained(tmp_path / "policy")
    assert torch.equal(again.parameters, policy.parameters)
    assert torch.equal(again.statistics.std, policy.statistics.std)
    assert repr(again) == repr(policy)
    assert again.metadata == policy.metadata
    assert Namm.from_pretrained(tmp_path / "policy", threshold=1.5, max_tokens=None).threshold == 1.5
    assert sorted(p.name for p in (tmp_path / "policy").iterdir()) == ["config.json", "model.safetensors"]


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def damage_parameters(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["parameters"][0, 7] = float("nan")
    save_file(tensors, folder / "model.safetensors")


DAMAGES = {
    "format version 99": lambda folder: edit_config(folder, format_version=99),
    "not a saved NAMM": lambda folder: edit_config(folder, format="other"),
    "unknown scorer 'gru'": lambda folder: edit_config(folder, scorer={"name": "gru"}),
    "does not take these settings": lambda folder: edit_config(folder, scorer={"name": "bam", "depth": 3}),
    "NaN": damage_parameters,
    "cannot be read": lambda folder: (folder / "model.safetensors").write_bytes(b"torn"),
    "config.json": lambda folder: (folder / "config.json").write_text("{"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_checkpoints_are_refused_in_one_line(tmp_path, message):
    random_namm().save_pretrained(tmp_path)
    DAMAGES[message](tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        Namm.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no-such-policy", "./nowhere", "/nowhere/at/all"])
def test_missing_checkpoints_are_refused_in_one_line(name):
    with pytest.raises(CheckpointError, match="no such folder"):
        Namm.from_pretrained(name)


def published_file(path, **changes):
    policy = random_namm()
    state = {
        "mean": policy.parameters[0],
        "best_member": policy.parameters[0] + 1,
        "stored_buffers_to_save.token_embedding_0_output_mean": policy.statistics.mean.view(1, 1, 1, 17),
        "stored_buffers_to_save.token_embedding_0_output_var": policy.statistics.std.square().view(1, 1, 1, 17),
        "stored_buffers_to_save.token_embedding_0_online_new_output_mean": torch.zeros(1, 1, 1, 17),
    }
    torch.save({"evolution_state": {k: v for k, v in {**state, **changes}.items() if v is not None}}, path)
    return policy


def test_published_checkpoints_are_imported(tmp_path):
    policy = published_file(tmp_path / "ckpt.pt")
    imported = Namm.from_published(tmp_path / "ckpt.pt", threshold=0.5)
    assert torch.equal(imported.parameters, policy.parameters)
    assert torch.allclose(imported.statistics.std, policy.statistics.std)
    assert imported.threshold == 0.5


def test_published_checkpoints_that_need_code_or_lack_parts_are_refused(tmp_path):
    published_file(tmp_path / "a.pt", mean=None)
    with pytest.raises(CheckpointError, match="no 'mean'"):
        Namm.from_published(tmp_path / "a.pt")
    published_file(tmp_path / "b.pt", **{"stored_buffers_to_save.token_embedding_0_output_var": None})
    with pytest.raises(CheckpointError, match="_output_var"):
        Namm.from_published(tmp_path / "b.pt")
    torch.save({"evolution_state": {"mean": pytest.raises}}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="it refers to _pytest"):
        Namm.from_published(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        Namm.from_published(tmp_path / "d.pt")


def test_mistakes_are_refused_before_the_model_is_touched():
    model, policy = tiny("llama"), random_namm()
    for error, settings, message in (
        (ClockError, {"update_every": 100}, "multiple of this NAMM's hop of 16 tokens, for example 96"),
        (ClockError, {"update_every": 0}, "positive"),
        (ClockError, {"update_every": None}, "positive"),
        (ClockError, {"update_every": 16.0}, "integer"),
        (ClockError, {"update_every": 16, "schedule": "sometimes"}, "streaming"),
        (ConfigError, {"update_every": 16, "selection": "square"}, "ragged, layer_max"),
        (ConfigError, {"update_every": 16, "protect_first": -1}, "0 or more"),
        (ConfigError, {"update_every": 16, "attention": "flash"}, "auto, sdpa, tiled"),
        (ConfigError, {"update_every": 16, "tile": 0}, "positive"),
    ):
        with pytest.raises(error, match=message), pruned(model, policy, **settings):
            pass
        assert model.config._attn_implementation == "sdpa"
    with (
        pytest.raises(BudgetError, match="below protect_first"),
        pruned(model, random_namm(max_tokens=8), update_every=16, protect_first=4, protect_recent=8),
    ):
        pass
    with pytest.raises(CheckpointError, match=r"expected \(sets, 4172\)"):
        Namm(torch.zeros(1, 10), policy.statistics)
    with pytest.raises(CheckpointError, match="17"):
        Namm(policy.parameters, FeatureStatistics(torch.zeros(3), torch.ones(3)))


def test_estimated_statistics_describe_the_features():
    model = tiny("llama")
    batches = [padded_batch(64, rows=2, seed=s) for s in range(3)]
    statistics = estimate_statistics(model, batches, make_features("spectrogram"), update_every=32, source="a test")
    # 2 updates, of 32 and 64 tokens (51 with the padding gone, whose first update has 32), 3 layers, 2 heads, 3 batches
    assert statistics.count == (32 + 64 + 32) * 3 * 2 * 3
    assert statistics.source == "a test"
    seen = []

    class Spy(Namm):
        def score(self, observation):
            seen.append(self.statistics.standardise(self.features.frozen(observation)).movedim(2, -1)[observation.live])
            return super().score(observation)

    zeros = Namm.untrained("zeros")
    with pruned(model, Spy(zeros.parameters, statistics), update_every=32) as memory:
        for batch in batches:
            in_chunks(model, batch, memory.cache(), 64)
    features = torch.cat(seen)
    assert features.mean(0).abs().max() < 1e-4
    assert (features.std(0) - 1).abs().max() < 1e-3


def test_statistics_of_nothing_are_refused():
    with pytest.raises(CheckpointError, match="no input was long enough for an update"):
        estimate_statistics(tiny("llama"), [padded_batch(20)], make_features("spectrogram"), update_every=32, source="")
    estimator = StatisticsEstimator(2)
    values = torch.tensor([[[[1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 6.0, 9.0]]]])
    estimator.add(values, torch.tensor([[[True, True, True, False]]]))
    assert estimator.result("").mean.tolist() == [2.0, 2.0]
    assert estimator.result("").std.tolist() == pytest.approx([(2 / 3) ** 0.5, 8**0.5])
