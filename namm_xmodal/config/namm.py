"""NAMM settings in a configuration: where the weights come from, and inference-time options."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from namm_xmodal.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from namm_xmodal.policies.namm import Namm


@dataclass(frozen=True)
class NammSpec:
    """A NAMM as written in a configuration; give `path` for an evolved one or `init` for an untrained one.

    Attributes:
        path: Folder, name of a policy shipped with the package, or hub id.
        revision: Branch, tag or commit on the hub.
        init: `zeros` (keeps everything at threshold 0) or `random`.
        sigma: Deviation of random parameters.
        seed: Seed of random parameters.
        scorer: `bam` or `mlp`, for untrained ones.
        features: Channels that an untrained one sees, as in a file of `namm-xmodal evolve`.
        threshold: Tokens that score at least this are kept; `-.inf` with a budget keeps the best-scored ones.
        budget: Most tokens kept per head: a fraction of the tokens seen, or a number of tokens; no bound if absent.
        max_tokens: Another name of `budget`, as the Python API calls it.
        beyond: After more tokens than the thresholds were found for: the share of the tokens seen that every layer
            keeps, or `last`, the last threshold; as saved with the policy if absent.
        statistics: What features are standardised by: `frozen`, those saved with the policy, or `estimated` on the
            model that is evaluated, from plain text. They decide what transfers, so results name them.
        calibrated: Share of plain text that is kept on the model that is evaluated: thresholds are found for it before
            the first sample, without labels (`namm-xmodal eval` only; `namm-xmodal calibrate` saves such a policy).
    """

    path: str | None = None
    revision: str | None = None
    init: Literal["zeros", "random"] | None = None
    sigma: float = 0.065
    seed: int = 0
    scorer: Literal["bam", "mlp"] = "bam"
    features: str | tuple[str | dict[str, Any], ...] = "spectrogram"
    threshold: float | None = None
    budget: int | float | None = None
    max_tokens: int | float | None = None
    beyond: float | Literal["last"] | None = None
    statistics: Literal["frozen", "estimated"] = "frozen"
    calibrated: float | None = None

    def make(self, path: str) -> "Namm":
        """Loads or makes the policy.

        Args:
            path: Where the mapping stands in the configuration, for messages.
        """
        from namm_xmodal.policies.namm import BamScorer, MlpScorer, Namm, make_features

        if (self.path is None) == (self.init is None):
            found = "neither is" if self.path is None else f"both path: {self.path} and init: {self.init} are"
            raise ConfigError(
                f"{path}: {found} given; expected either path (an evolved NAMM) or init: zeros | random (an untrained "
                "one)"
            )
        unread = ("sigma", "seed", "scorer", "features") if self.init is None else ("revision",)
        for each in fields(self):
            if each.name in unread and getattr(self, each.name) != each.default:
                kind = "an untrained one: init" if self.init is None else "an evolved one: path"
                raise ConfigError(f"{path}.{each.name}: only applies to {kind}, which is not given; remove it")
        if self.budget is not None and self.max_tokens is not None:
            raise ConfigError(f"{path}.max_tokens: is an alias of budget, which is also given; remove one")
        if self.calibrated is not None and not 0 < self.calibrated < 1:
            raise ConfigError(f"{path}.calibrated: {self.calibrated}: expected a share between 0 and 1, such as 0.25")
        if self.calibrated is not None and self.threshold is not None:
            raise ConfigError(f"{path}.calibrated: finds thresholds, but threshold is also given; remove one")
        if self.calibrated is not None and self.beyond is not None:
            raise ConfigError(f"{path}.calibrated: holds its share at any length, but beyond is also given; remove one")
        if isinstance(self.beyond, float) and not 0 < self.beyond <= 1:
            raise ConfigError(f"{path}.beyond: {self.beyond}: expected a share in (0, 1], such as 0.25, or last")
        bound = self.max_tokens if self.budget is None else self.budget
        given = {"threshold": self.threshold, "max_tokens": bound}
        knobs: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if self.path is not None:
            return Namm.from_pretrained(self.path, revision=self.revision, beyond=self.beyond, **knobs)
        assert self.init is not None
        scorer = BamScorer() if self.scorer == "bam" else MlpScorer()
        try:
            features = make_features(self.features)
        except (ConfigError, UnknownNameError) as error:
            raise ConfigError(f"{path}.features: {error}") from None
        made = Namm.untrained(self.init, sigma=self.sigma, seed=self.seed, features=features, scorer=scorer, **knobs)
        return made if self.beyond is None else made.holding(self.beyond)
