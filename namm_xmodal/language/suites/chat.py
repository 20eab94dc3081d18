"""A tokenizer's chat template around a prompt: one turn of the user, and the beginning of the answer."""

from dataclasses import replace
from typing import Any

from namm_xmodal.errors import ConfigError
from namm_xmodal.language.prompt import prefix_ids
from namm_xmodal.language.sample import Sample

_HERE = "namm-prompt-here"


def has_template(tokenizer: Any) -> bool:
    """Whether a tokenizer knows how its model is talked to."""
    return bool(getattr(tokenizer, "chat_template", None))


def check_template(tokenizer: Any, model: str) -> None:
    """Refuses a tokenizer without a chat template.

    Raises:
        ConfigError: With the remedy.
    """
    if not has_template(tokenizer):
        raise ConfigError(f"chat: the tokenizer of {model} has no chat template; use chat: false, or a model for chats")


def as_turn(sample: Sample, tokenizer: Any) -> Sample:
    """The sample with the template's words before its context and after its question.

    Raises:
        ConfigError: If the template cannot hold one turn of the user.
    """
    turn = [{"role": "user", "content": _HERE}]
    try:
        words = str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template is a program of the model's, in a sandbox: it may raise anything
        raise ConfigError(
            f"chat: the chat template fails ({' '.join(str(error).split())[:100]}); use chat: false"
        ) from None
    before, found, after = words.partition(_HERE)
    if not found:
        raise ConfigError("chat: the chat template leaves out what the user says; use chat: false")
    if prefix_ids(tokenizer):  # the template writes the special token that is put before every text anyway
        before = before.removeprefix(tokenizer.bos_token or "")
    return replace(sample, context=before + sample.context, question=sample.question + after)
