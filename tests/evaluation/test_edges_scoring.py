"""Scores of generated text are those of greedy decoding on a cache, whatever the checkpoint's own settings say."""

import json
from dataclasses import replace

import pytest
from evaluations import load, plan_of, run

from namm_xmodal.evaluation.greedy import end_of_text
from namm_xmodal.language.metrics import METRICS, Metric
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.sample import Generation, Sample
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.modalities.language.metrics import generated_scores

FEW = ["tasks.key_retrieval.n=1", "tasks.next_token=null", "policies={snapkv: null, namm: null}", "budgets=[0.5]"]


def checkpoint(folder, config=None, generation=None):
    """The tiny model in a folder, with other settings in its two JSON files."""
    model, tokenizer = build_tiny_random()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name, changes in (("config.json", config), ("generation_config.json", generation)):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **(changes or {})}))
    return folder


def records(model, output, *changes):
    return run(load("language/smoke", output, *(f"language.{each}" for each in (f"model={model}", *FEW, *changes))))


def numbers(found):
    return [(each.policy, each.text, each.scores, each.kept.fraction) for each in found]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    return numbers(records(checkpoint(folder / "model"), folder / "out"))


@pytest.mark.parametrize(
    ("config", "generation"),
    [
        ({"use_cache": False}, {"use_cache": False}),
        ({}, {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2}),
        ({}, {"cache_implementation": "static"}),
        ({}, {"do_sample": True, "temperature": 0.1, "num_beams": 3, "min_new_tokens": 5, "max_length": 3}),
        ({}, {"prompt_lookup_num_tokens": 3}),
        ({}, {"suppress_tokens": [110, 111], "bad_words_ids": [[120]], "forced_eos_token_id": 3}),
        ({"return_dict": False}, {}),
    ],
    ids=str,
)
def test_a_checkpoints_settings_change_no_answer(plain, tmp_path, config, generation):
    assert any(len(text) > 2 for _, text, _, _ in plain)
    assert numbers(records(checkpoint(tmp_path / "model", config, generation), tmp_path / "out")) == plain


def test_every_end_of_text_ends_an_answer_and_is_listed(plain, tmp_path):
    _, tokenizer = build_tiny_random()
    first = tokenizer(plain[0][1]).input_ids[0]
    folder = checkpoint(tmp_path / "model", {}, {"eos_token_id": [5, first]})
    (full, *others) = records(folder, tmp_path / "out")
    assert full.text == ""  # the first token that is generated ends the text
    assert full.model["end_of_text"] == sorted({5, first, tokenizer.eos_token_id})
    assert {tuple(each.model["end_of_text"]) for each in others} == {tuple(full.model["end_of_text"])}
    alone = records(folder, tmp_path / "likelihood", "scoring=[likelihood]")
    assert "end_of_text" not in alone[0].model


@pytest.mark.parametrize(("given", "expected"), [(None, [257]), (7, [7, 257]), ([9, 7], [7, 9, 257])])
def test_one_id_or_a_list_ends_a_text(given, expected):
    language = load_language_model("tiny-random")
    language.model.generation_config.eos_token_id = given
    assert end_of_text(language.model, language.tokenizer) == expected


def test_any_reference_of_a_sample_will_do():
    sample = Sample("any", 0, "text", "question", "cpp", also_right=("C++",))
    assert generated_scores("C++", sample)["exact_match"] == 1.0
    assert generated_scores("C", sample)["exact_match"] == 0.0


def test_a_sample_may_say_how_it_is_generated_and_scored(monkeypatch):
    def label_score(text, answers, classes):
        return float(text in answers) / len(classes)

    mine = Metric("label", 0, 1, True, "a label", of_classes=label_score, named=True)
    monkeypatch.setattr("namm_xmodal.modalities.language.metrics.METRICS", {**METRICS, "label": mine})
    sample = Sample("any", 0, "text", "question", "red")
    assert "label" not in generated_scores("red", sample)
    own = replace(sample, generation=Generation(8, ("label",), classes=("red", "blue")))
    assert generated_scores("red", own) == {"label": 0.5}
    assert generated_scores("blue", own) == {"label": 0.0}


def test_older_generated_text_is_not_mixed_with_newer(monkeypatch):
    def digests():
        text = [load("language/smoke", None, f"language.scoring=[{each}]") for each in ("generate", "likelihood")]
        video = [load("video/smoke", None, f"video.generate={each}") for each in ("true", "false")]
        return [plan_of(each)[0].digest for each in (*text, *video)]

    before = digests()
    for modality in ("language", "video"):
        monkeypatch.setattr(f"namm_xmodal.modalities.{modality}.modality.GENERATED_TEXT", 1)
    assert [old == new for old, new in zip(before, digests(), strict=True)] == [False, True, False, True]
