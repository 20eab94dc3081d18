"""The model `namm_xmodal` of lm-evaluation-harness: prompts are read through a pruned cache, answers are scored on it."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.evaluation.fit import described, fitted
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.extras import need
from namm_xmodal.harness.arguments import read_arguments
from namm_xmodal.harness.requests import Ending, batches, cut_left, read_ending
from namm_xmodal.harness.tally import Tally
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.precision import check_precision
from namm_xmodal.language.prompt import prefix_ids
from namm_xmodal.memory import Memory
from namm_xmodal.modalities.language.continuation import continuations, greedy_texts, read_prompts
from namm_xmodal.modalities.language.fit import PlainTexts
from namm_xmodal.modalities.language.text_loss import text_log_probabilities

log = logging.getLogger(__name__)

_USUAL_DEVICE = "cuda:0"
_FEATURE = "The model namm_xmodal of lm-evaluation-harness"
need("lm_eval.models", _FEATURE)  # the harness enters its own models only while its table is empty
_base: Any = need("lm_eval.api.model", _FEATURE)
_registry: Any = need("lm_eval.api.registry", _FEATURE)
_utils: Any = need("lm_eval.utils", _FEATURE)


@_registry.register_model("namm_xmodal")
class PrunedLM(_base.TemplateLM):  # type: ignore[misc]
    """A language model with a pruned cache, as the harness wants it; importing this module registers it.

    Answers are scored as `namm-xmodal eval` scores them: the prompt is read through the pruned cache, each answer on a copy
    of what was kept. Prompts are made of tokens as the harness's own `hf` model makes them.

    Attributes:
        section: Model and settings.
        arm: The policy at its size.
        language: The model and its tokenizer.
        tally: What was read so far.
    """

    def __init__(self, **model_args: Any) -> None:
        """Checks all arguments, then loads model and policy.

        Args:
            **model_args: See `namm_xmodal.harness.arguments`.

        Raises:
            NammError: The first mistake, on one line.
        """
        super().__init__()
        arguments = read_arguments(model_args)
        self.section, self.arm = arguments.section, arguments.arm
        check_precision(self.section.dtype, self.section.device)
        self.language = load_language_model(self.section.model, dtype=self.section.dtype, device=self.section.device)
        self.tokenizer = self.language.tokenizer
        self.tally = Tally()
        self._device = self.language.model.device
        self._prefix = list(prefix_ids(self.tokenizer))
        self._template: str | None = None
        self._policy = None
        if not self.arm.full:
            plain = PlainTexts(self.language, self.section.update_every)
            self._policy = fitted(self.arm, self.language.model, plain, self.section)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> Any:
        """Made by the harness; what `--model_args` says wins over `--batch_size` and `--device`.

        The harness asks for `cuda:0` where nobody names a device; without CUDA the model then runs on the CPU, and says so.
        """
        others = {key: value for key, value in (additional_config or {}).items() if value is not None}
        if others.get("device") == _USUAL_DEVICE and "device" not in arg_dict and not torch.cuda.is_available():
            log.warning("no CUDA device here: the model runs on the CPU (--device cpu says so)")
            others["device"] = "cpu"
        return cls(**(others | dict(arg_dict)))

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> Any:
        """See `create_from_arg_obj`."""
        return cls.create_from_arg_obj(_utils.simple_parse_args_string(arg_string), additional_config)

    # ------------------------------------------------------------------ text and tokens
    @property
    def max_length(self) -> int | None:
        """Most tokens of a prompt and its answer; None if neither the arguments nor the model say."""
        limits = [each for each in (self.section.max_length, self.language.max_context) if each is not None]
        return min(limits, default=None)

    @property
    def batch_size(self) -> int:
        """Prompts that are read at once."""
        return self.section.batch_size

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        if self.tokenizer.eos_token_id is None:
            raise DataError(f"{self.language.name}: its tokenizer has no token that ends a text (eos_token)")
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without a context."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids of a text, behind the tokens that the tokenizer puts before every text.

        Args:
            string: The text.
            add_special_tokens: None leaves those tokens out where the text begins with one, as chat templates do.
        """
        begin = self.tokenizer.bos_token
        if add_special_tokens is None:
            add_special_tokens = not (begin and string.startswith(begin))
        # `verbose=False`: a text longer than the model's maximum is cut, and counted, later.
        ids = list(self.tokenizer(string, add_special_tokens=False, verbose=False)["input_ids"])
        return [*self._prefix, *ids] if add_special_tokens else ids

    @property
    def tokenizer_name(self) -> str:
        """Tells caches of requests apart."""
        return self.language.name.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template that `--apply_chat_template` chooses.

        Raises:
            DataError: If the tokenizer has none.
        """
        if not self.tokenizer.chat_template:
            raise DataError(
                f"{self.language.name}: its tokenizer has no chat template; leave out --apply_chat_template"
            )
        self._template = super().chat_template(chat_template)
        return self._template

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the text that the model was trained on.

        Raises:
            DataError: If the template refuses the conversation, such as one with a system message.
        """
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                chat_history,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        except (TemplateError, ValueError) as error:
            roles = ", ".join(each.get("role", "?") for each in chat_history)
            raise DataError(f"{self.language.name}: its chat template refuses messages of {roles}: {error}") from None
        return text

    # ------------------------------------------------------------------ requests
    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **others: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihood of each answer, and whether it is the greedy one; a context that several share is read once."""
        found: list[tuple[float, bool]] = [(0.0, True)] * len(requests)
        asked: dict[tuple[int, ...], list[int]] = {}
        with self._reading() as memory, tqdm(total=len(requests), disable=disable_tqdm, desc="log-likelihoods") as bar:
            for place, (texts, context, answer) in enumerate(requests):
                if not answer:
                    raise DataError(f"no token of the answer {texts and texts[1]!r} is left behind its context")
                # The answer's last token is never fed, so there is room for one token more.
                room = None if self.max_length is None else self.max_length + 1 - len(answer)
                # Of a context of white space alone, all tokens go to the answer.
                prompt = cut_left(context or [self.prefix_token_id], room)
                self.tally.shortened(context, prompt)
                asked.setdefault(prompt, []).append(place)
            for rows, places in batches(asked, self.batch_size):
                prompt_read = read_prompts(memory, rows)
                self.tally.read(prompt_read.report)
                pairs = [(row, place) for row, each in enumerate(places) for place in each]
                for start in range(0, len(pairs), self.batch_size):
                    some = pairs[start : start + self.batch_size]
                    scored = continuations(memory, prompt_read, [(row, requests[place][2]) for row, place in some])
                    for (_, place), each in zip(some, scored, strict=True):
                        found[place] = (math.fsum(each.log_probabilities), each.greedy)
                        if requests[place][0] is not None:
                            self.cache_hook.add_partial("loglikelihood", requests[place][0], found[place])
                bar.update(len(pairs))
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, each read through the pruned cache while it is scored, one after the other.

        Texts longer than the model are cut into the harness's own windows; every window begins with an empty cache.

        Raises:
            ConfigError: Under `post_prefill`, where nothing would be evicted before the last token.
        """
        if self.section.schedule == "post_prefill" and not self.arm.full:
            raise ConfigError(
                "model_args.schedule: post_prefill: of whole texts (loglikelihood_rolling) nothing would be evicted before "
                "the last token; use schedule=streaming"
            )
        totals = []
        with self._reading() as memory:
            for request in tqdm(requests, disable=disable_tqdm, desc="texts"):
                (text,) = request.args
                ids = self.tok_encode(text)
                windows = _utils.get_rolling_token_windows(
                    token_list=ids,
                    prefix_token=self.prefix_token_id,
                    max_seq_len=self.max_length or len(ids) or 1,
                    context_len=1,
                )
                total = 0.0
                for given, predicted in windows:
                    scored, report = text_log_probabilities(memory, (*given, predicted[-1]), 1)
                    total += math.fsum(scored[-len(predicted) :])
                    self.tally.read(report)
                totals.append(total)
                self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Greedy texts up to a stop text, the end of the text or a number of tokens.

        Raises:
            ConfigError: If a task asks for sampling or beams.
        """
        found = [""] * len(requests)
        asked: dict[Ending, dict[tuple[int, ...], list[int]]] = {}
        with self._reading() as memory, tqdm(total=len(requests), disable=disable_tqdm, desc="texts") as bar:
            for place, request in enumerate(requests):
                text, settings = request.args
                ending = read_ending(settings, request.task_name or "the request")
                context = self.tok_encode(text) or [self.prefix_token_id]
                prompt = cut_left(context, None if self.max_length is None else self.max_length - ending.limit)
                self.tally.shortened(context, prompt)
                asked.setdefault(ending, {}).setdefault(prompt, []).append(place)
            for ending, prompts in asked.items():
                for rows, places in batches(prompts, self.batch_size):
                    prompt_read = read_prompts(memory, rows)
                    self.tally.read(prompt_read.report)
                    texts = greedy_texts(memory, prompt_read, self.tokenizer, ending.limit, ending.stopped)
                    for made, sharing in zip(texts, places, strict=True):
                        for place in sharing:
                            found[place] = ending.cut(made)
                            self.cache_hook.add_partial("generate_until", requests[place].args, found[place])
                    bar.update(sum(map(len, places)))
        return found

    @contextmanager
    def _reading(self) -> Iterator[Memory]:
        """The pruned model; afterwards warnings about what was read."""
        before = replace(self.tally)
        pruning = pruned_for(self.section, self.language.model, self._policy, self.section.schedule)
        with named(f"policy {self.arm.label}", self.arm.policy), pruning as memory:
            yield memory
        every = self.section.update_every if self.section.schedule == "streaming" else None
        self.tally.warn(before, self.max_length, full=self.arm.full, update_every=every)

    def get_model_info(self) -> dict[str, Any]:
        """What the harness writes beside its scores, as keys of `config`."""
        section, arm = self.section, self.arm
        settings = {
            key: getattr(section, key) for key in ("update_every", "protect_first", "protect_recent", "selection")
        }
        return {
            "model_source": self.language.source,
            "model_dtype": self.language.dtype,
            "model_num_parameters": self.language.num_parameters,
            "policy": "full" if arm.full else str(arm.policy),
            "policy_fingerprint": arm.fingerprint,
            "policy_fit": described(self._policy),
            "schedule": "none" if arm.full else section.schedule,
            **settings,
            **self.tally.to_dict(),
        }
