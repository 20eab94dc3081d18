"""Batches, shared contexts, prompts that are too long, endings of texts, chat templates."""

import logging

import pytest
import torch
from lm_eval.api.instance import Instance

from namm_xmodal import pruned
from namm_xmodal.config import build_policy
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.harness.pruned_lm import PrunedLM
from namm_xmodal.harness.requests import batches, read_ending
from namm_xmodal.language.models import load_language_model
from namm_xmodal.modalities.language.continuation import continuations, log_likelihoods, read_prompt, read_prompts

POLICIES = ["streaming_llm", "h2o", "random", "keydiff", {"policy": "namm", "init": "random", "budget": 0.5}]
CONTEXTS = ["A" * 70 + " first", "B" * 70 + " other", "of another length " * 6, "short"]
CHOICES = [" red", " a longer answer", " b"]


def lm_of(policy, **settings):
    given = {"policy": policy} if isinstance(policy, str) else policy
    if policy not in ("full",) and "budget" not in given:
        given = given | {"budget": 0.5}
    usual = {"pretrained": "tiny-random", "dtype": "float32", "update_every": 32, "protect_recent": 4}
    return PrunedLM(**usual | given | settings)


def asked(kind, *pairs):
    return [Instance(request_type=kind, doc={}, arguments=pair, idx=at) for at, pair in enumerate(pairs)]


PAIRS = [(context, choice) for choice in CHOICES for context in CONTEXTS]


@pytest.mark.parametrize("schedule", ["streaming", "post_prefill"])
@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_batches_change_nothing(policy, schedule):
    alone, together = (lm_of(policy, schedule=schedule, batch_size=size) for size in (1, 5))
    found = [lm.loglikelihood(asked("loglikelihood", *PAIRS), disable_tqdm=True) for lm in (alone, together)]
    for (a, greedy), (b, same) in zip(*found, strict=True):
        assert b == pytest.approx(a, abs=1e-5) and greedy == same
    assert alone.tally == together.tally  # a context is read once, whatever is asked of it
    assert alone.tally.prompts == 4 and alone.tally.untouched == 1  # the short one
    texts = [(context, {"until": ["e"], "max_gen_toks": 12}) for context in CONTEXTS]
    said = [lm.generate_until(asked("generate_until", *texts), disable_tqdm=True) for lm in (alone, together)]
    assert said[0] == said[1]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_a_batch_keeps_the_tokens_of_each_prompt_alone(policy):
    language = load_language_model("tiny-random", dtype="float32")
    rows = torch.randint(3, 250, (3, 100), generator=torch.Generator().manual_seed(0)).tolist()
    answers = [(2, [5, 6, 7, 8]), (0, [9]), (2, [10, 11])]
    with pruned(language.model, build_policy(policy), update_every=32, protect_recent=4) as memory:
        prompt = read_prompts(memory, rows)
        scored = continuations(memory, prompt, answers)
        for row, ids in enumerate(rows):
            alone = read_prompt(memory, ids)
            for layer, own in zip(prompt.cache.pruned, alone.cache.pruned, strict=True):
                for index, single in zip(layer.index[row], own.index[0], strict=True):
                    assert set(index[index >= 0].tolist()) == set(single[single >= 0].tolist())
            for (place, answer), each in zip(answers, scored, strict=True):
                if place == row:
                    assert each.log_probabilities == pytest.approx(log_likelihoods(memory, alone, answer), abs=1e-5)


def test_prompts_of_one_length_go_together():
    prompts = {(1,): "a", (2, 3): "b", (4, 5): "c", (0, 1): "d", (9,): "e"}
    assert list(batches(prompts, 2)) == [
        ([(0, 1), (2, 3)], ["d", "b"]),
        ([(4, 5)], ["c"]),
        ([(1,), (9,)], ["a", "e"]),
    ]


def test_prompts_that_are_too_long_lose_their_beginning(caplog):
    lm = lm_of("keydiff", max_length=50)
    cut = lm_of("keydiff")
    with caplog.at_level(logging.WARNING):
        ((found, _),) = lm.loglikelihood(asked("loglikelihood", (CONTEXTS[0], " red")), disable_tqdm=True)
    # 76 bytes of context and 4 of the answer, whose last one is never fed: 47 + 3 = 50
    ((expected, _),) = cut.loglikelihood(asked("loglikelihood", (CONTEXTS[0][-47:], " red")), disable_tqdm=True)
    assert found == expected
    assert "1 requests were longer than max_length=50 and lost their beginning, 29 tokens at most" in caplog.text
    (text,) = lm.generate_until(asked("generate_until", (CONTEXTS[0], {"max_gen_toks": 10})), disable_tqdm=True)
    (same,) = cut.generate_until(asked("generate_until", (CONTEXTS[0][-40:], {"max_gen_toks": 10})), disable_tqdm=True)
    assert text == same
    with pytest.raises(DataError, match="max_length leaves -10 tokens for a prompt"):
        lm.generate_until(asked("generate_until", ("A", {"max_gen_toks": 60})), disable_tqdm=True)


def test_what_is_not_pruned_is_said(caplog):
    lm = lm_of("keydiff", update_every=256)
    with caplog.at_level(logging.WARNING):
        lm.loglikelihood(asked("loglikelihood", *PAIRS[:4]), disable_tqdm=True)
    assert (
        "nothing was evicted from 4 of 4 prompts, most likely since they are shorter than update_every=256"
        in caplog.text
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        lm_of("full").loglikelihood(asked("loglikelihood", *PAIRS[:4]), disable_tqdm=True)
    assert not caplog.text


def test_whole_texts_are_scored_in_windows():
    text = "Every token of this text is scored once, whatever the window."
    lm = lm_of("full", max_length=25)
    (found,) = lm.loglikelihood_rolling(asked("loglikelihood_rolling", (text,)), disable_tqdm=True)
    ids = lm.tokenizer(text, add_special_tokens=False)["input_ids"]

    def total(before, predicted):
        logits = lm.language.model(torch.tensor([[*before, *predicted[:-1]]])).logits[0, -len(predicted) :]
        return logits.log_softmax(-1).gather(1, torch.tensor(predicted)[:, None]).sum().item()

    begin = lm.tokenizer.bos_token_id
    windows = [([begin], ids[:25]), (ids[24:25], ids[25:50]), (ids[len(ids) - 26 : 50], ids[50:])]
    assert found == pytest.approx(sum(total(*window) for window in windows), abs=1e-3)
    pruned_total = lm_of("streaming_llm").loglikelihood_rolling(
        asked("loglikelihood_rolling", (text,)), disable_tqdm=True
    )
    assert pruned_total[0] != pytest.approx(found, abs=1e-3)
    with pytest.raises(ConfigError, match="schedule: post_prefill: of whole texts"):
        lm_of("h2o", schedule="post_prefill").loglikelihood_rolling(asked("loglikelihood_rolling", (text,)))


def test_endings():
    ending = read_ending({"until": ["END", ""], "max_new_tokens": 7, "do_sample": False, "top_p": 0.9}, "mine")
    assert ending.until == ("END",) and ending.limit == 7
    assert ending.cut("one END two") == "one " and ending.stopped("xEND") and not ending.stopped("EN")
    assert read_ending({"until": "\n"}, "mine").limit == 256
    for given, said in (
        ({"do_sample": True}, "generation_kwargs of mine: sampling; texts are greedy here"),
        ({"temperature": 0.7}, "sampling"),
        ({"num_beams": 4}, "num_beams=4: texts are greedy here, expected 1"),
        ({"untill": "x"}, "unknown key untill; did you mean until"),
        ({"max_gen_toks": 0}, "0 tokens: expected 1 or more"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_ending(given, "mine")


def test_a_stop_text_ends_a_text():
    lm = lm_of("keydiff")
    (whole,) = lm.generate_until(asked("generate_until", (CONTEXTS[0], {"max_gen_toks": 24})), disable_tqdm=True)
    stop = whole[8:10]
    (found,) = lm.generate_until(
        asked("generate_until", (CONTEXTS[0], {"max_gen_toks": 24, "until": [stop]})), disable_tqdm=True
    )
    assert found == whole[: whole.index(stop)]


def test_chat_templates():
    lm = lm_of("full")
    said = [{"role": "user", "content": "Which key?"}]
    with pytest.raises(DataError, match="its tokenizer has no chat template; leave out --apply_chat_template"):
        lm.chat_template(True)
    lm.tokenizer.chat_template = (
        "{{ bos_token }}{% for each in messages %}"
        "{% if each.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ each.role }}]{{ each.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    assert lm.chat_template(True) == lm.tokenizer.chat_template
    text = lm.apply_chat_template(said)
    assert text == "<s>[user]Which key?[assistant]"
    assert lm.apply_chat_template(
        [*said, {"role": "assistant", "content": "The"}], add_generation_prompt=False
    ).endswith("[assistant]The")
    lm._prefix = [lm.tokenizer.bos_token_id]  # as of a tokenizer that begins every text
    assert lm.tok_encode(text).count(lm.tokenizer.bos_token_id) == 1
    assert lm.tok_encode("a") == [lm.tokenizer.bos_token_id, *lm.tok_encode("a", add_special_tokens=False)]
    with pytest.raises(DataError, match="its chat template refuses messages of system, user: no system"):
        lm.apply_chat_template([{"role": "system", "content": "x"}, *said])
    assert lm_of("full").tokenizer_name == "tiny-random"
