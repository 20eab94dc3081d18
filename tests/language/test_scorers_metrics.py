"""What holds for every metric of a benchmark: its range, the right answer, several references, what it needs."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from evaluations import load, plan_of
from hypothesis import given, settings
from hypothesis import strategies as st

from namm_xmodal.errors import NammError
from namm_xmodal.language.metrics import METRICS
from namm_xmodal.language.sample import Generation, Sample
from namm_xmodal.modalities.language import preflight
from namm_xmodal.modalities.language.metrics import generated_scores

# For each metric two references of the kind that it takes, and what says the first of them.
ANSWERS = {
    "f1": ("red fox", "blue whale", "the red fox"),
    "f1_zh": ("\u5317\u4eac", "\u4e0a\u6d77", "\u5317\u4eac\u3002"),
    "f1_ja": ("\u6771\u4eac", "\u5927\u962a", "\u6771\u4eac\u3002"),
    "f1_characters": ("\u6771\u4eac", "\u5927\u962a", "\u6771 \u4eac"),
    "rouge_l": ("red fox", "blue whale", "red fox."),
    "rouge_l_zh": ("\u5317\u4eac", "\u4e0a\u6d77", "\u5317\u4eac"),
    "rouge_l_ja": ("\u6771\u4eac", "\u5927\u962a", "\u6771\u4eac"),
    "rouge_lsum": ("red fox", "blue whale", "Red, fox"),
    "classification": ("red", "blue", "it is red"),
    "retrieval": ("Paragraph 3", "Paragraph 4", "3"),
    "retrieval_zh": ("\u6bb5\u843d3", "\u6bb5\u843d4", "3"),
    "count": ("3", "4", "There are 3"),
    "code_similarity": ("x = 1", "y()", "# so\nx = 1"),
    "first_integer": ("123", "45", "key 123"),
    "contained_word": ("a-b", "c-d", "it is a-b."),
    "code_debug": ("load", "B", "answer is: load"),
    "code_run": ("7", "8", "it is 7"),
    "choice_letter": ("the boat", "C", "the boat"),
    "math_find": ("4.5", "8", "4.50"),
    "math_calc": ("[1, 2]", "[3, 4]", "1 2"),
    "dialogue_character": ("ANNA", "Ben", "Anna?"),
    "letter": ("A", "B", "The correct answer is A"),
    "string_match_all": ("red", "re", "It is RED"),
    "string_match_part": ("red", "blue", "It is RED"),
}
CLASSES = ("red", "blue", "green")


def score(name, said, *references):
    own = Generation(8, (name,), classes=CLASSES)
    sample = Sample("any", 0, "text", "question", references[0], also_right=references[1:], generation=own)
    return generated_scores(said, sample)[name]


def test_every_metric_of_a_benchmark_is_here():
    assert set(ANSWERS) | {"empty_answer"} == {name for name, metric in METRICS.items() if metric.named}
    assert all((METRICS[name].low, METRICS[name].high) == (0, 1) for name in ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_answer_scores_1_and_none_0(name):
    one, other, said = ANSWERS[name]
    assert score(name, said, one) == pytest.approx(1.0)
    assert score(name, said, other, one) == pytest.approx(1.0), "of several references the best counts"
    assert score(name, "", one, other) == 0.0
    if name != "string_match_all":  # of which "re" is a part of "red", since all of its references must be said
        assert score(name, said, other) < 0.5


@pytest.mark.parametrize("name", ANSWERS)
def test_only_samples_that_name_a_metric_are_scored_by_it(name):
    one, _, said = ANSWERS[name]
    assert name not in generated_scores(said, Sample("any", 0, "text", "question", one))


ODD = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from([*"AB.,:\n\t\x00 ", "answer is:", "red", "7", "4.5", "\u5317\u4eac", "\u6771\u4eac", "\ud800"])
    ).map("".join),
)


@settings(max_examples=60, deadline=None)
@given(ODD)
def test_any_text_scores_within_0_and_1(said):
    for name, (one, other, _) in ANSWERS.items():
        assert 0.0 <= score(name, said, one, other) <= 1.0
        if name not in ("code_debug", "choice_letter", "string_match_all"):  # whose references are one answer together
            assert score(name, said, one, other) == max(score(name, said, one), score(name, said, other))


def test_missing_packages_are_one_line_with_the_command():
    blocked = """
import json, sys
for name in ("jieba", "fugashi"):
    sys.modules[name] = None  # as if it were not installed
from namm_xmodal.errors import MissingDependencyError
from namm_xmodal.language.metrics import METRICS
said = {}
for name, metric in METRICS.items():
    if metric.named and metric.of_text is not None:
        try:
            metric.of_text("[7] Paragraph 7 \\u6bb5\\u843d7", ["[7] Paragraph 7 \\u6bb5\\u843d7"])
        except MissingDependencyError as error:
            said[name] = str(error)
        except Exception:
            pass  # another reference is needed
print(json.dumps(said))
"""
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert set(said) == {"f1_zh", "f1_ja", "rouge_l_zh", "rouge_l_ja"}
    assert said["f1_zh"] == "Chinese text needs an optional dependency: pip install 'namm-xmodal[benchmarks]'"
    assert said["f1_ja"] == "Japanese text needs an optional dependency: pip install 'namm-xmodal[benchmarks]'"


def test_words_are_cut_without_a_message_and_without_a_file(tmp_path):
    code = "from namm_xmodal.language.scorers.f1 import f1_zh; print(f1_zh('\u5317\u4eac', ['\u5317\u4eac']))"
    environment = {"PATH": "", "TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("1.0\n", "", [])


def test_what_a_metric_lacks_is_said_before_a_model_is_loaded(monkeypatch):
    made = preflight.make_samples

    def labelled(*arguments, **options):
        own = Generation(8, ("classification",))  # without its labels
        return [replace(sample, generation=own) for sample in made(*arguments, **options)]

    monkeypatch.setattr(preflight, "make_samples", labelled)
    few = ("policies.snapkv=null", "tasks.next_token=null", "scoring=[generate]")
    (section,) = plan_of(load("language/smoke", None, *(f"language.{each}" for each in few)))
    with pytest.raises(
        NammError, match=r"tasks.key_retrieval: sample 0: metric 'classification': .*no classes; expected all"
    ):
        section.check(lambda text: None)
    (section,) = plan_of(
        load("language/smoke", None, *(f"language.{each}" for each in (*few[:2], "scoring=[likelihood]")))
    )
    with pytest.raises(NammError, match=r"tasks.key_retrieval: sample 0: its answer is generated, .*; add generate"):
        section.check(lambda text: None)
