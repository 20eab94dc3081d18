"""The sections of an evolution file; each mirrors one part of a run and adds no defaults of its own to it."""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from namm_xmodal.config.validation import Strict


class StrategyConfig(Strict):
    """The evolution strategy; further keys are its own options (`namm-xmodal list strategies`)."""

    model_config = ConfigDict(extra="allow", frozen=True, validate_default=True)

    name: str = Field("cma", min_length=1, description="A name of `namm-xmodal list strategies`, such as cma or paper.")
    population: int | None = Field(
        None, strict=True, description="Members of a generation, at least 4. Default: the strategy's own, 16 for most."
    )
    sigma0: float | None = Field(
        None, description="First standard deviation of every parameter. Default: the strategy's own, 0.065."
    )


class EvaluatorConfig(Strict):
    """Where members are scored. Results do not depend on it."""

    kind: Literal["in_process", "processes", "ray"] = Field(
        "in_process", description="in_process, processes (of this machine) or ray (a cluster; needs namm-xmodal[ray])."
    )
    workers: int = Field(1, ge=1, description="Processes or Ray actors; each loads the models.")
    retries: int = Field(2, ge=0, description="How often a piece of work may outlive a worker that died.")
    silence: float = Field(
        1800.0, gt=0, description="Seconds without an answer after which a worker is ended and its work done again."
    )
    address: str | None = Field(None, description="Ray: auto or the address of a cluster; without it a local Ray.")
    num_gpus: float = Field(0.0, ge=0, description="Ray: GPUs of each actor; a fraction shares one.")
    num_cpus: float = Field(1.0, ge=0, description="Ray: cores of each actor.")

    @model_validator(mode="after")
    def _one_process_has_one_worker(self) -> "EvaluatorConfig":
        if self.kind == "in_process" and self.workers > 1:
            raise ValueError(f"workers: {self.workers}: in_process has one; use kind: processes (or ray)")
        return self


class StatisticsConfig(Strict):
    """What features are standardised by: frozen before the first generation, saved with the policy."""

    samples: int = Field(
        8, ge=1, description="Training samples of each task, read by the unpruned models to estimate the statistics."
    )
    path: str | None = Field(
        None,
        description="Take them from a saved policy or from another run instead. A stage (`after`) takes those of the "
        "stage before.",
    )


class PolicyGradientConfig(Strict):
    """How evictions are drawn for `estimator: policy_gradient`."""

    rollouts: int = Field(
        8, ge=2, description="Forward passes of each sample a step, in one batch, each with evictions of its own."
    )
    temperature: float = Field(
        0.1, gt=0, description="A token stays with the chance sigmoid((score - threshold) / temperature)."
    )


class GradientConfig(Strict):
    """`namm-xmodal warm-start`: gradients to a first mean, on the run's own training tasks."""

    estimator: Literal["straight_through", "policy_gradient"] = Field(
        "straight_through",
        description="straight_through: through the base model, past hard evictions. policy_gradient: from the rewards of "
        "random evictions, without a backward pass.",
    )
    policy_gradient: PolicyGradientConfig = Field(
        default_factory=PolicyGradientConfig, description="How policy_gradient draws evictions."
    )
    selection: Literal["pooled", "head"] = Field(
        "pooled",
        description="What has the wanted size. pooled: layers and heads together, by a threshold for each number of tokens "
        "seen. head: every head by itself, as with max_tokens; the policy is saved so, for any length and model.",
    )
    smallest_budget: float | None = Field(
        None,
        gt=0,
        le=1,
        description="With selection: head: from step `anneal` on, each sample draws its budget between this and `budget`, "
        "every octave alike.",
    )
    share_of: Literal["seen", "whole"] = Field(
        "seen",
        description="With selection: head: what budgets are shares of. seen: of the tokens seen at each update. whole: of "
        "the whole sample, so that every update leaves the same number of tokens, as in evaluations.",
    )
    steps: int = Field(150, ge=1, description="Steps, each on `samples` samples of each task.")
    rate: float = Field(0.01, gt=0, description="Largest change of a parameter per step.")
    first_budget: float = Field(0.6, gt=0, le=1, description="Kept fraction aimed at in the first step.")
    budget: float = Field(0.2, gt=0, le=1, description="Kept fraction aimed at from step `anneal` on.")
    anneal: int = Field(50, ge=1, description="Steps from the first budget to the last, on a straight line.")
    floor: int = Field(96, ge=0, description="Tokens kept at least, whatever the budget.")
    sigma: float = Field(0.1, gt=0, description="Deviation of the random start.")

    scale: Literal["parameter", "vector"] = Field(
        "parameter",
        description="What a step divides the gradient by. parameter: the size of each parameter's own, as Adam does, so "
        "all move alike. vector: that of the whole gradient, so each moves as far as it matters, and a good start is kept.",
    )
    trained: Literal["all", "last_layer"] = Field(
        "all",
        description="Which parameters move. last_layer: the weights of channels in the last layer of the bam scorer, those "
        "that a `start` of weights sets; a few dozen, which cannot unlearn much nor learn by heart.",
    )
    average: float = Field(
        0.0,
        ge=0,
        le=1,
        description="With selection: head: share of the steps, the last ones, whose parameters are averaged in the end; 0 "
        "for those of the last step.",
    )

    @model_validator(mode="after")
    def _draws_what_heads_can_keep(self) -> "GradientConfig":
        smallest = self.smallest_budget
        if smallest is not None and self.selection == "pooled":
            raise ValueError(f"smallest_budget: {smallest}: pooled thresholds are of one size; set selection: head")
        if self.average and self.selection == "pooled":
            raise ValueError(f"average: {self.average}: pooled thresholds are of the last step; set selection: head")
        if self.share_of == "whole" and self.selection == "pooled":
            raise ValueError("share_of: whole: pooled thresholds follow the tokens seen; set selection: head")
        if smallest is not None and smallest > self.budget:
            raise ValueError(f"smallest_budget: {smallest}: expected at most budget = {self.budget}")
        return self


class SizePressureConfig(Strict):
    """What a kept token costs: fitness = score over the full cache's - weight x kept fraction."""

    schedule: Literal["constant", "ramp", "constrained"] = Field(
        "constrained",
        description="constant: always weight. ramp: from start to weight. constrained: up while the score holds, else "
        "down.",
    )
    weight: float = Field(0.6, ge=0, description="Constant, last or largest weight. 1 or more invites collapse.")
    start: float = Field(0.05, ge=0, description="First weight of ramp and constrained.")
    generations: int = Field(50, ge=1, description="Length of the ramp.")
    floor: float = Field(0.95, description="constrained: mean score that has to hold, 1 = the full cache's.")
    step: float = Field(0.01, gt=0, description="constrained: change of the weight per generation.")


class TrackingConfig(Strict):
    """Mirrors of the journal; one that fails is dropped with a notice (needs namm-xmodal[tracking])."""

    tensorboard: bool = Field(False, description="Write event files into <run>/tensorboard.")
    wandb: bool = Field(False, description="Log to Weights & Biases.")
    project: str = Field("namm-xmodal", min_length=1, description="Weights & Biases: the project.")
    mode: Literal["online", "offline", "disabled"] | None = Field(
        None, description="Weights & Biases: online, offline or disabled. Default: what WANDB_MODE says."
    )
