"""Unlabelled inputs in configurations: texts, prompts about videos, episodes of agents."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.section import as_list
from namm_xmodal.config.validation import Strict, validate

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(as_list), Field(min_length=1)]
Source = TypeVar("Source", bound="InputSource")


class InputSource(Strict):
    """A model and its inputs."""

    model: str = Field(min_length=1, description="A model of the modality: a name, a folder or a hub id.")
    count: int = Field(24, ge=1, description="Number of texts, videos or episodes.")
    update_every: int = Field(128, ge=1, description="Tokens between two updates; a multiple of 16.")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field(
        "float32", description="Precision of the weights."
    )
    device: str = Field("cpu", min_length=1, description="Where the model runs: cpu, cuda, cuda:1, mps.")
    seed: int = Field(0, ge=0, description="Seed of the texts, videos or episodes.")

    @property
    def length(self) -> int | None:
        """Approximate maximum length of an input in tokens; None where only its model knows."""
        return None


class LanguageSource(InputSource):
    """Passages of text."""

    texts: Names = Field(("python-topics",), description="Names of `namm-xmodal list texts`, files or folders.")
    tokens: int = Field(448, ge=32, description="Tokens per text.")
    repeat: bool = Field(True, description="Append the text to itself and count only the repetition.")

    @property
    def length(self) -> int | None:
        """See `InputSource.length`."""
        return 2 * self.tokens if self.repeat else self.tokens


class VideoSource(InputSource):
    """Prompts about videos."""

    update_every: int = Field(32, ge=1, description="Tokens between two updates; a multiple of 16.")
    benchmark: str = Field("generated", min_length=1, description="A name of `namm-xmodal list benchmarks`.")
    data: str = Field("", description="Folder of the benchmark in its published layout.")
    options: dict[str, Any] = Field(default_factory=dict, description="The benchmark's own fields.")
    frames: int = Field(16, ge=1, description="Frames per video.")
    question: bool = Field(True, description="Count only tokens of the question, instead of later frames as well.")


class RlSource(InputSource):
    """Episodes that a Decision Transformer plays with a full cache."""

    count: int = Field(4, ge=1, description="Episodes per model.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of the weights.")
    update_every: int = Field(48, ge=1, description="Tokens between two updates; three per step.")
    model_seeds: tuple[int, ...] | None = Field(None, description="Seeds of the models of a family; default: all.")
    environment_options: dict[str, Any] = Field(default_factory=dict, description="Options of the environment.")
    tokens: int = Field(900, ge=48, description="Number of first tokens of an episode to read; three per step.")

    @property
    def length(self) -> int | None:
        """See `InputSource.length`."""
        return self.tokens


def read_sources(
    given: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, type[Source]], place: str
) -> dict[str, Source]:
    """The sources of a section by name, validated.

    Args:
        given: Name to content; a name is a kind, or a kind, @ and anything.
        kinds: Kind to model.
        place: Where the section stands, for messages.

    Raises:
        ValueError: If a kind is unknown or a key does not fit; for pydantic.
    """
    found = {}
    for name, content in given.items():
        kind = name.partition("@")[0]
        if kind not in kinds:
            raise ValueError(f"{place}.{name}: unknown kind of source; {did_you_mean(kind, kinds)}")
        found[name] = validate(kinds[kind], content, f"{place}.{name}")
    return found
