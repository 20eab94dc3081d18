"""F1 of an answer's words: the harmonic mean of how many of its words are right and how many right words it has."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

from namm_xmodal.language.scorers.references import best
from namm_xmodal.language.scorers.segmentation import chinese_words, japanese_words

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
# Wide and CJK punctuation as LongBench lists it: not all there is (no wide full stop, no opening double angle bracket).
_RANGES = (
    (0xFF01, 0xFF0D),
    (0xFF0F, 0xFF0F),
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF64),
    (0x3001, 0x3003),
    (0x300B, 0x3011),
    (0x3014, 0x301F),
    (0x2013, 0x2014),
    (0x2018, 0x2019),
    (0x201B, 0x201F),
    (0x2026, 0x2027),
)
EAST_ASIAN_PUNCTUATION = frozenset(
    string.punctuation + "\u3030\u303e\u303f\ufe4f" + "".join(chr(c) for a, z in _RANGES for c in range(a, z + 1))
)
"""What does not count in Chinese and Japanese answers."""
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def f1(prediction: str, references: Sequence[str]) -> float:
    """F1 of English words, as SQuAD v1.1, LongBench (`qa_f1_score`) and InfiniteBench (`longbook_qa_eng`) define it.

    Lower case, without ASCII punctuation and the articles a, an and the; words are what white space separates.

    Args:
        prediction: Generated text.
        references: Right answers, of which the nearest counts.

    Returns:
        A number in [0, 1]; 0 if either side has no words.
    """
    return best(lambda said, right: overlap(_english(said), _english(right)), prediction, references)


def f1_zh(prediction: str, references: Sequence[str]) -> float:
    """F1 of Chinese words, LongBench's `qa_f1_zh_score`: cut by jieba, then each in lower case without punctuation."""
    return best(
        lambda said, right: overlap(_bare(chinese_words(said)), _bare(chinese_words(right))), prediction, references
    )


def f1_ja(prediction: str, references: Sequence[str]) -> float:
    """F1 of Japanese words for ChouBun's questions: cut by MeCab, then each as `f1_zh` does.

    Of SakanaAI/evo-memory, `choubun_metrics.py`, the normalisation and the tagger were seen; that the rest follows
    LongBench's Chinese one is inferred. The dictionary is not given there; here it is UniDic Lite.
    """
    return best(
        lambda said, right: overlap(_bare(japanese_words(said)), _bare(japanese_words(right))), prediction, references
    )


def f1_characters(prediction: str, references: Sequence[str]) -> float:
    """F1 of characters, InfiniteBench's `longbook_qa_chn`: in lower case, without punctuation and white space."""
    return best(lambda said, right: overlap(_bare(said), _bare(right)), prediction, references)


def overlap(said: Sequence[str], right: Sequence[str]) -> float:
    """F1 of two bags of words: 2 * precision * recall / (precision + recall), 0 if they share none."""
    shared = (Counter(said) & Counter(right)).total()
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said), shared / len(right)
    return 2 * precision * recall / (precision + recall)


def _english(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def _bare(words: Iterable[str]) -> list[str]:
    """Words in lower case without punctuation and white space, and without those of which nothing is left."""
    kept = ("".join(c for c in word.lower() if c not in EAST_ASIAN_PUNCTUATION) for word in words)
    return [bare for word in kept if (bare := "".join(word.split()))]
