"""What holds for every task, whatever it asks."""

import pytest
from task_names import NAMES, RULER

from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.language import METRICS, TASKS, encode, find_task


@pytest.mark.parametrize("name", NAMES)
def test_more_samples_never_change_earlier_ones(name, tokenizer):
    task = TASKS[name]()
    assert task.samples(5, seed=3, tokenizer=tokenizer)[:3] == task.samples(3, seed=3, tokenizer=tokenizer)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_other_samples(name, tokenizer):
    task = TASKS[name]()
    one, other = (task.samples(2, seed=seed, tokenizer=tokenizer) for seed in (0, 1))
    assert {sample.context for sample in one}.isdisjoint(sample.context for sample in other)


@pytest.mark.parametrize("name", sorted(set(NAMES) - RULER))  # whose lengths count the answer: test_ruler.py
@pytest.mark.parametrize("length", [384, 1024])
def test_prompts_have_the_length_asked_for(name, length, tokenizer):
    for sample in TASKS[name](length=(length,)).samples(4, seed=0, tokenizer=tokenizer):
        assert abs(encode(sample, tokenizer).prompt_length - length) <= 0.02 * length
        assert sample.tags["length"] == length


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_numbered_and_well_formed(name, tokenizer):
    for index, sample in enumerate(TASKS[name]().samples(4, seed=0, tokenizer=tokenizer)):
        assert (sample.task, sample.index) == (name, index)
        assert sample.context
        assert bool(sample.answer) == (name != "next_token")
        if sample.choices:
            assert sample.answer in sample.choices
            assert len(set(sample.choices)) == len(sample.choices)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_says_what_it_is(name):
    assert find_task(name).name == name
    assert TASKS[name].description
    assert TASKS[name].primary_metric in METRICS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("length", "hint"), [((), "at least one prompt length"), ((8,), "8: expected at least")])
def test_impossible_lengths_are_refused(name, length, hint):
    with pytest.raises(ConfigError, match=hint) as caught:
        TASKS[name](length=length)
    assert "\n" not in str(caught.value)


def test_no_samples_are_refused(tokenizer):
    with pytest.raises(ConfigError, match="n: 0: expected a number of samples"):
        TASKS["next_token"]().samples(0, seed=0, tokenizer=tokenizer)


def test_unknown_task():
    with pytest.raises(UnknownNameError, match="did you mean key_retrieval"):
        find_task("key_retreival")
