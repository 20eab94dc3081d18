"""The sections of an evolution file; each mirrors one part of a run and adds no defaults of its own."""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from namm_xmodal.config.validation import Strict


class StrategyConfig(Strict):
    """The evolution strategy; further keys are its own options (`namm-xmodal list strategies`)."""

    model_config = ConfigDict(extra="allow", frozen=True, validate_default=True)

    name: str = Field("cma", min_length=1, description="A name of `namm-xmodal list strategies`, such as cma or paper.")
    population: int | None = Field(
        None, strict=True, description="Population size, at least 4. Default: the strategy's own, 16 for most."
    )
    sigma0: float | None = Field(
        None, description="Initial standard deviation of every parameter. Default: the strategy's own, 0.065."
    )


class EvaluatorConfig(Strict):
    """Where members are scored. Results do not depend on it."""

    kind: Literal["in_process", "processes", "ray"] = Field(
        "in_process", description="in_process, processes (of this machine) or ray (a cluster; needs namm-xmodal[ray])."
    )
    workers: int = Field(1, ge=1, description="Number of processes or Ray actors; each loads the models.")
    retries: int = Field(2, ge=0, description="Retries of a piece of work whose worker died.")
    silence: float = Field(
        1800.0, gt=0, description="Seconds without an answer after which a worker is killed and its work repeated."
    )
    address: str | None = Field(None, description="Ray: auto, or the address of a cluster; default: a local Ray.")
    num_gpus: float = Field(0.0, ge=0, description="Ray: GPUs per actor; a fraction shares one.")
    num_cpus: float = Field(1.0, ge=0, description="Ray: CPU cores per actor.")

    @model_validator(mode="after")
    def _one_process_has_one_worker(self) -> "EvaluatorConfig":
        if self.kind == "in_process" and self.workers > 1:
            raise ValueError(f"workers: {self.workers}: kind in_process has one worker; set kind: processes (or ray)")
        return self


class StatisticsConfig(Strict):
    """Statistics by which features are standardised; frozen before the first generation and saved with the policy."""

    samples: int = Field(
        8, ge=1, description="Training samples per task that the unpruned models read to estimate the statistics."
    )
    path: str | None = Field(
        None,
        description=(
            "Saved policy or run to copy the statistics from instead. A stage (`after`) uses those of the previous "
            "stage."
        ),
    )


class PolicyGradientConfig(Strict):
    """How evictions are sampled with `estimator: policy_gradient`."""

    rollouts: int = Field(
        8, ge=2, description="Forward passes per sample and step, in one batch, each with its own evictions."
    )
    temperature: float = Field(
        0.1, gt=0, description="A token is kept with probability sigmoid((score - threshold) / temperature)."
    )


class GradientConfig(Strict):
    """`namm-xmodal warm-start`: pre-training by gradients on the run's training tasks."""

    estimator: Literal["straight_through", "policy_gradient"] = Field(
        "straight_through",
        description=(
            "straight_through: gradients through the base model, past hard evictions. policy_gradient: from the "
            "rewards of random evictions, without a backward pass through the model."
        ),
    )
    policy_gradient: PolicyGradientConfig = Field(
        default_factory=PolicyGradientConfig, description="How policy_gradient samples evictions."
    )
    selection: Literal["pooled", "head"] = Field(
        "pooled",
        description=(
            "What the budget applies to. pooled: all layers and heads together, by one threshold per number of tokens "
            "seen. head: every head by itself, as with max_tokens; the policy is saved this way, for any length and "
            "model."
        ),
    )
    smallest_budget: float | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "With selection: head: from step `anneal` on, each sample draws its budget log-uniformly between this and "
            "`budget`."
        ),
    )
    share_of: Literal["seen", "whole"] = Field(
        "seen",
        description=(
            "With selection: head: what budgets are shares of. seen: the tokens seen at each update. whole: the whole "
            "sample, so that every update leaves the same number of tokens, as in evaluations."
        ),
    )
    steps: int = Field(150, ge=1, description="Number of steps, each on `samples` samples per task.")
    rate: float = Field(0.01, gt=0, description="Learning rate: the largest change of a parameter per step.")
    first_budget: float = Field(0.6, gt=0, le=1, description="Kept fraction in the first step.")
    budget: float = Field(0.2, gt=0, le=1, description="Kept fraction from step `anneal` on.")
    anneal: int = Field(50, ge=1, description="Steps over which the budget falls linearly from first to last.")
    floor: int = Field(96, ge=0, description="Minimum number of tokens kept, whatever the budget.")
    sigma: float = Field(0.1, gt=0, description="Standard deviation of the random start.")

    scale: Literal["parameter", "vector"] = Field(
        "parameter",
        description=(
            "What a step divides the gradient by. parameter: each parameter's own size, as in Adam, so that all move "
            "alike. vector: the size of the whole gradient, so that each moves as far as it matters, which preserves a "
            "good start."
        ),
    )
    trained: Literal["all", "last_layer"] = Field(
        "all",
        description=(
            "Which parameters are trained. last_layer: only the channel weights in the last layer of the bam scorer, "
            "those that a `start` of weights sets; a few dozen, which limits both forgetting and overfitting."
        ),
    )
    average: float = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "With selection: head: final share of the steps whose parameters are averaged; 0 uses the last step."
        ),
    )

    @model_validator(mode="after")
    def _draws_what_heads_can_keep(self) -> "GradientConfig":
        smallest = self.smallest_budget
        if smallest is not None and self.selection == "pooled":
            raise ValueError(
                f"smallest_budget: {smallest}: not possible with pooled thresholds, which have one size; set "
                "selection: head"
            )
        if self.average and self.selection == "pooled":
            raise ValueError(
                f"average: {self.average}: not possible with pooled thresholds, which are those of the last step; set "
                "selection: head"
            )
        if self.share_of == "whole" and self.selection == "pooled":
            raise ValueError(
                "share_of: whole: not possible with pooled thresholds, which depend on the tokens seen; set selection: "
                "head"
            )
        if smallest is not None and smallest > self.budget:
            raise ValueError(f"smallest_budget: {smallest}: expected at most budget = {self.budget}")
        return self


class SizePressureConfig(Strict):
    """Penalty on cache size: fitness = score relative to the full cache - weight x kept fraction."""

    schedule: Literal["constant", "ramp", "constrained"] = Field(
        "constrained",
        description=(
            "constant: always weight. ramp: from start to weight. constrained: rises while the score is at least the "
            "target, else falls."
        ),
    )
    weight: float = Field(0.6, ge=0, description="Constant, final or largest weight. 1 or more risks collapse.")
    start: float = Field(0.05, ge=0, description="Initial weight of ramp and constrained.")
    generations: int = Field(50, ge=1, description="Length of the ramp in generations.")
    floor: float = Field(0.95, description="constrained: target for the mean score, 1 = the full cache's.")
    step: float = Field(0.01, gt=0, description="constrained: change of the weight per generation.")


class TrackingConfig(Strict):
    """Loggers that mirror the journal; one that fails is dropped with a notice (needs namm-xmodal[tracking])."""

    tensorboard: bool = Field(False, description="Write TensorBoard event files into <run>/tensorboard.")
    wandb: bool = Field(False, description="Log to Weights & Biases.")
    project: str = Field("namm-xmodal", min_length=1, description="Weights & Biases: project name.")
    mode: Literal["online", "offline", "disabled"] | None = Field(
        None, description="Weights & Biases: online, offline or disabled. Default: the variable WANDB_MODE."
    )
