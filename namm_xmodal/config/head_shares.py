"""The configuration of `namm-xmodal head-shares`: how a budget is divided among the heads of one model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from namm_xmodal.config.agree import KINDS, AgreeSource
from namm_xmodal.config.loader import load_mapping, resolve_config
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.policies import build_policy
from namm_xmodal.config.sources import read_sources
from namm_xmodal.config.validation import Strict, validate
from namm_xmodal.policies.budgeted import only_scores
from namm_xmodal.policies.namm import Namm


class HeadSharesConfig(Strict):
    """Finds the head shares at which the pruned model agrees best with its full cache."""

    agree: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description=(
            "Unlabelled inputs: language, video or rl; several of a kind as language@code, all for one model. Keys as "
            "under `agree` of `train`."
        ),
    )
    method: Literal["agreement", "duo_attention"] = Field(
        "agreement",
        description=(
            "agreement: by gradients of the distance to the full cache. duo_attention: the baseline; heads whose mean "
            "query attends far back keep everything, the others a window."
        ),
    )
    window: float = Field(
        0.05, gt=0, lt=1, description="With duo_attention: share of the tokens seen that windowed heads keep."
    )
    policy: dict[str, Any] = Field(
        {"policy": "geometry"},
        description="Policy that ranks a head's tokens: one that only scores, or a NAMM.",
    )
    budget: float = Field(0.25, gt=0, lt=1, description="Share of the tokens seen that a head keeps on average.")
    steps: int = Field(
        30, ge=1, description=("Number of steps; each is a forward and a backward pass over `samples` inputs.")
    )
    samples: int = Field(1, ge=1, description="Inputs per source and step.")
    rate: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Standard deviation of the first step in the logarithm of the shares; falls to a fifth.",
    )
    held_out: int = Field(
        6,
        ge=1,
        description=("Number of last inputs per source that are never trained on; the shares are evaluated on them."),
    )
    protect_first: int = Field(4, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(8, ge=0, description="Newest tokens that are never evicted.")
    seed: int = Field(0, ge=0, description="Seed of the order of inputs.")
    run: str = Field(min_length=1, description="Folder of the run; `--run` overrides it.")

    @model_validator(mode="after")
    def _one_model(self) -> "HeadSharesConfig":
        sources = self.sources()
        models = sorted({source.model for source in sources.values()})
        if len(models) > 1:
            raise ValueError(f"agree: {' and '.join(models)}: head shares belong to one model; make a run for each")
        for name, source in sources.items():
            for key in sorted({"samples", "weight", "smallest_budget"} & source.model_fields_set):
                raise ValueError(f"agree.{name}.{key}: only applies to `train`; remove it")
            if source.budget is not None:
                raise ValueError(
                    f"agree.{name}.budget: {source.budget:g}: head shares have one budget; set `budget` at the top "
                    "instead"
                )
            if source.count < self.held_out + self.samples:
                raise ValueError(
                    f"agree.{name}.count: {source.count}: expected at least held_out={self.held_out} plus "
                    f"samples={self.samples} for the steps"
                )
        self._check_method()
        if "budget" in self.policy:
            raise ValueError(f"policy.budget: {self.policy['budget']}: set `budget` at the top instead")
        policy = build_policy(self.policy, "policy")
        if not isinstance(policy, Namm) and not only_scores(policy):
            raise ValueError(
                f"policy: {type(policy).__name__}: expected a policy that only scores, such as geometry, or a NAMM"
            )
        if policy.reads.queries:
            raise ValueError(
                f"policy: {type(policy).__name__}: reads queries, which are not available in gradient steps; use "
                "geometry or keydiff, whose shares also work for other policies"
            )
        return self

    def _check_method(self) -> None:
        for key in sorted(self.ignored() & self.model_fields_set):
            raise ValueError(f"{key}: has no effect with method: {self.method}; remove it")
        if self.method == "duo_attention" and self.window >= self.budget:
            raise ValueError(f"window: {self.window:g}: expected less than the budget, {self.budget:g}")

    def ignored(self) -> set[str]:
        """Keys that have no effect with this method."""
        return {"window"} if self.method == "agreement" else {"steps", "samples", "rate", "seed"}

    def sources(self) -> dict[str, AgreeSource]:
        """The sources by name, validated.

        Raises:
            ValueError: If a kind is unknown or a key does not fit; for pydantic.
        """
        return read_sources(self.agree, KINDS, "agree")

    def _budget(self) -> dict[str, float]:
        return {} if self.policy.get("policy") == "namm" else {"budget": self.budget}

    def ranking(self) -> Any:
        """The policy that says which tokens a head keeps."""
        return build_policy({**self.policy, **self._budget()}, "policy")


def load_head_shares_config(
    name: str | Path, overrides: Sequence[str] = (), run: str | None = None
) -> HeadSharesConfig:
    """Reads, merges, overrides and validates.

    Raises:
        ConfigError: With one line that names file, key, value and what is expected.
    """
    from namm_xmodal.config.commands import refuse_other_command  # which knows the model of every command

    content = load_mapping(resolve_config(name))
    refuse_other_command("head-shares", content, str(name))
    content = apply_overrides(content, overrides)
    if run is not None:
        content = {**content, "run": run}
    return validate(HeadSharesConfig, content, str(name))
