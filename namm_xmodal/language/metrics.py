"""Scores of answers: pure functions from log-probabilities or strings to numbers."""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from namm_xmodal.language.answer_text import normalised_answer
from namm_xmodal.language.scorers import choices, f1, infinitebench, longbench, rouge, ruler
from namm_xmodal.plugins import Registry


@dataclass(frozen=True)
class Metric:
    """A metric and its description.

    Attributes:
        name: As written in results.
        low: Least possible value.
        high: Greatest possible value; infinite if there is none.
        higher_is_better: Direction.
        description: One line for lists.
        of_text: For metrics of generated text: from the prediction and the right answers to the number.
        of_classes: For metrics of a label: the same, from all labels as well.
        named: Whether only samples whose `generation` names it are scored by it.
        headline: Whether tables show it for every task, not only where the task says so.
    """

    name: str
    low: float
    high: float
    higher_is_better: bool
    description: str
    of_text: Callable[[str, Sequence[str]], float] | None = None
    headline: bool = False
    of_classes: Callable[[str, Sequence[str], Sequence[str]], float] | None = None
    named: bool = False


def answer_probability(log_probabilities: Sequence[float]) -> float:
    """Geometric mean of the probabilities of an answer's tokens.

    Args:
        log_probabilities: Natural logarithm for each token, at least one; minus infinity is allowed.

    Returns:
        A number in [0, 1], higher is better; comparable between answers of different lengths.
    """
    return math.exp(-negative_log_likelihood(log_probabilities))


def negative_log_likelihood(log_probabilities: Sequence[float]) -> float:
    """Mean loss of tokens in nats, 0 or more, lower is better.

    Raises:
        ValueError: If there are no tokens: a mean of nothing is a mistake of the caller.
    """
    if not log_probabilities:
        raise ValueError("negative_log_likelihood: no tokens; expected at least one log-probability")
    return -math.fsum(log_probabilities) / len(log_probabilities) + 0.0  # + 0.0 turns -0.0 into 0.0


token_probability = answer_probability
"""The same formula under the name that fits a scored text: exp of minus the loss, in [0, 1], higher is better."""


def first_line(text: str) -> str:
    """The first line of a generation that is not empty, stripped: a model goes on talking after its answer."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def exact_match(prediction: str, answer: str | Sequence[str]) -> float:
    """Whether a generation says the answer and nothing else on its first line.

    Case, white space, Unicode forms and punctuation around the line do not count; signs, units and names like C++ do.
    The rules stand in `namm_xmodal.language.answer_text`.

    Args:
        prediction: Generated text.
        answer: The right answer, or several of which any will do.

    Returns:
        1.0 or 0.0, higher is better.
    """
    said = normalised_answer(first_line(prediction))
    return float(any(said == normalised_answer(first_line(each)) for each in _references(answer)))


def empty_answer(prediction: str, answer: str | Sequence[str]) -> float:
    """1.0 if nothing but white space was generated, else 0.0; lower is better, whatever the right answer is."""
    return float(not prediction.strip())


def edit_similarity(prediction: str, answer: str | Sequence[str]) -> float:
    """How near the first line of a generation is to the answer.

    1 - Levenshtein distance / longer length, as code completion is scored since CodeXGLUE (arXiv:2102.04664), over
    characters in Unicode's composed form (NFC).

    # Deviates: CodeXGLUE uses fuzzywuzzy's ratio, whose value depends on which of two libraries is installed.

    Args:
        prediction: Generated text.
        answer: The right answer, one line, or several of which the nearest counts.

    Returns:
        A number in [0, 1], higher is better; 1 for two empty strings.
    """
    return max(_similarity(prediction, each) for each in _references(answer))


def _references(answer: str | Sequence[str]) -> Sequence[str]:
    references = [answer] if isinstance(answer, str) else answer
    if not references:
        raise ValueError("no reference answer; expected at least one")
    return references


def _similarity(prediction: str, answer: str) -> float:
    said, right = (unicodedata.normalize("NFC", first_line(text)) for text in (prediction, answer))
    longest = max(len(said), len(right))
    return 1.0 if longest == 0 else 1.0 - edit_distance(said, right) / longest


def edit_distance(one: str, other: str) -> int:
    """Levenshtein distance: least number of characters to insert, delete or replace; O(len(one) * len(other))."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def choice_accuracy(
    log_probabilities: Sequence[Sequence[float]], right: int, *, by: Literal["mean", "sum"] = "mean"
) -> float:
    """Whether the right choice is the most likely one.

    Args:
        log_probabilities: For each choice, the natural logarithm for each of its tokens.
        right: Index of the right choice.
        by: `mean` compares log-likelihood a token, fair to choices of different lengths; `sum` compares that of the
            whole choice, which is the model's own probability of saying it.

    Returns:
        1.0 or 0.0, higher is better; a tie at the top counts as the fraction of a random pick among the tied.
    """
    totals = [math.fsum(choice) / (len(choice) if by == "mean" else 1) for choice in log_probabilities]
    best = [i for i, total in enumerate(totals) if total == max(totals)]
    return 1.0 / len(best) if right in best else 0.0


def by_position(values: Sequence[float], edges: Sequence[int], *, first: int = 0) -> Mapping[str, float]:
    """Means over ranges of positions, such as the loss of a text's first 256 tokens, the next 256, and so on.

    Args:
        values: One number for each position, in order.
        edges: Rising positions; each neighbouring pair is a bucket `[start, end)`.
        first: Position of the first value; 1 for losses, as the token at position 0 is not predicted.

    Returns:
        Label `start-end` to mean, only for buckets that hold a value.

    Raises:
        ValueError: If `edges` do not rise.
    """
    if any(start >= end for start, end in pairwise(edges)):
        raise ValueError(f"by_position: edges {list(edges)}: expected rising positions")
    means = {}
    for start, end in pairwise(edges):
        inside = values[max(start - first, 0) : max(end - first, 0)]
        if inside:
            means[f"{start}-{end}"] = math.fsum(inside) / len(inside)
    return means


_OF_TEXT: Mapping[str, tuple[Callable[[str, Sequence[str]], float], str]] = {
    "f1": (f1.f1, "F1 of English words, as SQuAD v1.1"),
    "f1_zh": (f1.f1_zh, "F1 of Chinese words, by jieba"),
    "f1_ja": (f1.f1_ja, "F1 of Japanese words, by MeCab"),
    "f1_characters": (f1.f1_characters, "F1 of characters"),
    "rouge_l": (rouge.rouge_l, "ROUGE-L, as the package rouge"),
    "rouge_l_zh": (rouge.rouge_l_zh, "ROUGE-L of Chinese words, by jieba"),
    "rouge_l_ja": (rouge.rouge_l_ja, "ROUGE-L of Japanese words, by MeCab"),
    "rouge_lsum": (rouge.rouge_lsum, "ROUGE-Lsum, as the package rouge-score"),
    "retrieval": (longbench.retrieval, "share of the numbers said that are the right paragraph's"),
    "retrieval_zh": (longbench.retrieval_zh, "the same in Chinese"),
    "count": (longbench.count, "share of the numbers said that are the right one"),
    "code_similarity": (longbench.code_similarity, "similarity of the first line of code, in hundredths"),
    "first_integer": (infinitebench.first_integer, "1 if the first run of digits is the answer"),
    "contained_word": (infinitebench.contained_word, "1 if the answer is one of the words"),
    "code_debug": (choices.code_debug, "1 if the answer names the letter or the function"),
    "code_run": (infinitebench.code_run, "1 if the last word is the right integer"),
    "choice_letter": (choices.choice_letter, "1 if the answer names the letter or says the choice"),
    "math_find": (infinitebench.math_find, "1 if the first number is right"),
    "math_calc": (infinitebench.math_calc, "share of a list of integers that is right before the first mistake"),
    "dialogue_character": (infinitebench.dialogue_character, "1 if the answer contains a right name"),
    "letter": (choices.letter, '1 if "The correct answer is (A)" says the right letter'),
    "string_match_all": (ruler.string_match_all, "share of the references that the answer contains"),
    "string_match_part": (ruler.string_match_part, "1 if the answer contains any of the references"),
}
"""Metrics of benchmarks that need no labels: function and description. docs/evaluation.md says whose they are."""

METRICS: Mapping[str, Metric] = Registry(
    "metrics",
    {
        metric.name: metric
        for metric in (
            Metric("answer_probability", 0, 1, True, "probability per token of the answer (geometric mean)"),
            Metric("exact_match", 0, 1, True, "1 if the first line generated is the answer", exact_match),
            Metric(
                "edit_similarity",
                0,
                1,
                True,
                "1 - edit distance / longer length, first line generated against answer",
                edit_similarity,
            ),
            Metric("empty_answer", 0, 1, False, "1 if nothing was generated", empty_answer, named=True),
            Metric(
                "accuracy",
                0,
                1,
                True,
                "1 if the right choice has the greatest mean log-likelihood per token",
                headline=True,
            ),
            Metric("accuracy_sum", 0, 1, True, "1 if the right choice has the greatest total log-likelihood"),
            Metric("token_probability", 0, 1, True, "exp(-negative_log_likelihood): probability per token"),
            Metric("negative_log_likelihood", 0, math.inf, False, "mean loss in nats per token"),
            Metric(
                "classification",
                0,
                1,
                True,
                "1 / labels mentioned if the right one is among them",
                of_classes=longbench.classification,
                named=True,
            ),
            *(
                Metric(name, 0, 1, True, description, of_text=score, named=True)
                for name, (score, description) in _OF_TEXT.items()
            ),
        )
    },
)
"""Every metric by name. Of its own, all but `negative_log_likelihood` and `empty_answer` are better when higher."""
