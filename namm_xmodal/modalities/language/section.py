"""The section `language`: policies against tasks on one language model."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from namm_xmodal.config.section import Schedules, Section, as_list

Scorings = Annotated[tuple[Literal["likelihood", "generate"], ...], BeforeValidator(as_list), Field(min_length=1)]


class LanguageSection(Section):
    """Tasks of a language model."""

    tasks: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="Label: {task: a name of `namm-xmodal list tasks`, n: samples, and the task's own fields}.",
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
    generate_tokens: int = Field(16, ge=1, description="Most tokens to generate for an answer; a line break ends it.")

    @field_validator("schedules", "scoring")
    @classmethod
    def _no_repeats(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)}: a value is given twice; remove one")
        return values
