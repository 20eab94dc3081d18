"""Keys that all sections of an evaluation share: policies, budgets, update schedule and device."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from namm_xmodal.config.validation import Strict
from namm_xmodal.types import ReadingSchedule


def as_list(value: Any) -> Any:
    """Lets people write one value where a list is expected."""
    return value if isinstance(value, list | tuple) or value is None else [value]


BudgetValue = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)]
Budgets = Annotated[tuple[BudgetValue, ...], BeforeValidator(as_list)]
Schedules = Annotated[tuple[ReadingSchedule, ...], BeforeValidator(as_list), Field(min_length=1)]
Fitting = Literal["frozen", "estimated", "estimated_by_layer"]


class Section(Strict):
    """One modality's part of an evaluation. Keys of this class may stand at the top of a file, for all its sections."""

    model: str = Field(
        min_length=1, description="A name of `namm-xmodal list models`, a folder, or a hub id of this modality."
    )
    dtype: Literal["auto", "float64", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of the weights; auto is the model's own, or what the device computes fastest in."
    )
    device: str = Field("cpu", description="Where the model runs: cpu, cuda, cuda:1, mps.")
    threads: int = Field(
        1, ge=1, description="Threads of each worker; two single-threaded workers beat one worker with two threads."
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: samples, generated videos, resets of episodes.")
    policies: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="Label: {policy: a name of `namm-xmodal list policies`, and the policy's own fields}.",
    )
    budgets: Budgets = Field(
        (0.5, 0.25),
        description=(
            "Cache sizes for every policy that needs a budget and sets none; a float in (0, 1] is a fraction of the "
            "tokens seen, an int is a number of tokens."
        ),
    )
    fit: Fitting = Field(
        "frozen",
        description=(
            "Feature statistics of NAMMs that set none. frozen: those saved with the policy. estimated: estimated on "
            "the evaluated model with a full cache, without labels. estimated_by_layer: the same, one set per layer."
        ),
    )
    update_every: int = Field(256, ge=1, description="Tokens between two updates of the cache.")
    protect_first: int = Field(4, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(8, ge=0, description="Newest tokens that are never evicted.")
    selection: Literal["ragged", "layer_max"] = Field(
        "ragged",
        description=(
            "ragged: every head keeps its own number of tokens. layer_max: as many as the head of the layer that keeps "
            "most."
        ),
    )
    attention: Literal["auto", "sdpa", "tiled"] = Field(
        "auto",
        description=(
            "Attention for policies that read every attention row. tiled: one softmax for output and policy, faster. "
            "sdpa: bit-identical while nothing is evicted. auto: tiled in half precision, sdpa otherwise."
        ),
    )

    @field_validator("budgets")
    @classmethod
    def _sizes(cls, budgets: tuple[int | float, ...]) -> tuple[int | float, ...]:
        for budget in budgets:
            if isinstance(budget, float) and not 0 < budget <= 1:
                raise ValueError(f"{budget}: expected a fraction in (0, 1]; write an integer for a number of tokens")
            if isinstance(budget, int) and budget < 1:
                raise ValueError(f"{budget}: expected at least 1 token, or a fraction in (0, 1] such as 0.5")
        if len(set(map(repr, budgets))) < len(budgets):
            raise ValueError(f"{list(budgets)}: contains a budget twice; remove one")
        return budgets

    @model_validator(mode="after")
    def _room_for_protected(self) -> "Section":
        protected = self.protect_first + self.protect_recent
        for budget in self.budgets:
            if isinstance(budget, int) and budget < protected:
                raise ValueError(
                    f"budgets: {budget}: below protect_first + protect_recent = {protected}; "
                    "raise the budget or protect fewer tokens"
                )
        return self
