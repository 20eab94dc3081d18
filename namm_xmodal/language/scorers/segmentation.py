"""Words of languages that are written without spaces."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from namm_xmodal.extras import need


def chinese_words(text: str) -> list[str]:
    """Words by jieba with its own dictionary, punctuation and white space among them.

    Raises:
        MissingDependencyError: If jieba is not installed.
    """
    return list(_jieba().cut(text))


def japanese_words(text: str) -> list[str]:
    """Words by MeCab (fugashi) with the dictionary UniDic Lite, punctuation among them, spaces and line breaks not.

    Raises:
        MissingDependencyError: If fugashi or its dictionary is not installed.
    """
    readable = text.encode("utf-8", "replace").decode("utf-8")  # MeCab takes no lone surrogates
    return [word.surface for word in _mecab()(readable)]


@cache
def _jieba() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources where there is one
        jieba = need("jieba", "Chinese text")
    tokenizer = jieba.Tokenizer()
    # As `initialize` does, but without its messages, and without a cache in a folder that others can write to.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


@cache
def _mecab() -> Callable[[str], list[Any]]:
    fugashi, dictionary = need("fugashi", "Japanese text"), need("unidic_lite", "Japanese text").DICDIR
    # Named, since fugashi prefers the larger UniDic where it is installed, which has other words.
    tagger: Callable[[str], list[Any]] = fugashi.Tagger(f'-Owakati -r "{dictionary}/mecabrc" -d "{dictionary}"')
    return tagger
