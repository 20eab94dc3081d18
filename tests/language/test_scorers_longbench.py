"""LongBench's and ChouBun's metrics by cases computed by hand, and by the packages that they are defined by."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge import Rouge

from namm_xmodal.errors import DataError
from namm_xmodal.language.scorers import f1, longbench, rouge

TREC = ("Date", "Date of birth", "Country", "City", "Number of something", "Number")


@pytest.mark.parametrize(
    ("said", "references", "score"),
    [
        ("The cat sat.", ["a cat sat"], 1.0),  # articles, case and the full stop do not count
        ("cat", ["the cat sat down"], 0.5),  # 1 of 1 said, 1 of 3 right: 2 * 1/3 / (4/3)
        ("cat cat dog", ["cat dog"], 0.8),  # 2 of 3, 2 of 2: 2 * 2/3 / (5/3)
        ("it's U.S.", ["its us"], 1.0),  # punctuation vanishes, without a gap
        ("red", ["blue", "dark red"], 2 / 3),  # the nearest of several: 1 of 1, 1 of 2
        ("Ünïted — Königreich", ["ünïted königreich"], 0.8),  # a long dash is no ASCII punctuation, so it is a word
        ("", ["anything"], 0.0),
        ("The", ["the"], 0.0),  # nothing is left on either side
        ("42", [""], 0.0),
    ],
)
def test_f1_of_english_words(said, references, score):
    assert f1.f1(said, references) == pytest.approx(score)


def test_f1_of_chinese_words():
    # jieba's own example: wo / lai dao / Beijing / Qinghua daxue; the full stop and the wide comma do not count.
    right = "\u6211\u6765\u5230\u5317\u4eac\u6e05\u534e\u5927\u5b66\u3002"
    assert f1.f1_zh(right, [right]) == f1.f1_zh(right.replace("\u3002", " \uff0c"), [right]) == 1.0
    # Of 4 right words, Beijing and Qinghua daxue are said, and nothing else: 2 * 1 * 1/2 / (3/2).
    assert f1.f1_zh("\u5317\u4eac\u6e05\u534e\u5927\u5b66", [right]) == pytest.approx(2 / 3)
    assert f1.f1_zh("Paris 2024", ["paris, 2024"]) == 1.0
    assert f1.f1_zh("", [right]) == f1.f1_zh("\u3002", ["\u3002"]) == 0.0
    # An opening double angle bracket is not on the official list, a closing one is.
    assert f1.f1_zh("\u300b", ["\u300b"]) == 0.0 and f1.f1_zh("\u300a", ["\u300a"]) == 1.0


def test_f1_of_japanese_words_choubun():
    right = "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002"  # nihon / go / no / bunsho / desu / full stop
    assert f1.f1_ja(right, [right]) == f1.f1_ja(f" {right[:3]}\n{right[3:-1]}", [right]) == 1.0
    # nihon, go of five right words: 2 * 1 * 2/5 / (7/5)
    assert f1.f1_ja("\u65e5\u672c\u8a9e", ["\u732b", right]) == pytest.approx(4 / 7)
    assert f1.f1_ja("", [right]) == 0.0
    assert f1.f1_ja("\ud800", [right]) == 0.0  # half a character, as a broken decoder makes it


@pytest.mark.parametrize(
    ("said", "references", "score"),
    [
        ("the cat sat", ["the cat sat"], 1.0),
        # Common subsequence "the cat": 2 of 3 and 2 of 4 words: 2 * 2/3 * 1/2 / (7/6).
        ("the cat ran", ["the black cat sat"], 4 / 7),
        # Case counts, and so does a comma on a word: only "cat" of 2 and 2.
        ("The, cat", ["the cat"], 0.5),
        # Words count once: {a, b} of {a, b} and {a, b, c}.
        ("a a a b", ["a b c"], 0.8),
        # Two sentences in another order: both are found whole, all 4 of 4 words.
        ("c d. a b.", ["a b. c d."], 1.0),
        ("x", ["y", "x"], 1.0),
        ("", ["the cat"], 0.0),
        ("...", ["the cat"], 0.0),  # no sentences
        ("the cat", [""], 0.0),
    ],
)
def test_rouge_l_longbench(said, references, score):
    assert rouge.rouge_l(said, references) == pytest.approx(score, abs=1e-8)


PIECES = st.sampled_from(["a", "b", "c", "A", "a,", ".", ". ", " ", "\n", "a b", "\u6211", ""])


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=20), st.lists(PIECES, max_size=20), st.sampled_from(["", " "]))
def test_rouge_l_is_that_of_the_package(said, right, between):
    one, other = between.join(said), between.join(right)
    try:
        expected = Rouge().get_scores([one], [other], avg=True)["rouge-l"]["f"]
    except ValueError:  # it refuses what has no sentences
        expected = 0.0
    assert rouge.rouge_l(one, [other]) == pytest.approx(expected, abs=1e-12)


def test_rouge_l_of_sentences_too_long_for_the_package_is_0_and_of_shorter_ones_is_not():
    def words(n):
        return " ".join(f"w{i}" for i in range(n))

    assert rouge.rouge_l(words(rouge.DEEPEST), [words(rouge.DEEPEST)]) == pytest.approx(1.0)
    assert rouge.rouge_l(words(rouge.DEEPEST + 1), [words(rouge.DEEPEST + 1)]) == 0.0
    whole = words(3000).replace("9 ", "9. ")  # many short sentences
    assert rouge.rouge_l(whole, [whole]) == pytest.approx(1.0)


def test_rouge_l_of_chinese_and_japanese_words_choubun():
    chinese = "\u6211\u6765\u5230\u5317\u4eac\u6e05\u534e\u5927\u5b66\u3002"
    # 2 of 2 words said, 2 of 5 right, the full stop among them: 2 * 2/5 / (7/5).
    assert rouge.rouge_l_zh("\u5317\u4eac\u6e05\u534e\u5927\u5b66", [chinese]) == pytest.approx(4 / 7)
    japanese = "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002"
    # nihon, go: 2 of 2, and 2 of 6, the full stop among them: 2 * 1/3 / (4/3).
    assert rouge.rouge_l_ja("\u65e5\u672c\u8a9e", [japanese]) == pytest.approx(0.5)
    for score, text in ((rouge.rouge_l_zh, chinese), (rouge.rouge_l_ja, japanese)):
        assert score(text, [text]) == pytest.approx(1.0)
        assert score("", [text]) == 0.0


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("Type: City", "City", 1.0),
        ("City or Country", "City", 0.5),
        ("Date of birth", "Date of birth", 1.0),  # Date is a part of the right label
        ("Date of birth", "Date", 0.5),  # Date of birth is none of "Date"
        ("city", "City", 0.0),  # case counts
        ("", "City", 0.0),
        ("Citizenship", "City", 0.0),  # near is not enough
    ],
)
def test_classification_longbench(said, right, score):
    assert longbench.classification(said, [right], TREC) == score


def test_classification_passes_over_the_label_after_one_that_is_left_out():
    # a, ab and abc are said; a is left out, ab moves up unexamined, abc is right: 1 of 2, where a clean rule gives 1.
    assert longbench.classification("abc", ["abc"], ("a", "ab", "abc")) == 0.5
    assert longbench.classification("abc", ["abc"], ("a", "abc", "ab")) == 1.0  # here ab comes after a label that stays
    with pytest.raises(DataError, match="no classes"):
        longbench.classification("a", ["a"], ())


@pytest.mark.parametrize(
    ("said", "score"),
    [("Paragraph 12", 1.0), ("12", 1.0), ("Paragraphs 12, 3 and 12", 2 / 3), ("1 2", 0.0), ("twelve", 0.0), ("", 0.0)],
)
def test_retrieval_and_count_longbench(said, score):
    assert longbench.retrieval(said, ["Paragraph 12"]) == pytest.approx(score)
    assert longbench.retrieval_zh(said, ["\u6bb5\u843d12"]) == pytest.approx(score)
    assert longbench.count(said, ["12"]) == pytest.approx(score)
    assert longbench.count(said, ["99", "12"]) == pytest.approx(score)


def test_retrieval_says_what_a_reference_lacks():
    with pytest.raises(DataError, match=r"reference '12': expected 'Paragraph ' and a number"):
        longbench.retrieval("12", ["12"])


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("    return x\nmore", "    return x", 1.0),
        ("\n\n# comment\n// other\n```python\nx = 1", "x = 1", 1.0),
        ("abcd", "bcde", 0.75),  # bcd matches: 2 * 3 / 8
        ("abc", "abcdef", 0.67),  # 2 * 3 / 9, rounded to hundredths
        ("abx", "aby", 0.67),
        ("aaaaaaab", "b", 0.22),  # 2 / 9
        ("abcdefg" + "x" * 9, "abcdefg" + "y" * 9, 0.44),  # 14 / 32 = 0.4375
        ("ba", "ab", 0.5),
        ("# only a comment", "x", 0.0),
        ("", "x", 0.0),
        ("# only a comment", "", 1.0),  # nothing against nothing
        ("x", " x", 0.67),  # spaces count
        # repobench-p: a line with a comment behind its code is passed over; 14 and 1 characters match: 30 / 39
        ("x = self.find(name) # it\nself.find(name)\nreturn", "        self.find(names)", 0.77),
        ("# a comment\n\nreturn 1", "return 1", 0.0),  # an empty line is the first without a mark
    ],
)
def test_code_similarity_longbench(said, right, score):
    assert longbench.code_similarity(said, [right]) == score
    assert longbench.code_similarity(said, ["\x00" * 50, right]) == score
