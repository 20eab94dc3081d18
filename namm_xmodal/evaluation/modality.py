"""The interface of a modality: its items, its arms, and a session that runs arms on items."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from namm_xmodal.config.section import Section
from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.arm import Arm, Schedule, in_order, policy_arms
from namm_xmodal.evaluation.bootstrap import Estimator
from namm_xmodal.evaluation.exhibit import Exhibit

if TYPE_CHECKING:
    from namm_xmodal.memory import MemoryReport

Status = Literal["scored", "skipped", "failed"]
OnStatus = Callable[[str], None]
"""Called with what is being done, while one piece of work is under way."""


@dataclass(frozen=True)
class Item:
    """What every arm is evaluated on: a sample of a task, a question about a video, an episode of a model.

    Attributes:
        id: Unique within the section, and the same whatever else is asked for.
        task: What scores are averaged over: a task, a benchmark, an environment.
        number: Of the item within its task; the same number is the same item for every arm.
        group: Items of one group are worked on together, and are not independent if the metric says so.
        stratum: What the item was chosen from, not sampled: a type of question, a trained model. Empty if nothing.
        tags: What scores are also shown by: length, depth, duration, kind; a session may add what shows only when it
            runs.
        content: What the session needs to find the item again; picklable.
    """

    id: str
    task: str
    number: int
    group: str
    stratum: str = ""
    tags: Mapping[str, str | int | float] = field(default_factory=dict)
    content: Any = None


@dataclass(frozen=True)
class Kept:
    """The size of a cache when the answer is produced, or at the end of an episode.

    Attributes:
        fraction: Tokens kept over those of a full cache (of a video: visual tokens), averaged over layers and heads.
        tokens: Tokens kept, averaged over layers and heads.
        live_bytes: Bytes of keys and values of live tokens.
        allocated_bytes: Bytes that the cache allocates, dead slots and policy state included.
        full_bytes: Bytes that a full cache would take.
    """

    fraction: float = 0.0
    tokens: float = 0.0
    live_bytes: int = 0
    allocated_bytes: int = 0
    full_bytes: int = 0

    @classmethod
    def of(cls, report: "MemoryReport", fraction: float | None = None, tokens: float | None = None) -> "Kept":
        """What a report says, with a share and number of tokens of one kind instead of all if given."""
        counts = [count for layer in report.live for row in layer for count in row]
        return cls(
            report.kept_fraction if fraction is None else fraction,
            sum(counts) / max(1, len(counts)) if tokens is None else tokens,
            report.live_bytes,
            report.allocated_bytes,
            report.full_bytes,
        )


@dataclass(frozen=True)
class Outcome:
    """The outcome of one arm on one item.

    Attributes:
        item: The item.
        arm: The arm.
        scores: Metric name to finite value; empty if there is no score.
        kept: What the cache held.
        seconds: CPU seconds by part, such as `prefill` and `decode`.
        status: `scored`; `skipped`, for a broken item; `failed`, for one that broke while it ran.
        message: Why it was skipped or failed; else empty.
        facts: What else the modality reports: an instance of its `facts`.
        fit: Of a NAMM: where its feature statistics and thresholds come from. Empty for others.
        text: What was generated, empty without generation.
        model: Name, source and precision of the model, and what else of it decides the result.
        error: What the user's own code raised; ends the run if the item is the first of its task, see `failed`.
    """

    item: Item
    arm: Arm
    scores: Mapping[str, float]
    kept: Kept
    seconds: Mapping[str, float]
    facts: Any
    model: Mapping[str, Any]
    status: Status = "scored"
    message: str = ""
    fit: str = ""
    text: str = ""
    error: NammError | None = None

    @classmethod
    def failed(cls, item: Item, arm: Arm, error: NammError, facts: Any, model: Mapping[str, Any]) -> "Outcome":
        """The outcome of an item on which a user's policy or metric failed.

        A failure on the first item of a task is blamed on the code and ends the run; later ones are blamed on the item.
        """
        return cls(item, arm, {}, Kept(), {}, facts, model, "failed", str(error), error=error)


@dataclass(frozen=True)
class Work:
    """A piece of work: items of one group, and for each the arms that are still to run."""

    items: tuple[Item, ...]
    arms: tuple[tuple[Arm, ...], ...]

    def by_arm(self) -> list[tuple[Arm, list[Item]]]:
        """The same work, arm by arm, in the order of the plan."""
        found: dict[Any, tuple[Arm, list[Item]]] = {}
        for item, arms in zip(self.items, self.arms, strict=True):
            for arm in arms:
                found.setdefault(arm.key, (arm, []))[1].append(item)
        return list(found.values())


@dataclass(frozen=True)
class Metric:
    """How to read one score.

    Attributes:
        name: As in `Outcome.scores`.
        higher_is_better: Whether large values are good.
        estimator: What is shown of it.
        clustered: Whether whole groups are resampled, for items that are not independent.
        stratified: Whether items are weighed (macro mean) or resampled by stratum.
        headline: Whether the table shows it.
        partial: Whether it is shown even if some scored items lack it; its n says how many have it.
    """

    name: str
    higher_is_better: bool = True
    estimator: Estimator = "mean"
    clustered: bool = False
    stratified: bool = False
    headline: bool = True
    partial: bool = False


class Session(Protocol):
    """A loaded model that runs items, in this process or in a worker."""

    def run(self, work: Sequence[Work], on_status: OnStatus) -> Iterator[Outcome]:
        """Yields the outcomes of all pieces of work in turn; later pieces may be prepared meanwhile."""


class Modality(Protocol):
    """Language, video, agents: one folder, and one row in `MODALITIES`.

    Derive from it; methods with a body need not be overridden.

    Attributes:
        name: Of its section in a configuration.
        section: What that section may say.
        facts: The dataclass that its outcomes carry.
        arms_together: Whether a group is worked on by all arms at once, since they share what is costly to prepare.
        named_by_records: Keys of its section that the digest leaves out, since records name what they belong to.
        not_compared: Tags that only say where an item comes from, so that scores are not shown by them.
        own_policies: Names beside those of `namm-xmodal list policies` that its sections know in `policies`.
    """

    name: str
    section: type[Section]
    facts: type
    arms_together: bool = True
    named_by_records: frozenset[str] = frozenset()
    not_compared: frozenset[str] = frozenset()
    own_policies: frozenset[str] = frozenset()

    def pinned(self, section: Any) -> Any:
        """The section with whatever may change elsewhere named for good, such as the commit of fetched data."""
        return section

    def items(self, section: Any) -> Sequence[Item]:
        """All items, in the order in which they are to be worked on."""
        ...

    def open(self, section: Any) -> Session:
        """Loads what outcomes need."""
        ...

    def metrics(self, section: Any, task: str, names: Sequence[str]) -> Sequence[Metric]:
        """The metrics of a task."""
        ...

    def arms(self, section: Any) -> Sequence[Arm]:
        """All arms, built and checked; the full cache first."""
        schedules: Sequence[Schedule] = getattr(section, "schedules", ("streaming",))
        entries = section.policies.items()
        return in_order([a for label, spec in entries for a in policy_arms(section, label, spec, schedules=schedules)])

    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a section that every result depends on, for the digest."""
        return settings

    def check(self, section: Any, items: Sequence[Item], arms: Sequence[Arm], notice: Callable[[str], None]) -> None:
        """Refuses what the run would refuse, before a model is loaded; `notice` receives what cannot be checked yet."""

    def scores(self, section: Any, facts: Any, scores: Mapping[str, float]) -> Mapping[str, float]:
        """What tables show of a record's scores; a modality may normalise them."""
        return scores

    def averaged(self, section: Any) -> tuple[str, Sequence[str]] | None:
        """A benchmark of several tasks whose scores are averaged too: its name, and its tasks; None if there is none."""
        return None

    def exhibits(self, section: Any, arms: Sequence[Arm]) -> Sequence[Exhibit]:
        """Pictures of what some arms kept of one item; empty if there is nothing to show."""
        return ()

    def exhibits_of_records(self, section: Any, records: Sequence[Any]) -> Sequence[Exhibit]:
        """Pictures made from the records of all arms; nothing is run for them, so each report makes them again."""
        return ()

    def files(self, section: Any, records: Sequence[Any]) -> Mapping[str, str]:
        """Further result files by name, such as predictions for a submission."""
        return {}

    def versions(self) -> Mapping[str, str]:
        """Versions of software that this modality uses in addition."""
        return {}
