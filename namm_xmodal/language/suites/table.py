"""A suite is a table of tasks: a YAML file that says where items stand, how they are asked and how answers are scored."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from namm_xmodal.errors import DataError, UnknownNameError
from namm_xmodal.language.metrics import METRICS
from namm_xmodal.trust.files import MIB, check_file, read_text
from namm_xmodal.trust.yaml_text import parse_yaml

FOLDER = Path(__file__).parent
OPTIONS = "ABCDEFGHIJ"
"""Letters of `{OPTION_A}` and so on."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Find(_Closed):
    """A piece of a field, for a prompt that quotes it.

    Attributes:
        field: Of the item.
        pattern: A regular expression whose first group is the piece.
        lower: Whether it is put into small letters.
    """

    field: str
    pattern: str
    lower: bool = False

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r}: not a regular expression ({error})") from None
        if groups != 1:
            raise ValueError(f"{pattern!r}: {groups} groups, expected one: the piece that is quoted")
        return pattern


class Tag(_Closed):
    """What scores are also shown by.

    Attributes:
        field: Of the item: a text or a number.
        edges: Rising numbers that part a number into ranges: `0-4k`, `4-8k`, `8k+` of [4000, 8000]; empty for the value.
    """

    field: str
    edges: list[int] = []


class TaskForm(_Closed):
    """One task: how its items are asked and scored.

    Attributes:
        prompt: With `{context}`, once, and other fields of the item in braces; `{OPTION_A}` and so on are its options.
        tokens: Most tokens of an answer.
        metrics: Names of `namm-xmodal list metrics`; tables show the first.
        line: Whether the first line is the answer.
        language: Of the texts.
        category: As the suite calls it.
        chat: Whether a chat template is put around it, where the configuration asks for one.
        find: Pieces of fields that the prompt quotes, by the name that it uses.
        letter: Whether the letter of the right option is right as well.
        whole: Whether a list is one answer and not several that are right.
        shared: Whether several items ask about one context, which is then read once for each policy and size.
    """

    prompt: str
    tokens: int = Field(ge=1)
    metrics: list[str] = Field(min_length=1)
    line: bool = False
    language: str = ""
    category: str = ""
    chat: bool = True
    find: dict[str, Find] = {}
    letter: bool = False
    whole: bool = False
    shared: bool = False

    @field_validator("prompt")
    @classmethod
    def _one_context(cls, prompt: str) -> str:
        try:
            parts = list(Formatter().parse(prompt))
        except ValueError as error:
            raise ValueError(f"braces do not match ({error}); double those that are text") from None
        names = [name for _, name, _, _ in parts if name is not None]
        odd = [name for name in names if not name.isidentifier()]
        if odd or any(form or kind for _, _, form, kind in parts):
            raise ValueError(
                f"{{{(odd or names)[0]}}}: expected names of fields in braces; double braces that are text"
            )
        if names.count("context") != 1:
            raise ValueError(f"{names.count('context')} times {{context}}, expected it once")
        return prompt

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in METRICS or (METRICS[name].of_text is None and METRICS[name].of_classes is None):
                near = get_close_matches(name, METRICS, n=1)
                hint = f"did you mean {near[0]}?" if near else "see `namm-xmodal list metrics`"
                raise ValueError(f"{name!r}: no metric of generated text; {hint}")
        return names


class Suite(_Closed):
    """A table of tasks.

    Attributes:
        name: In words.
        about: One line for lists.
        home: Where it is published.
        hub: The dataset repository that `data: hub` fetches, `owner/name`.
        archive: A zip file in that repository that holds the files, if they do not stand there one by one.
        files: Where a task's items stand in the folder, `{task}` being its label; in order of preference, `*` for any text.
        answer: The field that holds the right answer, or several.
        classes: The field that holds all labels, for metrics of classification.
        options: The field that holds the options of `{OPTION_A}`.
        id: The field that names an item.
        strip: Whether white space around fields is dropped.
        tags: What scores are also shown by.
        tasks: By label.
    """

    name: str
    about: str = ""
    home: str = ""
    hub: str = ""
    archive: str | None = None
    files: list[str] = Field(min_length=1)
    answer: str = "answers"
    classes: str = ""
    options: str = ""
    id: str = ""
    strip: bool = False
    tags: dict[str, Tag] = {}
    tasks: dict[str, TaskForm] = Field(min_length=1)

    @field_validator("hub")
    @classmethod
    def _repository(cls, hub: str) -> str:
        if hub and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", hub):
            raise ValueError(f"{hub!r}: expected a dataset repository, owner/name")
        return hub

    @field_validator("files")
    @classmethod
    def _below_the_folder(cls, files: list[str]) -> list[str]:
        for pattern in files:
            if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"{pattern!r}: expected a path below the folder, such as '{{task}}.jsonl'")
        return files

    @field_validator("tasks")
    @classmethod
    def _labels(cls, tasks: dict[str, TaskForm]) -> dict[str, TaskForm]:
        for label in tasks:
            if not re.fullmatch(r"[\w.-]+", label):
                raise ValueError(f"{label!r}: expected a label of letters, digits, hyphens and underscores")
        return tasks

    @property
    def expected(self) -> str:
        """The layout in words, for messages."""
        first, *more = (self.files[0].replace("{task}", label) for label in self.tasks)
        home = f"; {self.home}" if self.home else ""
        return f"{first}{' and its kin' if more else ''}{home}"


def list_suites() -> dict[str, Suite]:
    """The suites that ship, by the name that a configuration calls them."""
    return {path.stem: find_suite(path.stem) for path in sorted(FOLDER.glob("*.yaml"))}


def find_suite(name: str) -> Suite:
    """A suite by name, or by the path of a table of your own.

    Raises:
        UnknownNameError: If there is neither.
        DataError: If the file has a mistake; names file, key and value.
    """
    shipped = {path.stem: path for path in FOLDER.glob("*.yaml")}
    if name in shipped:
        return _read(shipped[name], shipped[name].stat().st_mtime_ns)
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or "/" in name:
        check_file(path, error=DataError, expected=f"a table of tasks, or one of {', '.join(sorted(shipped))}")
        return _read(path, path.stat().st_mtime_ns)
    raise UnknownNameError("suite", name, sorted(shipped))


@lru_cache(maxsize=16)  # asked for again for every row of a report
def _read(path: Path, _changed: int) -> Suite:
    content = _mapping(path)
    if isinstance(base := content.pop("extends", None), str):
        # A suite of the same tasks in other files: what it says of a task is added to what the base says.
        under = _mapping(FOLDER / f"{base}.yaml")
        own: Any = content.get("tasks") or under.get("tasks", {})
        theirs = under.get("tasks", {})
        if isinstance(own, Mapping):
            tasks = {name: {**theirs.get(name, {}), **(form or {})} for name, form in own.items()}
            content = {**under, **content, "tasks": tasks}
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: {_first_mistake(error)}") from None


def _mapping(path: Path) -> dict[str, Any]:
    text = read_text(path, error=DataError, expected="a table of tasks", most=MIB)
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected `key: value` lines at the top, with name, files and tasks")
    return content


_KEYS: Mapping[str, type[BaseModel]] = {"tasks": TaskForm, "tags": Tag, "find": Find}


def _first_mistake(error: ValidationError) -> str:
    """The first mistake on one line: place, value, what is expected."""
    found = error.errors(include_url=False)[0]
    place = ".".join(map(str, found["loc"]))
    if found["type"] == "extra_forbidden":
        inside = next((_KEYS[str(part)] for part in reversed(found["loc"][:-1]) if part in _KEYS), Suite)
        known = list(inside.model_fields)
        near = get_close_matches(str(found["loc"][-1]), known, n=1)
        return f"{place}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")
    if found["type"] == "missing":
        return f"{place}: missing"
    if found["type"] == "value_error":
        return f"{place}: {found['msg'].removeprefix('Value error, ')}"
    return f"{place}: {str(found['input'])[:60]!r}: {found['msg'][:1].lower()}{found['msg'][1:]}"


Chat = bool | Literal["auto"]
"""Whether a chat template is put around prompts; `auto`: where the tokenizer has one."""
