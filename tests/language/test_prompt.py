"""Encoding: what a model sees, and that a later part never changes an earlier one."""

import pytest
from task_names import NAMES

from namm_xmodal.errors import DataError
from namm_xmodal.language import TASKS, Sample, encode
from namm_xmodal.language.fitting import cut_to_last_tokens, cut_to_tokens, fit_prompt
from namm_xmodal.language.prompt import prefix_ids


@pytest.mark.parametrize("name", NAMES)
def test_parts_join_to_the_tokens_of_the_whole(name, tokenizer):
    for sample in TASKS[name]().samples(3, seed=1, tokenizer=tokenizer):
        encoded = encode(sample, tokenizer)
        whole = tokenizer(sample.context + sample.question + sample.answer).input_ids
        assert [*encoded.context_ids, *encoded.question_ids, *encoded.answer_ids] == whole
        assert encoded.prompt_length == len(encoded.context_ids) + len(encoded.question_ids)


def test_the_answer_is_encoded_like_its_choice(tokenizer):
    for sample in TASKS["classification"]().samples(3, seed=1, tokenizer=tokenizer):
        encoded = encode(sample, tokenizer)
        assert len(encoded.choice_ids) == len(sample.choices)
        assert encoded.choice_ids[sample.choices.index(sample.answer)] == encoded.answer_ids


def test_a_token_across_the_border_is_split(tokenizer):
    sample = Sample("t", 0, "some def", "inition of", "")
    encoded = encode(sample, tokenizer)
    assert list(encoded.context_ids) == tokenizer("some def").input_ids
    assert tokenizer.decode([*encoded.context_ids, *encoded.question_ids]) == "some definition of"


def test_only_the_first_special_tokens_are_kept(bos_tokenizer, tokenizer):
    assert prefix_ids(bos_tokenizer) == (bos_tokenizer.bos_token_id,)
    assert prefix_ids(tokenizer) == ()
    encoded = encode(Sample("t", 0, "one two", " three", " four"), bos_tokenizer)
    assert encoded.prefix_length == 1
    assert encoded.context_ids[0] == bos_tokenizer.bos_token_id
    assert bos_tokenizer.eos_token_id not in encoded.context_ids + encoded.question_ids + encoded.answer_ids


@pytest.mark.parametrize("tokens", [1, 7, 40])
def test_cuts_keep_whole_words_and_the_number_of_tokens(tokens, tokenizer):
    text = "The first word of a sentence is followed by others. " * 20
    start, end = cut_to_tokens(text, tokens, tokenizer), cut_to_last_tokens(text, tokens, tokenizer)
    assert text.startswith(start)
    assert text.endswith(end)
    assert len(tokenizer(end).input_ids) <= tokens + 1
    if tokens > 5:
        assert len(tokenizer(start).input_ids) <= tokens
        assert text[len(start)] == " "


def test_a_text_that_is_too_short_is_told(tokenizer):
    assert cut_to_tokens("short", 50, tokenizer) is None
    assert cut_to_last_tokens("short", 50, tokenizer) == "short"


def test_a_tokenizer_without_offsets_is_refused():
    with pytest.raises(DataError, match="expected a fast transformers tokenizer"):
        cut_to_tokens("text", 1, object())


def test_a_length_that_no_prompt_has_is_told_with_its_value(tokenizer, tmp_path):
    (tmp_path / "short.txt").write_text("A short text. " * 20)
    with pytest.raises(DataError, match=r"^length: 384: the texts of .*short\.txt have fewer than \d+ tokens; use"):
        TASKS["next_token"](length=(384,), texts=str(tmp_path / "short.txt")).samples(1, seed=0, tokenizer=tokenizer)

    def build(filler):
        return Sample("t", 3, "word " * 400, "", "")

    with pytest.raises(
        DataError, match=r"^length: 128: sample 3: its nearest prompt has \d+ tokens, .* or fewer keys$"
    ):
        fit_prompt(build, 128, tokenizer, ", or fewer keys")
