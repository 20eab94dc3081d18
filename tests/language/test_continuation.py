"""Likelihoods and greedy text from one pruned cache equal what one computes the slow way."""

import pytest
import torch

from namm_xmodal import pruned
from namm_xmodal.cache.fork import fork
from namm_xmodal.config import build_policy
from namm_xmodal.language.metrics import first_line
from namm_xmodal.language.models import load_language_model
from namm_xmodal.modalities.language import text_loss
from namm_xmodal.modalities.language.continuation import greedy_text, log_likelihoods, read_prompt
from namm_xmodal.modalities.language.text_loss import text_log_probabilities

SETTINGS = {"update_every": 32, "protect_first": 2, "protect_recent": 4}
POLICIES = ["streaming_llm", "h2o", "snapkv", {"policy": "namm", "init": "random"}]


@pytest.fixture(scope="module")
def language():
    return load_language_model("tiny-random", dtype="float32")


@pytest.fixture(scope="module")
def ids():
    return torch.randint(3, 250, (150,), generator=torch.Generator().manual_seed(0)).tolist()


@torch.no_grad()
def slow_log_probabilities(model, ids):
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    return logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()


def test_full_cache_gives_the_models_own_likelihoods(language, ids):
    expected = slow_log_probabilities(language.model, ids)
    with pruned(language.model, None, **SETTINGS) as memory:
        prompt = read_prompt(memory, ids[:140])
        assert log_likelihoods(memory, prompt, ids[140:]) == pytest.approx(expected[139:], abs=1e-5)
        assert log_likelihoods(memory, prompt, ids[140:141]) == pytest.approx(expected[139:140], abs=1e-5)
        scored, report = text_log_probabilities(memory, tuple(ids), 0)
        assert scored == pytest.approx(expected, abs=1e-5)
        assert report.kept_fraction == 1.0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("schedule", ["streaming", "post_prefill"])
def test_a_prompt_can_be_continued_any_number_of_times(language, ids, policy, schedule):
    with pruned(language.model, build_policy(policy), schedule=schedule, **SETTINGS) as memory:
        prompt = read_prompt(memory, ids[:140])
        first = log_likelihoods(memory, prompt, ids[140:])
        greedy_text(memory, prompt, language.tokenizer, 20)
        assert log_likelihoods(memory, prompt, ids[140:]) == first
        assert prompt.cache.get_seq_length() == 140


def test_text_of_several_lines_ends_with_its_tokens(language, ids):
    with pruned(language.model, None, **SETTINGS) as memory:
        prompt = read_prompt(memory, ids)
        tokens = memory.generate(torch.tensor([ids]), max_new_tokens=60, do_sample=False, eos_token_id=[])[
            0, len(ids) :
        ]
        whole = greedy_text(memory, prompt, language.tokenizer, 60, line=False)
        line = greedy_text(memory, prompt, language.tokenizer, 60)
    end = next((at for at, token in enumerate(tokens) if token == language.tokenizer.eos_token_id), len(tokens))
    assert whole == language.tokenizer.decode(tokens[:end], skip_special_tokens=True)
    assert line == first_line(whole)


@pytest.mark.parametrize("policy", POLICIES)
def test_greedy_text_is_what_generate_says(language, ids, policy):
    with pruned(language.model, build_policy(policy), **SETTINGS) as memory:
        text = greedy_text(memory, read_prompt(memory, ids), language.tokenizer, 40)
        tokens = torch.tensor([ids])
        output = memory.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=40, do_sample=False
        )
    whole = language.tokenizer.decode(output[0, len(ids) :].tolist(), skip_special_tokens=True)
    assert text == next((line.strip() for line in whole.splitlines() if line.strip()), "")


def test_post_prefill_prunes_once_and_not_while_answering(language, ids):
    policy = build_policy({"policy": "streaming_llm", "budget": 0.5})
    with pruned(language.model, policy, schedule="post_prefill", **SETTINGS) as memory:
        prompt = read_prompt(memory, ids[:140])
        assert prompt.report.kept_fraction == 0.5
        greedy_text(memory, prompt, language.tokenizer, 10)
        grown = memory.report()
        assert {count - grown.seen[0] for layer in grown.layers for row in layer.kept for count in row} == {-70}


@pytest.mark.parametrize("chunk", [7, 32, 512])
def test_text_loss_does_not_depend_on_the_chunk(language, ids, chunk, monkeypatch):
    def loss():
        with pruned(language.model, build_policy("h2o"), **SETTINGS) as memory:
            return text_log_probabilities(memory, tuple(ids), 0)[0]

    expected = loss()
    monkeypatch.setattr(text_loss, "CHUNK", chunk)
    assert loss() == pytest.approx(expected, abs=1e-5)


def test_post_prefill_scores_the_second_half(language, ids):
    policy = build_policy({"policy": "streaming_llm", "budget": 0.25})
    with pruned(language.model, policy, schedule="post_prefill", **SETTINGS) as memory:
        scored, report = text_log_probabilities(memory, tuple(ids), 0)
    assert len(scored) == 75
    assert report.seen == (75,)
    assert report.kept_fraction == pytest.approx(19 / 75)
    # The first scored token was predicted before anything was evicted.
    assert scored[0] == pytest.approx(slow_log_probabilities(language.model, ids)[74], abs=1e-5)


def test_forks_share_weights_and_nothing_else(language, ids):
    policy = build_policy({"policy": "namm", "init": "random"})
    with pruned(language.model, policy, **SETTINGS) as memory:
        cache = read_prompt(memory, ids).cache
        copy = fork(cache)
    assert copy.layers[0].settings is cache.layers[0].settings
    copy.layers[0].keys.zero_()
    assert cache.layers[0].keys.abs().sum() > 0
