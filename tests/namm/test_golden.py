"""Golden vectors recorded from the published implementation: features, scores, kept sets and logits."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from namm_xmodal import Namm, pruned
from namm_xmodal.policies.namm import FeatureStatistics
from namm_xmodal.policies.namm.age import age_embedding

DATA = Path(__file__).parents[1] / "data"
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
)


class Golden:
    """One file: a tiny Llama, a NAMM, and what the published code computed with them."""

    def __init__(self, name: str) -> None:
        with safe_open(DATA / f"{name}.safetensors", "pt") as file:
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}
            self.meta = file.metadata()
        self.update_every = int(self.meta["update_every"])
        sizes = {key: int(self.meta[key]) for key in SIZES if key in self.meta}
        config = LlamaConfig(**sizes, rope_theta=float(self.meta["rope_theta"]), max_position_embeddings=4096)
        self.model = LlamaForCausalLM(config).eval()
        weights = {key[3:]: value for key, value in self.tensors.items() if key.startswith("lm.")}
        self.model.load_state_dict(weights, strict=True)
        mean, variance = (self.tensors[f"norm.token_embedding_0_output_{x}"].view(17) for x in ("mean", "var"))
        self.policy = Namm(self.tensors["namm.flat_params"][None], FeatureStatistics(mean, variance.sqrt()))

    def recorded(self, update: int, layer: int, what: str) -> torch.Tensor:
        return self.tensors[f"update{update}.layer{layer}.{what}"]


class Watching(Namm):
    """Writes down what the policy sees and decides at each update."""

    def score(self, observation):
        standardised = self.statistics.standardise(self.features.frozen(observation))
        age = age_embedding(observation.positions, observation.seen)
        scores = super().score(observation)
        self.metadata.setdefault(observation.shape.layer, []).append(
            {
                "features": torch.cat([age, standardised], 2).transpose(-1, -2),
                "positions": observation.positions,
                "scores": scores,
                "live": observation.live,
            }
        )
        return scores


def watched(golden: Golden, chunk: int, **settings) -> tuple[torch.Tensor, dict, list[torch.Tensor]]:
    p = golden.policy
    policy = Watching(p.parameters, p.statistics, p.features, p.scorer)
    ids = golden.tensors["input_ids"]
    with pruned(golden.model, policy, update_every=golden.update_every, **settings) as memory:
        cache = memory.cache()
        logits = [
            golden.model(ids[:, i : i + chunk], past_key_values=cache).logits for i in range(0, ids.shape[1], chunk)
        ]
    return torch.cat(logits, 1), policy.metadata, [layer.index for layer in cache.layers]


@pytest.mark.parametrize("attention", ["sdpa", "tiled"])
@pytest.mark.parametrize("chunk", [1000, 64, 33, 7])
def test_golden_one_kv_head_end_to_end(chunk, attention):
    golden = Golden("mqa")
    logits, seen, index = watched(golden, chunk, attention=attention, tile=48)
    assert (logits - golden.tensors["logits"]).abs().max() < 1e-4
    for layer in range(golden.model.config.num_hidden_layers):
        for update, now in enumerate(seen[layer]):
            assert torch.equal(now["positions"], golden.recorded(update, layer, "positions"))
            assert (now["features"] - golden.recorded(update, layer, "features")).abs().max() < 1e-4
            assert (now["scores"] - golden.recorded(update, layer, "scores")).abs().max() < 1e-4
            kept = now["positions"].gather(-1, golden.recorded(update, layer, "retained"))
            following = seen[layer][update + 1]["positions"] if update + 1 < len(seen[layer]) else index[layer]
            assert torch.equal(following[..., : kept.shape[-1]], kept), f"update {update}, layer {layer}"
    assert len(seen[0]) == int(golden.meta["updates"])


@pytest.mark.parametrize("chunk", [1000, 16, 5])
def test_golden_two_kv_heads_first_update(chunk):
    golden = Golden("gqa_first_update")
    _, seen, index = watched(golden, chunk, selection="layer_max")
    for layer in range(golden.model.config.num_hidden_layers):
        (now,) = seen[layer]
        assert (now["features"] - golden.recorded(0, layer, "features")).abs().max() < 1e-4
        assert (now["scores"] - golden.recorded(0, layer, "scores")).abs().max() < 1e-4
        retained = golden.recorded(0, layer, "retained")
        assert torch.equal(index[layer][..., : retained.shape[-1]], now["positions"].gather(-1, retained))


def test_golden_ragged_keeps_exactly_the_tokens_that_score_zero_or_more():
    golden = Golden("gqa_first_update")
    _, seen, index = watched(golden, 1000, selection="ragged")
    for layer in range(golden.model.config.num_hidden_layers):
        (now,) = seen[layer]
        for head in range(now["scores"].shape[1]):
            good = (now["scores"][0, head] >= 0).nonzero()[:, 0].tolist()
            newest = now["scores"].shape[-1] - 1
            kept = [i for i in index[layer][0, head].tolist() if i >= 0]
            assert kept == sorted({*good, newest})
