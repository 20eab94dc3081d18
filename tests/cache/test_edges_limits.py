"""What docs/engine.md says of where exactness ends, measured."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal import H2O, TOVA, KeyDiff, L2Norm, SnapKV, pruned

BASELINES = [L2Norm(budget=0.3), KeyDiff(budget=0.3), H2O(budget=0.3), TOVA(budget=0.3), SnapKV(budget=0.3, window=8)]


def kept(model, batch, policy, size):
    with pruned(model, policy, update_every=32, protect_recent=4) as memory:
        cache = memory.cache()
        in_chunks(model, batch, cache, size)
    return {(layer.layer, *place) for layer in cache.layers for place in _tokens(layer)}


def _tokens(layer):
    return [(head, token) for head in range(2) for token in layer.index[0, head].tolist() if token >= 0]


@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float64, 0.0), (torch.float32, 0.0), (torch.bfloat16, 0.02)], ids=str
)
@pytest.mark.parametrize("policy", BASELINES, ids=lambda policy: type(policy).__name__)
def test_chunks_keep_the_same_tokens_but_for_rounding_in_half_precision(policy, dtype, most):
    model, batch = tiny("llama", dtype), padded_batch(200, rows=1)
    whole = kept(model, batch, policy, 200)
    for size in (33, 7):
        assert len(whole - kept(model, batch, policy, size)) <= most * len(whole)


@pytest.mark.parametrize(("family", "most"), [("llama", 0.0), ("gpt2", 0.0), ("mistral", 2e-6), ("gemma3", 2e-6)])
def test_a_full_cache_scores_as_generate_does_and_sums_windows_in_another_order(family, most):
    model, ids = tiny(family), padded_batch(60, rows=1)["input_ids"]
    options = dict(max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0, output_scores=True)
    stock = model.generate(ids, return_dict_in_generate=True, **options)
    with pruned(model, None, update_every=16):
        found = model.generate(ids, return_dict_in_generate=True, **options)
    expected, scores = torch.stack(stock.scores), torch.stack(found.scores)
    assert (scores - expected).abs().max() <= most * expected.abs().max()
    assert torch.equal(found.sequences, stock.sequences)


@pytest.mark.parametrize(("family", "alone"), [("llama", True), ("mistral", False)])
def test_padding_in_the_middle_is_what_transformers_makes_of_it(family, alone):
    model, ids = tiny(family, torch.float64), padded_batch(60, rows=1)["input_ids"]
    mask = torch.ones(1, 70, dtype=torch.long)
    mask[:, 25:35] = 0
    wide = torch.cat([ids[:, :25], torch.zeros(1, 10, dtype=torch.long), ids[:, 25:]], 1)
    inputs = {"input_ids": wide, "attention_mask": mask, "position_ids": mask.cumsum(-1) - 1}
    real = mask[0].bool()
    expected = model(**inputs).logits[0, real]
    assert bool((expected - model(ids).logits[0]).abs().max() < 1e-12) is alone
    with pruned(model, None, update_every=16):
        assert torch.equal(model(**inputs).logits[0, real], expected)
