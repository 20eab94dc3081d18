"""The section `rl`: policies in the memory of Decision Transformers that act."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from namm_xmodal.config.section import Budgets, Section, as_list

WINDOW_POLICY = "window"
"""Name of the policy that only agents have: the last steps, computed anew at every step."""

Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(as_list), Field(min_length=1)]


class RlSection(Section):
    """Episodes of trained agents."""

    model: str = Field(
        min_length=1,
        description="A shipped family (hopper-long, tmaze, ...), a folder with a model or with seed-0, seed-1, ..., or a "
        "hub id such as edbeeching/decision-transformer-gym-hopper-medium.",
    )
    model_seeds: Seeds | None = Field(None, description="Which models of a family; all if absent.")
    state_statistics: str | None = Field(
        None, description="JSON file with lists mean and std of the training states, for models that bring none."
    )
    environment: str | None = Field(
        None, description="Gymnasium id with its version; the one that the model's data come from if absent."
    )
    environment_options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the environment, such as length and distractors of the T-maze."
    )
    other_version: bool = Field(
        False, description="Allow another version of the environment than the one that the model's data come from."
    )
    target: float | None = Field(None, description="Return to ask for; the one fixed with the model if absent.")
    scale: float | None = Field(None, gt=0, description="Returns are divided by it; the model's own if absent.")
    mode: Literal["decrement", "constant"] | None = Field(
        None, description="Whether rewards are taken off the target; as the model was trained if absent."
    )
    episodes: int = Field(20, ge=1, description="Episodes of each model under each policy.")
    seed: int = Field(1000, ge=0, description="Seed of the first episode's reset; the next ones count on.")
    max_steps: int = Field(1000, ge=1, description="Steps after which an episode is stopped.")
    batch: int = Field(20, ge=1, description="Episodes at once; in float64 results do not depend on it.")
    dtype: Literal["float64", "float32"] = Field(
        "float64", description="Precision: in float64 results do not depend on the batch, float32 is faster."
    )
    budgets: Budgets = Field(
        (150,), description="Tokens kept, three per step, for every policy with a budget that gives none of its own."
    )
    update_every: int = Field(
        48, ge=1, description="Tokens between two updates; three per step; a NAMM needs 16, 32, ..."
    )
    protect_first: int = Field(0, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(6, ge=0, description="Newest tokens that are never evicted; 3 are the newest step.")
    attention: Literal["auto", "sdpa", "tiled"] = Field(
        "tiled", description="For policies that read every attention row; tiled is the fastest here."
    )
    evict: Literal["tokens", "steps"] = Field(
        "tokens", description="tokens: one by one. steps: return, state and action of a step together."
    )
    within: int | None = Field(
        None, ge=1, description="Tokens that any policy may hold at most: a sliding window; none if absent."
    )
    estimation_episodes: int = Field(4, ge=1, description="Episodes that statistics are estimated from.")
    score: Literal["d4rl", "dataset", "measured", "return", "success"] = Field(
        "d4rl",
        description="d4rl: published constants. dataset: what the Minari `dataset` names. measured: `references`. return: "
        "returns as they are. success: returns of 0 or 1, of which the mean is shown, not the interquartile mean.",
    )
    dataset: str | None = Field(None, description="Minari dataset whose reference returns `score: dataset` uses.")
    references: tuple[float, float] | None = Field(
        None, description="Returns that measured scores call 0 and 100, such as a random and an expert policy's."
    )
    survivors: bool = Field(False, description="Count what stays in memory, by kind and age, and draw it.")
