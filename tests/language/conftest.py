"""A small GPT-2-style tokenizer, trained on the spot: no weights, no network; and files that may not be read."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def unreadable():
    """`unreadable("open", name)`: inside, that call fails on paths of this name, as for a user who may not."""

    @contextmanager
    def refusing(call, name):
        method = getattr(Path, call)

        def refuse(path, *given, **named):
            if path.name == name:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return method(path, *given, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, call, refuse)
            yield

    return refusing


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer()


def train_tokenizer(bos: bool = False):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    from namm_xmodal.language.texts import find_texts

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([document.text for document in find_texts("python-topics")[:20]], trainer)
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def bos_tokenizer():
    return train_tokenizer(bos=True)
