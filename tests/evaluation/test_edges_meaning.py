"""Settings that cannot mean what they say are refused with key, value and remedy, before a model is loaded."""

import json

import pytest
from evaluations import load, plan_of, run

from namm_xmodal.errors import ConfigError, DataError, NammError
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_sizes
from namm_xmodal.language import models
from namm_xmodal.language.at_hand import model_at_hand
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.modalities.language import preflight

KEYS, TEXT = "tasks.key_retrieval", "tasks.next_token"
REFUSED = [
    ("protect_recent=1000", "policies.h2o: protect_first + protect_recent = 4 + 1000: tasks.key_retrieval: sample 0 has"),
    ("protect_first=1000", "policies.h2o: protect_first + protect_recent = 1000 + 8"),
    ("protect_recent=100", "and budget 0.25 is 96 tokens then; protect fewer tokens"),
    (f"{KEYS}.texts=python-topic", "tasks.key_retrieval: texts: unknown text source 'python-topic': did you mean"),
    (f"{TEXT}.texts=nowhere", "tasks.next_token: texts: unknown text source 'nowhere'"),
    (f"{TEXT}.texts=anarchism", "tasks.next_token: texts anarchism: not on this machine; run `apt-get install"),
    (f"{KEYS}.length=[384,17000]", "tasks.key_retrieval: length: 17000 tokens, but the context of tiny-random is 16384"),
    (f"{KEYS}.length=[16384]", "tasks.key_retrieval: sample 0 needs 16"),
    (f"{TEXT}.length=[17000]", "tasks.next_token: length: 17000 tokens, but the context of tiny-random"),
    ("generate_tokens=1000000000", "but the context of tiny-random is 16384"),
    ("update_every=400", "has 384 tokens, shorter than update_every=400"),
    ("update_every=384", "tasks.next_token: sample 1 has 381 tokens, shorter than update_every=384"),
    ("budgets=[1000000000]", "policies.h2o: budget 1000000000: has no effect"),
    ("budgets=[384]", "policies.h2o: budget 384: has no effect"),
    ("policies.namm.budget=1000000000", "policies.namm: budget 1000000000: has no effect"),
    ("device=cuda:99", "device: 'cuda:99': "),
    ("device=gpu", "device: 'gpu': expected a torch device"),
    ("model=tiny-randon", "unknown model 'tiny-randon': did you mean tiny-random"),
    ("model=./nowhere", "model './nowhere': no such folder"),
    ("model=a/b/c", "model 'a/b/c': no such folder"),
]  # fmt: skip


def config(*changes, folder=None):
    return load("language/smoke", folder, *(f"language.{each}" for each in ("policies.snapkv=null", *changes)))


def check(config, notice=lambda text: None):
    """What the dry run does."""
    (section,) = plan_of(config)
    section.check(notice)


def test_what_is_meaningful_passes():
    for change in (
        "seed=1",
        "policies.namm={statistics: estimated, budget: null}",
        "protect_recent=70",
        "budgets=[383]",
    ):
        check(config(change))


def test_answers_that_are_generated_are_not_scored_by_likelihood_alone(tmp_path, monkeypatch):
    said = r"tasks\.words: sample 0: its answer is generated, but scoring is \['likelihood'\]; add generate"
    changes = ("tasks={words: {task: fwe, n: 1, length: [1024]}}", "scoring=[likelihood]")
    with pytest.raises(DataError, match=said):
        check(config(*changes))
    monkeypatch.setattr(preflight, "model_at_hand", lambda *_: None)  # as of a model that must be fetched first
    check(config(*changes))
    with pytest.raises(DataError, match=said):
        run(config(*changes, folder=tmp_path / "out"))


def nothing_is_loaded(*_, **__):
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_a_real_run_and_a_dry_one_refuse_the_same(change, said, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_language_model", nothing_is_loaded)
    monkeypatch.setenv("NAMM_XMODAL_CACHE", str(tmp_path / "cache"))
    for refuse in (check, run):
        with pytest.raises(NammError) as caught:
            refuse(config(change, folder=tmp_path / "out"))
        assert str(caught.value).startswith(("language/smoke: language: ", "unknown model"))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_text_is_pruned_in_its_middle_under_post_prefill():
    few = ["tasks.key_retrieval=null", "schedules=post_prefill", "budgets=[0.5]", "policies.namm=null"]
    check(config(*few, "protect_recent=80"))
    with pytest.raises(ConfigError, match=r"sample 0 has 192 tokens, 192 at its last update, and budget 0.5 is 96"):
        check(config(*few, "protect_recent=100"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("statistics: estimated", "statistics: a text to estimate from has 768"),
        ("calibrated: 0.1", "calibrated: a text"),
    ],
)
def test_texts_that_a_namm_is_fitted_on_must_reach_an_update(given, said):
    changes = ["tasks.key_retrieval=null", "tasks.next_token.length=[8000]", "tasks.next_token.n=1", "budgets=[0.5]"]
    asked = config(*changes, "update_every=2064", f"policies.namm={{init: random, budget: null, {given}}}")
    with pytest.raises(ConfigError, match=said):
        check(asked)


def test_without_the_tokenizer_lengths_are_checked_as_they_are_written(monkeypatch):
    monkeypatch.setattr(preflight, "model_at_hand", lambda *_: None)
    told = []
    check(config(), told.append)
    assert told == [
        "tiny-random is not on this machine yet; lengths are checked roughly now, and exactly after it is loaded"
    ]
    for change in ("protect_recent=100", "update_every=400", "budgets=[1000000000]", f"{TEXT}.texts=anarchism"):
        with pytest.raises(NammError, match=r"language: (tasks|policies)\."):
            check(config(change))


def test_a_model_that_is_fetched_first_is_checked_sample_by_sample(monkeypatch, tmp_path):
    monkeypatch.setattr(preflight, "model_at_hand", lambda *_: None)
    with pytest.raises(ConfigError, match=r"sample 1 has 381 tokens, shorter than update_every"):
        run(config("update_every=384", folder=tmp_path))


def test_a_budget_that_fits_some_texts_only_is_no_mistake():
    short, long = Reading("short", 100), Reading("long", 1000)
    check_sizes("row", 200, [short, long], Pruning(10, 0, 8))
    with pytest.raises(ConfigError, match="budget 1000: has no effect"):
        check_sizes("row", 1000, [short, long], Pruning(10, 0, 8))
    with pytest.raises(ConfigError, match="short has 100 tokens, 90 at its last update, and no token is left"):
        check_sizes("row", None, [short, long], Pruning(30, 50, 40))
    check_sizes("row", 1.0, [short], Pruning(30, 50, 40))


def saved(folder, rows, extra=(), special=()):
    """The tiny model with an embedding of `rows` rows, and a tokenizer with more tokens."""
    model, tokenizer = build_tiny_random()
    model.resize_token_embeddings(rows)
    tokenizer.add_tokens(list(extra))
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("load", [load_language_model, model_at_hand])
def test_a_tokenizer_that_does_not_fit_its_embedding_is_named(load, tmp_path):
    with pytest.raises(DataError, match=r"tokenizer has token ids up to 255, but its embedding only 200 rows"):
        load(saved(tmp_path / "small", 200))
    with pytest.raises(DataError, match=r"tokenizer has token ids up to 259, but its embedding only 259 rows"):
        load(saved(tmp_path / "added", 259, extra=["hello"]))
    assert load(saved(tmp_path / "unused", 259, special=["<image>"])) is not None  # stands for no text
    assert load(saved(tmp_path / "padded", 512)) is not None


def test_a_folder_that_is_no_model_is_refused_before_it_is_loaded(tmp_path):
    with pytest.raises(DataError, match="cannot be loaded"):
        model_at_hand(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(DataError, match="cannot be loaded"):
        model_at_hand(str(tmp_path))
    assert model_at_hand("nobody/such-a-model") is None
