"""The section `language`: policies against tasks on one language model."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from namm_xmodal.config.section import Schedules, Section, as_list
from namm_xmodal.config.validation import Strict
from namm_xmodal.language.rope import Rope

Scorings = Annotated[tuple[Literal["likelihood", "generate"], ...], BeforeValidator(as_list), Field(min_length=1)]
Labels = Annotated[tuple[str, ...], BeforeValidator(as_list), Field(min_length=1)]


class RopeScaling(Strict):
    """How the model's positions are stretched."""

    rope_type: Literal["linear", "yarn", "ntk"] = Field(
        description="linear: positions are divided. yarn: slow dimensions only. ntk: the base grows, as in the NAMM paper."
    )
    factor: float = Field(gt=1, description="Factor by which the context becomes longer.")


class LanguageSection(Section):
    """Tasks of a language model."""

    tasks: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Label: {task: a name of `namm-xmodal list tasks`, n: samples, and the task's own fields}.",
    )
    suite: str | None = Field(
        None, min_length=1, description="A name of `namm-xmodal list suites`, or your own table of tasks (.yaml)."
    )
    data: str | None = Field(
        None,
        min_length=1,
        description="Folder of the suite, in its published layout; or hub, hub:owner/name or hub:owner/name@revision, to "
        "fetch it from the Hugging Face Hub.",
    )
    subset: Labels | None = Field(None, description="Tasks of the suite; default: all in the folder.")
    n: int | None = Field(None, ge=1, description="Items per task of the suite, the first of its file; default: all.")
    max_prompt: int | None = Field(
        None,
        ge=32,
        description="Maximum tokens of a suite prompt; longer ones lose their middle. Also limited by the model's "
        "context minus the tokens generated.",
    )
    chat: bool | Literal["auto"] = Field(
        False, description="Apply the tokenizer's chat template to suite prompts; auto: if it has one."
    )
    rope_scaling: RopeScaling | None = Field(
        None, description="Stretch the model's rotary positions, for texts longer than its context."
    )
    schedules: Schedules = Field(
        ("streaming",),
        description="streaming: evictions while the text is read, before the question is known. post_context: once, after "
        "the context and before the question. post_prefill: once, after context and question.",
    )
    scoring: Scorings = Field(
        ("likelihood", "generate"),
        description="likelihood: probability of the right answer. generate: greedy decoding, compared as text.",
    )
    generate_tokens: int = Field(
        16, ge=1, description="Maximum tokens to generate for an answer; a line break ends it."
    )

    @property
    def rope(self) -> Rope | None:
        """What the model is loaded with."""
        return None if self.rope_scaling is None else Rope(self.rope_scaling.rope_type, self.rope_scaling.factor)

    @field_validator("schedules", "scoring", "subset")
    @classmethod
    def _no_repeats(cls, values: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if values is not None and len(set(values)) < len(values):
            raise ValueError(f"{list(values)}: contains a value twice; remove one")
        return values

    @model_validator(mode="after")
    def _something_to_ask(self) -> "LanguageSection":
        of_suite = [
            key for key in OF_SUITES if key != "suite" and getattr(self, key) != type(self).model_fields[key].default
        ]
        if self.suite is None and of_suite:
            raise ValueError(
                f"{of_suite[0]}: only works with a suite; set suite to a name of `namm-xmodal list suites`"
            )
        if self.suite is None and not self.tasks:
            raise ValueError("tasks: missing; expected tasks, or suite: a name of `namm-xmodal list suites`")
        if self.suite is not None and "generate" not in self.scoring:
            raise ValueError(f"scoring: {list(self.scoring)}: answers of a suite are generated; add generate")
        return self


OF_SUITES = ("suite", "data", "subset", "n", "max_prompt", "chat")
"""Keys that only mean something for a suite; without one they are left out of digests, which are older than they are."""
