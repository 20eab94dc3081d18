"""How far back heads look, by their mean queries and keys; and what a budget makes of it."""

import pytest
import torch
from families import tiny
from transformers import OPTConfig, OPTForCausalLM

from namm_xmodal.errors import DataError
from namm_xmodal.traces.retrieval_heads import SINKS, MeanRecorder, _looks_back, retrieval_scores, shares_of
from namm_xmodal.unlabelled.source import UnlabelledInput


def texts_of(model, lengths):
    generator = torch.Generator().manual_seed(0)
    for number, length in enumerate(lengths):
        ids = torch.randint(3, 97, (1, length), generator=generator)
        yield UnlabelledInput(str(number), model, {"input_ids": ids}, cached=length)


def test_means_are_those_of_the_projections_before_rotation():
    model, texts = tiny("llama"), list(texts_of(tiny("llama"), (40, 64)))
    recorder, taken = MeanRecorder(), {}
    layer = model.model.layers[1].self_attn
    hooks = [
        getattr(layer, f"{name}_proj").register_forward_hook(
            lambda module, inputs, output, name=name: taken.setdefault(name, []).append(output[0, SINKS:].mean(0))
        )
        for name in ("q", "k")
    ]
    for text in texts:
        recorder.read(UnlabelledInput(text.name, model, text.inputs, text.cached))
    for hook in hooks:
        hook.remove()
    for name, means in (("q", recorder.queries), ("k", recorder.keys)):
        expected = torch.stack(taken[name]).mean(0).unflatten(0, means[1].shape)
        torch.testing.assert_close(means[1], expected, atol=1e-5, rtol=1e-4)


def test_the_score_is_the_area_under_the_cumulated_attention():
    model = tiny("qwen3")
    scores = retrieval_scores(texts_of(model, (48,)), lambda done: None, reach=30)
    assert scores.shape == (model.config.num_hidden_layers, model.config.num_key_value_heads)
    assert ((scores > 0) & (scores < 1)).all()
    recorder = MeanRecorder()
    recorder.read(next(texts_of(model, (48,))))
    # The same, written out for one head: rotate every copy, one softmax, areas by hand.
    layer, head = 0, 1
    query, key = recorder.queries[layer], recorder.keys[layer][head]
    groups = query.shape[0] // recorder.keys[layer].shape[0]
    cosines, sines = model.model.rotary_emb(torch.zeros(1, 30, 8), torch.arange(30)[None])

    def turned(vector, place):
        half = len(vector) // 2
        quarter = torch.cat([-vector[half:], vector[:half]])
        return vector * cosines[0, place] + quarter * sines[0, place]

    areas = []
    for each in query[head * groups : (head + 1) * groups]:
        logits = torch.stack([turned(each, 29) @ turned(key, place) for place in range(30)]) * 8**-0.5
        areas.append(logits.softmax(0).cumsum(0).mean())
    assert float(scores[layer, head]) == pytest.approx(float(torch.stack(areas).mean()), abs=1e-5)


def test_heads_that_look_at_themselves_have_no_area():
    recorder = MeanRecorder()
    model = tiny("llama")
    recorder.read(next(texts_of(model, (40,))))
    heads, size = model.config.num_key_value_heads, recorder.keys[0].shape[-1]
    recorder.keys = {0: torch.zeros(heads, size)}
    recorder.keys[0][0, 0] = recorder.keys[0][0, size // 2] = 30.0  # the fastest pair of dimensions
    recorder.queries = {0: torch.zeros(model.config.num_attention_heads, size)}
    recorder.queries[0][:, 0] = recorder.queries[0][:, size // 2] = 30.0
    areas = _looks_back(recorder, 0, 6)
    assert areas[0] < 0.2
    assert areas[1] == pytest.approx((6 + 1) / 12)  # even attention


def test_models_without_rotation_are_refused():
    model = OPTForCausalLM(
        OPTConfig(
            vocab_size=97,
            hidden_size=32,
            ffn_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            word_embed_proj_dim=32,
        )
    ).eval()
    with pytest.raises(DataError, match="no rotary embedding"):
        retrieval_scores(texts_of(model, (40,)), lambda done: None)


@pytest.mark.parametrize(
    ("budget", "sizes"),
    [(0.25, [0.85, 0.05, 0.05, 0.05]), (0.5, [1, 0.05, 0.05, 0.9]), (0.06, [0.09, 0.05, 0.05, 0.05])],
)
def test_the_budget_says_how_many_heads_keep_everything(budget, sizes):
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.6]], dtype=torch.float64)
    shares = shares_of(scores, budget, 0.05, "")
    found = torch.tensor(shares.weights, dtype=torch.float64) * budget
    torch.testing.assert_close(found.flatten(), torch.tensor(sizes, dtype=torch.float64), atol=1e-4, rtol=0)
