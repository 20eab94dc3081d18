"""The configuration of an evaluation: one section for each modality, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from namm_xmodal.config.loader import load_mapping, merge, resolve_config
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.section import Section
from namm_xmodal.config.validation import Strict, validate
from namm_xmodal.errors import PLUGINS_FIRST, ConfigError


class BootstrapConfig(Strict):
    """How intervals are drawn."""

    resamples: int = Field(2000, ge=100, description="Bootstrap resamples of each interval.")
    level: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals, such as 0.95.")
    seed: int = Field(0, ge=0, description="Seed of the resampling; affects intervals only, not results.")


class RunConfig(Strict):
    """Where results go and how they are summarised; results do not depend on it."""

    workers: int = Field(
        1, ge=1, description=("Number of local processes, each with its own model. Results do not depend on it.")
    )
    silence: float = Field(
        1800.0, gt=0, description="Seconds without a result after which a worker is killed and its work repeated."
    )
    bootstrap: BootstrapConfig = Field(default_factory=BootstrapConfig, description="How intervals are drawn.")
    output: str = Field(
        "results/eval", min_length=1, description="Folder of the results; default: results/NAME for NAME.yaml."
    )


@dataclass(frozen=True)
class EvaluationConfig:
    """A resolved evaluation.

    Attributes:
        sections: By name, in the order of the file; shared keys are filled in. A name is that of a modality, with `@`
            and a label behind it where there are several of one: `rl`, `rl@tmaze`.
        run: Output, workers, intervals.
        source: The file that it comes from, for messages.
    """

    sections: dict[str, Section]
    run: RunConfig
    source: str = field(compare=False)

    @property
    def folder(self) -> Path:
        """Of the results."""
        return Path(self.run.output)

    def only(self, modality: str, command: str) -> "EvaluationConfig":
        """The same with the sections of one modality alone.

        Args:
            modality: Its name.
            command: Which asks for it, for the message.

        Raises:
            ConfigError: If there is no such section.
        """
        found = {name: section for name, section in self.sections.items() if modality_of(name) == modality}
        if not found:
            raise ConfigError(
                f"section {modality}: missing; `namm-xmodal {command}` runs only this section, and the file has "
                f"{', '.join(self.sections)} (run these with `namm-xmodal eval`)"
            )
        return EvaluationConfig(found, self.run, self.source)

    def with_sections(self, sections: Mapping[str, Section]) -> "EvaluationConfig":
        """The same with other contents of some sections."""
        return EvaluationConfig({**self.sections, **sections}, self.run, self.source)

    def to_mapping(self) -> dict[str, Any]:
        """Every key with its value, defaults included, as plain JSON types; a file that gives this configuration."""
        sections = {name: section.model_dump(mode="json") for name, section in self.sections.items()}
        return {**sections, **self.run.model_dump(mode="json")}

    def to_yaml(self) -> str:
        """The same as text."""
        return yaml.safe_dump(self.to_mapping(), sort_keys=False, allow_unicode=True, width=120)


def modality_of(section: str) -> str:
    """The modality that the name of a section stands for: `rl` of `rl@tmaze`."""
    return section.partition("@")[0]


def load_evaluation_config(
    name: str | Path, kinds: Mapping[str, type[Section]], overrides: Sequence[str] = (), output: str | None = None
) -> EvaluationConfig:
    """Reads, merges, overrides and validates.

    Args:
        name: Path or packaged name of a YAML file.
        kinds: What each modality's section may say.
        overrides: `a.b=c` assignments.
        output: Folder of the results; wins over the file's `output`, which defaults to `results/<name of the file>`.

    Raises:
        ConfigError: With one line that names file, key, value and what is expected.
    """
    from namm_xmodal.config.commands import refuse_other_command  # which knows the model of the other command

    path = resolve_config(name)
    content = load_mapping(path)
    refuse_other_command("eval", content, str(name))
    content = apply_overrides(content, overrides)
    content["output"] = output or content.get("output") or f"results/{path.stem}"
    return evaluation_config(content, kinds, str(name))


def evaluation_config(content: Mapping[str, Any], kinds: Mapping[str, type[Section]], source: str) -> EvaluationConfig:
    """Fills shared keys into the sections that know them, and validates.

    Raises:
        ConfigError: With one line that starts with `source`.
    """
    _check_keys(content, kinds, source)
    sections = {}
    for name, own in content.items():
        kind = kinds.get(modality_of(name))
        if kind is None or own is None:
            continue
        if not isinstance(own, dict):
            raise ConfigError(f"{source}: {name}: {own!r}: expected a section with keys, such as model: ...")
        shared = {key: value for key, value in content.items() if key in kind.model_fields}
        sections[name] = validate(kind, merge(shared, own), f"{source}: {name}")
    if not sections:
        raise ConfigError(f"{source}: no section; expected at least one of {', '.join(kinds)}")
    run = validate(RunConfig, {key: content[key] for key in RunConfig.model_fields if key in content}, source)
    return EvaluationConfig(sections, run, source)


def _check_keys(content: Mapping[str, Any], kinds: Mapping[str, type[Section]], source: str) -> None:
    known = [*kinds, *RunConfig.model_fields, *Section.model_fields]
    unknown = [key for key in content if key not in known and not (modality_of(key) in kinds and key.partition("@")[2])]
    for key in unknown:
        owners = [name for name, kind in kinds.items() if key in kind.model_fields]
        if owners:
            raise ConfigError(
                f"{source}: {key}: expected in its section, as {' or '.join(owners)}.{key} (files from before version "
                "0.2 have no sections)"
            )
    if unknown:
        hint = did_you_mean(unknown[0], known)
        if isinstance(content[unknown[0]], Mapping):
            hint += f"; a section of a plug-in needs {PLUGINS_FIRST}"
        raise ConfigError(f"{source}: {unknown[0]}: unknown key or section; {hint}")
    sections = {name: own for name, own in content.items() if modality_of(name) in kinds and isinstance(own, dict)}
    for key in Section.model_fields.keys() & content.keys():
        users = [name for name in sections if key in kinds[modality_of(name)].model_fields]
        if not users:
            raise ConfigError(f"{source}: {key}: no section uses it; expected a section such as language: ...")
        if not isinstance(content[key], dict) and all(key in sections[name] for name in users):
            raise ConfigError(f"{source}: {key}: no section uses it, since each gives its own; set {users[0]}.{key}")
