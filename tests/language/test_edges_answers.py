"""When generated text counts as the answer: Unicode forms and punctuation do not matter, signs and names do."""

import unicodedata

import pytest

from namm_xmodal.language.metrics import edit_similarity, exact_match


def decomposed(text):
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (decomposed("café"), "café"), (decomposed("İstanbul"), "İstanbul"), ("STRASSE", "straße"), ("\uff15", "5"),
        ("\u201cParis\u201d.", "Paris"), ("«Paris»", "Paris"), ("「東京」。", "東京"), ("¿Sí?", "sí"), ("Paris…", "Paris"),
        ("हाँ।", "हाँ"), ("Paris،", "Paris"), ("O\u2019Brien", "O'Brien"), ("\ufeffx", "x"),
        ("\u22125", "-5"), ("\u20135", "-5"), ("5\u20137", "5-7"), ("a\u00a0b", "a b"), ("- Paris", "Paris"),
        ("\u2014 Paris", "Paris"), ("• Paris", "Paris"), ("# Paris", "Paris"), ("#5", "5"), ("**Paris**.", "Paris"),
        ("`48213`", "48213"), ('"Paris', "Paris"), ("(Paris)", "Paris"), ("C++.", "C++"), ("f(x);", "f(x)"), ("...", "..."),
    ],
)  # fmt: skip
def test_the_same_answer(prediction, answer):
    assert exact_match(prediction, answer) == exact_match(answer, prediction) == 1.0


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        ("5", "-5"), ("5", "+5"), ("C", "C++"), ("C", "C#"), ("A", "A*"), ("A", "A+"), ("5", "5%"), ("5", "$5"),
        ("5", ".5"), ("35", "3.5"), ("NET", ".NET"), ("f", "f()"), ("init", "__init__"), ("x2", "x²"), ("e", "é"),
        (">5", "<5"), ("?", "!"), ("", "?"),
    ],
)  # fmt: skip
def test_another_answer(prediction, answer):
    assert exact_match(prediction, answer) == exact_match(answer, prediction) == 0.0


def test_any_of_several_references_will_do():
    assert exact_match("United Kingdom", ("UK", "United Kingdom")) == 1.0
    assert exact_match("France", ("UK", "United Kingdom")) == 0.0
    assert edit_similarity("kitten", ("dog", "sitten")) == pytest.approx(5 / 6)
    assert edit_similarity(decomposed("café"), "café") == 1.0
    with pytest.raises(ValueError, match="at least one"):
        exact_match("UK", ())
