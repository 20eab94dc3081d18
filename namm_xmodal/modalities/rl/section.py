"""The section `rl`: policies in the memory of Decision Transformers that act."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from namm_xmodal.config.section import Budgets, Section, as_list

WINDOW_POLICY = "window"
"""Name of the policy that only agents have: the last steps, recomputed at every step."""

Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(as_list), Field(min_length=1)]


class RlSection(Section):
    """Episodes of trained agents."""

    model: str = Field(
        min_length=1,
        description="A shipped family (hopper-long, tmaze, ...), a folder with a model or with seed-0, seed-1, ..., or a "
        "hub id such as edbeeching/decision-transformer-gym-hopper-medium.",
    )
    model_seeds: Seeds | None = Field(None, description="Seeds of the models of a family; default: all.")
    state_statistics: str | None = Field(
        None, description="JSON file with lists mean and std of the training states, for models without them."
    )
    environment: str | None = Field(
        None, description="Gymnasium id with its version; default: that of the model's data."
    )
    environment_options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the environment, such as length and distractors of the T-maze."
    )
    other_version: bool = Field(
        False, description="Allow another version of the environment than that of the model's data."
    )
    target: float | None = Field(None, description="Target return; default: that of the model.")
    scale: float | None = Field(None, gt=0, description="Divisor of returns; default: that of the model.")
    mode: Literal["decrement", "constant"] | None = Field(
        None, description="Whether rewards are subtracted from the target return; default: as the model was trained."
    )
    episodes: int = Field(20, ge=1, description="Episodes per model and policy.")
    seed: int = Field(
        1000, ge=0, description="Seed of the first episode's reset; later episodes use the following numbers."
    )
    max_steps: int = Field(1000, ge=1, description="Steps after which an episode is stopped.")
    batch: int = Field(20, ge=1, description="Episodes in one batch; in float64 results do not depend on it.")
    dtype: Literal["float64", "float32"] = Field(
        "float64", description="Precision: in float64 results do not depend on the batch, float32 is faster."
    )
    budgets: Budgets = Field(
        (150,), description="Tokens kept, three per step, for every policy that needs a budget and sets none."
    )
    update_every: int = Field(
        48, ge=1, description="Tokens between two updates; three per step; a NAMM needs 16, 32, ..."
    )
    protect_first: int = Field(0, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(6, ge=0, description="Newest tokens that are never evicted; 3 are the newest step.")
    attention: Literal["auto", "sdpa", "tiled"] = Field(
        "tiled", description="Attention for policies that read every attention row; tiled is the fastest here."
    )
    evict: Literal["tokens", "steps"] = Field(
        "tokens", description="tokens: one by one. steps: return, state and action of a step together."
    )
    within: int | None = Field(
        None, ge=1, description="Sliding window: the maximum number of tokens that any policy may keep; default: none."
    )
    estimation_episodes: int = Field(4, ge=1, description="Number of episodes to estimate statistics from.")
    score: Literal["d4rl", "dataset", "measured", "return", "success"] = Field(
        "d4rl",
        description="Normalisation of returns. d4rl: published constants. dataset: reference returns of the Minari "
        "`dataset`. measured: `references`. return: none. success: returns of 0 or 1, shown as mean instead of "
        "interquartile mean.",
    )
    dataset: str | None = Field(None, description="Minari dataset whose reference returns `score: dataset` uses.")
    references: tuple[float, float] | None = Field(
        None,
        description="Returns that count as 0 and 100 in measured scores, such as those of a random and an expert "
        "policy.",
    )
    survivors: bool = Field(False, description="Count the tokens kept by kind and age, and plot them.")
