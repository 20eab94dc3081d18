"""The configuration of `namm-xmodal eval` for language models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from namm_xmodal.config.results import check_budgets, load_results_config, without_adapter
from namm_xmodal.config.save import ADAPTER
from namm_xmodal.config.validation import Strict


def _as_list(value: Any) -> Any:
    """Lets people write one value where a list is expected."""
    return value if isinstance(value, list | tuple) or value is None else [value]


BudgetValue = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)]
Protocols = Annotated[tuple[Literal["clock", "prompt_end"], ...], BeforeValidator(_as_list), Field(min_length=1)]
Scorings = Annotated[tuple[Literal["likelihood", "generate"], ...], BeforeValidator(_as_list), Field(min_length=1)]
Budgets = Annotated[tuple[BudgetValue, ...], BeforeValidator(_as_list)]


class BootstrapConfig(Strict):
    """How intervals are drawn."""

    resamples: int = Field(2000, ge=100, description="Bootstrap resamples of each interval. At least 100.")
    level: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals. Between 0 and 1.")
    seed: int = Field(0, ge=0, description="Seed of the resampling; it changes no result, only the intervals drawn.")


class EvalConfig(Strict):
    """Policies against tasks on one language model."""

    model: str = Field(
        min_length=1,
        description="A name of `namm-xmodal list models` (tiny-random is for tests), a folder, or a hub id.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of the weights: auto, float32, bfloat16 or float16."
    )
    device: str = Field("cpu", description="Where the model runs: cpu, cuda, cuda:1, mps.")
    threads: int = Field(
        1, ge=1, description="Threads of each worker; on a CPU two workers of one thread beat the reverse."
    )
    workers: int = Field(1, ge=1, description="Local processes; each loads the model. Results do not depend on it.")
    silence: float = Field(
        1800.0, gt=0, description="Seconds without a result after which a worker is ended and its work done again."
    )
    seed: int = Field(0, ge=0, description="Seed of the samples and of everything drawn while evaluating.")
    tasks: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="Label: {task: a name of `namm-xmodal list tasks`, n: samples, and the task's own fields}.",
    )
    policies: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="Label: {policy: a name of `namm-xmodal list policies`, and the policy's own fields}.",
    )
    budgets: Budgets = Field(
        (0.5, 0.25),
        description="Cache sizes for every policy with a budget that gives none of its own; a float in (0, 1] is a "
        "fraction of the tokens seen, an int is a number of tokens.",
    )
    update_every: int = Field(256, ge=1, description="Tokens between two updates of the cache under protocol clock.")
    protocols: Protocols = Field(
        ("clock",),
        description="clock: updates while the text is read. prompt_end: one update after prompt and question.",
    )
    protect_first: int = Field(4, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(8, ge=0, description="Newest tokens that are never evicted.")
    selection: Literal["ragged", "layer_max"] = Field(
        "ragged",
        description="ragged: every head keeps its own number of tokens. layer_max: as many as the largest head.",
    )
    attention: Literal["auto", "sdpa", "tiled"] = Field(
        "auto",
        description="For policies that read every attention row. tiled: one softmax for output and policy, faster. sdpa: "
        "bit-identical while nothing is evicted. auto: tiled in half precision, sdpa otherwise.",
    )
    scoring: Scorings = Field(
        ("likelihood", "generate"),
        description="likelihood: probability of the right answer. generate: greedy decoding, compared as text.",
    )
    generate_tokens: int = Field(16, ge=1, description="Most tokens to generate for an answer; a line break ends it.")
    bootstrap: BootstrapConfig = Field(default_factory=BootstrapConfig, description="How intervals are drawn.")
    output: str = Field("results/eval", min_length=1, description="Folder of the results.")

    @model_validator(mode="before")
    @classmethod
    def _adapter(cls, content: Any) -> Any:
        return without_adapter(content, ADAPTER)

    @field_validator("budgets")
    @classmethod
    def _budgets(cls, budgets: tuple[int | float, ...]) -> tuple[int | float, ...]:
        return check_budgets(budgets)

    @field_validator("protocols", "scoring")
    @classmethod
    def _no_repeats(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)}: a value is given twice; remove one")
        return values

    @model_validator(mode="after")
    def _room_for_protected(self) -> "EvalConfig":
        protected = self.protect_first + self.protect_recent
        for budget in self.budgets:
            if isinstance(budget, int) and budget < protected:
                raise ValueError(
                    f"budgets: {budget}: below protect_first + protect_recent = {protected}; "
                    "raise the budget or protect fewer tokens"
                )
        return self


def load_eval_config(name: str | Path, overrides: Sequence[str] = (), output: str | None = None) -> EvalConfig:
    """See `load_results_config`."""
    return load_results_config(EvalConfig, name, overrides, output)
