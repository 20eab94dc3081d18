"""ROUGE-L (Lin 2004), F of the longest common subsequence, as two Python packages define it differently.

LongBench and ChouBun use the package `rouge` 1.0.1, InfiniteBench `rouge-score` 0.1.2 (through `evaluate`). Neither is
needed here; the tests hold these functions to both.
"""

import re
from collections import Counter
from collections.abc import Sequence

from namm_xmodal.language.scorers.common_subsequence import common_subsequence
from namm_xmodal.language.scorers.references import best
from namm_xmodal.language.scorers.segmentation import chinese_words, japanese_words

DEEPEST = 990
"""Steps of a common subsequence at which `rouge`, called by LongBench, reaches Python's usual limit of recursion."""


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L of the package `rouge`, LongBench's `rouge_score`.

    Sentences end at full stops, words at white space; case and other punctuation count. The words of the common
    subsequences of every pair of sentences, each counted once, over the different words of either side.

    Args:
        prediction: Generated text.
        references: Right answers, of which the nearest counts.

    Returns:
        A number in [0, 1), about 5e-9 below 1 for the same text. 0 for an empty text, and, as officially, where two
        sentences are so long (`DEEPEST`) that the package fails on them.
    """
    return best(_rouge, prediction, references)


def rouge_l_zh(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L of Chinese words, LongBench's `rouge_zh_score`: `rouge_l` of the words that jieba finds."""
    return best(
        lambda said, right: _rouge(_spaced(chinese_words(said)), _spaced(chinese_words(right))), prediction, references
    )


def rouge_l_ja(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L of Japanese words for ChouBun's `corp_sec_sum`: `rouge_l` of the words that MeCab finds.

    Of SakanaAI/evo-memory, `choubun_metrics.py`, the package and the tagger were seen; that words are joined as in
    LongBench's Chinese one is inferred.
    """
    return best(
        lambda said, right: _rouge(_spaced(japanese_words(said)), _spaced(japanese_words(right))),
        prediction,
        references,
    )


def rouge_lsum(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-Lsum of the package `rouge-score` without stemming, InfiniteBench's `longbook_sum_eng`.

    Sentences end at line breaks; words are runs of a-z and 0-9 in lower case. For each sentence of the reference, its words
    that stand in the common subsequence with any sentence of the prediction; each as often as both sides have it.

    Args:
        prediction: Generated text.
        references: Right answers, of which the nearest counts.

    Returns:
        A number in [0, 1]; 0 for a text without such words.
    """
    return best(_rouge_sum, prediction, references)


def _spaced(words: Sequence[str]) -> str:
    return " ".join(words)


def _rouge(prediction: str, reference: str) -> float:
    said, right = _sentences(prediction), _sentences(reference)
    if not said or not right:
        return 0.0
    shared: set[str] = set()
    for sentence in right:
        for another in said:
            found = common_subsequence(sentence, another)
            if found.steps > DEEPEST:
                return 0.0
            shared.update(sentence[i] for i, _ in found.pairs)
    precision, recall = (len(shared) / len({word for sentence in side for word in sentence}) for side in (said, right))
    return 2 * precision * recall / (precision + recall + 1e-8)


def _sentences(text: str) -> list[list[str]]:
    """Words of each sentence; one of white space alone has a single, empty word, as in the package."""
    return [" ".join(sentence.split()).split(" ") for sentence in text.split(".") if sentence]


def _rouge_sum(prediction: str, reference: str) -> float:
    said, right = (
        [re.findall("[a-z0-9]+", line.lower()) for line in text.split("\n")] for text in (prediction, reference)
    )
    of_said, of_right = (Counter(word for sentence in side for word in sentence) for side in (said, right))
    left_of_said, left_of_right, hits = of_said.copy(), of_right.copy(), 0
    for sentence in right:
        found = {j for another in said for _, j in common_subsequence(another, sentence).pairs}
        for word in (sentence[j] for j in sorted(found)):
            if left_of_said[word] > 0 and left_of_right[word] > 0:
                left_of_said[word] -= 1
                left_of_right[word] -= 1
                hits += 1
    return 2 * hits / (of_said.total() + of_right.total()) if hits else 0.0
