"""KVzip: scores from the definition, one budget for all heads, exact answers from forks."""

from types import SimpleNamespace

import pytest
import torch
from families import padded_batch, tiny
from transformers import DynamicCache
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from namm_xmodal import H2O, StreamingLLM, fork, pruned
from namm_xmodal.cache.oracle import masked_attention
from namm_xmodal.errors import BudgetError, ConfigError, DataError, UnsupportedOperationError
from namm_xmodal.memory import kvzip as module
from namm_xmodal.memory.kvzip import kvzip

WORDS = {False: [5, 6, 7], True: [8, 9]}
TOKENIZER = SimpleNamespace(encode=lambda text, add_special_tokens: WORDS["starting with" in text])
LENGTH = 40
TEXT = padded_batch(LENGTH, 0, 2)["input_ids"]


def attention_in_the_repetition(model, chunk, num_sinks):
    """(L, B, H, T) from transformers' own cache and a hook on its query projection, head by head."""
    found = torch.zeros(3, 2, 2, LENGTH, dtype=torch.float64)
    for start in range(0, LENGTH, chunk):
        end, queries = min(LENGTH, start + chunk), {}
        hooks = [
            layer.self_attn.q_proj.register_forward_hook(lambda m, i, out, n=n, q=queries: q.__setitem__(n, out))
            for n, layer in enumerate(model.model.layers)
        ]
        cache = DynamicCache(config=model.config)
        model(TEXT, past_key_values=cache)
        words = torch.tensor([WORDS[start > 0]]).expand(2, -1)
        said = torch.cat([words, TEXT[:, max(0, start - 8) : end]], dim=1)
        model(said, past_key_values=cache)
        for hook in hooks:
            hook.remove()
        count = said.shape[1]
        tables = model.model.rotary_emb(TEXT.double(), torch.arange(LENGTH, LENGTH + count)[None])
        sinks = list(range(min(num_sinks, start)))
        columns = [*sinks, *range(start, end), *range(LENGTH, LENGTH + count)]
        for layer in range(3):
            query = queries[layer].view(2, count, 4, 8).transpose(1, 2)
            query, _ = apply_rotary_pos_emb(query, query, *tables)
            for head in range(4):
                logits = query[:, head] @ cache.layers[layer].keys[:, head // 2].transpose(-1, -2) / 8**0.5
                later = torch.arange(LENGTH + count) > torch.arange(LENGTH, LENGTH + count)[:, None]
                shares = logits.masked_fill(later, -torch.inf)[..., columns].softmax(-1).amax(1)
                part = found[layer, :, head // 2, start:end]
                part.copy_(torch.maximum(part, shares[:, len(sinks) :][:, : end - start]))
    return found


@pytest.mark.parametrize(("chunk", "block"), [(100, 256), (100, 7), (16, 256)])
def test_kept_is_what_gets_most_attention_of_all_layers_and_heads(monkeypatch, chunk, block):
    monkeypatch.setattr(module, "_QUERIES", block)
    model, count, sinks = tiny("llama", torch.float64), 12, 3
    with torch.no_grad():
        scores = attention_in_the_repetition(model, chunk, sinks)
    scores[..., :sinks], scores[..., -1] = 2.0, 2.0  # the newest is protected
    with pruned(model, None) as memory:
        cache = kvzip(memory, TEXT, TOKENIZER, budget=count, chunk=chunk, num_sinks=sinks)
    for row in range(2):
        best = scores[:, row].flatten().topk(count * 6).indices
        expected = torch.zeros(6 * LENGTH, dtype=torch.bool).scatter(0, best, True).view(3, 2, LENGTH)
        for layer in range(3):
            for head in range(2):
                kept = cache.layers[layer].index[row, head]
                assert kept[kept >= 0].tolist() == expected[layer, head].nonzero()[:, 0].tolist()
    counts = {int(each) for layer in cache.layers for each in layer.kept.flatten()}
    assert len(counts) > 3  # heads really differ


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "mistral"])
def test_forks_answer_as_full_attention_to_what_is_kept(family):
    model = tiny(family, torch.float64)
    questions = [padded_batch(n, 0, 2, seed=n)["input_ids"] for n in (9, 5)]
    with torch.no_grad(), pruned(model, None) as memory:
        context = kvzip(memory, TEXT, TOKENIZER, budget=0.4)
        before = [layer.index.clone() for layer in context.layers]
        answers = [model(question, past_key_values=fork(context)).logits for question in questions]
        assert all(torch.equal(a, layer.index) for a, layer in zip(before, context.layers, strict=True))
    for question, answer in zip(questions, answers, strict=True):
        total = LENGTH + question.shape[1]
        visible = []
        for index in before:
            held = torch.zeros(*index.shape[:2], LENGTH + 1, dtype=torch.bool)
            held = held.scatter(-1, index.masked_fill(index < 0, LENGTH), True)[..., :-1]
            seen = torch.ones(*index.shape[:2], total, total, dtype=torch.bool)
            seen[:, :, LENGTH:, :LENGTH] = held[:, :, None]
            visible.append(seen)
        with torch.no_grad(), masked_attention(model, visible):
            expected = model(torch.cat([TEXT, question], dim=1), use_cache=False).logits[:, LENGTH:]
        torch.testing.assert_close(answer, expected)


def test_layers_with_a_window_keep_the_window():
    with pruned(tiny("gemma3"), None) as memory:
        cache = kvzip(memory, TEXT, TOKENIZER, budget=0.25)
    assert [layer.index.shape[-1] for layer in (cache.layers[0], cache.layers[2])] == [24, 24]
    assert int(cache.layers[1].kept.sum()) == 2 * 2 * 10  # the only layer without one has the whole budget


def test_protected_tokens_stay_in_every_head_whatever_the_budget():
    with pruned(tiny("llama"), None, protect_first=2, protect_recent=3) as memory:
        cache = kvzip(memory, TEXT, TOKENIZER, budget=0.05, num_sinks=1)
    for layer in cache.layers:
        assert all(layer.index[row, head].tolist() == [0, 1, 37, 38, 39] for row in range(2) for head in range(2))


def test_generating_from_a_fork_and_the_report():
    model = tiny("llama")
    with pruned(model, None) as memory:
        context = kvzip(memory, TEXT[:1], TOKENIZER, budget=0.5)
        assert memory.report().kept_fraction == pytest.approx(0.5)
        assert memory.report().policy == "KVzip"
        conversation = torch.cat([TEXT[:1], torch.tensor([[5, 6, 7]])], dim=1)
        answers = [
            memory.generate(conversation, past_key_values=fork(context), max_new_tokens=4, do_sample=False)
            for _ in range(2)
        ]
    assert torch.equal(*answers)
    assert answers[0].shape == (1, LENGTH + 7)


def test_any_policy_prunes_once_and_answers_from_forks():
    model, questions = tiny("llama", torch.float64), [torch.full((2, 3), n) for n in (11, 12)]
    with torch.no_grad(), pruned(model, StreamingLLM(budget=16), update_every=8) as memory:
        context = memory.cache()
        model(TEXT, past_key_values=context)
        forked = [model(question, past_key_values=fork(context)).logits for question in questions]
        for question, logits in zip(questions, forked, strict=True):
            alone = memory.cache()
            model(TEXT, past_key_values=alone)
            torch.testing.assert_close(model(question, past_key_values=alone).logits, logits)


def test_what_cannot_work_is_refused():
    model = tiny("llama")
    with pruned(model, H2O()) as memory, pytest.raises(UnsupportedOperationError, match="the memory prunes with H2O"):
        kvzip(memory, TEXT, TOKENIZER)
    with pruned(model, None) as memory:
        with pytest.raises(DataError, match=r"input_ids of shape \(1, 0\): expected \(rows, tokens\)"):
            kvzip(memory, TEXT[:1, :0], TOKENIZER)
        with pytest.raises(BudgetError, match="budget=4: below protect_first"):
            kvzip(memory, TEXT, TOKENIZER, budget=4)
        with pytest.raises(ConfigError, match="chunk=0: expected an integer, 1 or more"):
            kvzip(memory, TEXT, TOKENIZER, chunk=0)
