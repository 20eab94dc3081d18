"""A task of a suite: items of a file, asked as its table says."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.language.sample import Generation, Sample
from namm_xmodal.language.suites.chat import as_turn, check_template, has_template
from namm_xmodal.language.suites.item import ask
from namm_xmodal.language.suites.rows import first_with_context, index_rows, read_row
from namm_xmodal.language.suites.table import Chat, Suite
from namm_xmodal.language.suites.truncation import without_middle

EMPTY = "empty_answer"
"""The metric that counts answers of nothing, beside those of the table."""
LEAST_PROMPT = 32
"""Tokens below which a prompt would hold nothing worth reading."""


@dataclass(frozen=True)
class SuiteTask:
    """Items in the order of their file.

    Attributes:
        name: Label in the suite.
        suite: The table.
        file: Where the items stand.
        max_prompt: Most tokens of a prompt; longer ones lose their middle. The model's positions bound it too.
        chat: Whether a chat template is put around the prompt.
        positions: Of the model; None if they are not known.
        model: Its name, for messages.
    """

    name: str
    suite: Suite = field(repr=False)
    file: Path
    max_prompt: int | None = None
    chat: Chat = False
    positions: int | None = None
    model: str = "the model"

    @property
    def description(self) -> str:
        """One line for lists."""
        return f"{self.suite.name}: {self.suite.tasks[self.name].category}"

    @property
    def primary_metric(self) -> str:
        """The metric that tables show."""
        return self.suite.tasks[self.name].metrics[0]

    def __len__(self) -> int:
        """Items in the file, broken ones included.

        Raises:
            DataError: If the file cannot be read.
        """
        return len(index_rows(self.file))

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`; the seed does not matter. Tags: see `sample`.

        Raises:
            ItemError: If one of the items cannot be asked.
        """
        if not 1 <= n <= len(self):
            raise DataError(f"n: {n}: expected 1 to {len(self)}, the number of items in {self.file}")
        return [self.sample(number, tokenizer) for number in range(n)]

    def groups(self, n: int) -> tuple[int, ...] | None:
        """See `SharesContexts.groups`. Contexts that lose their middle are shared only by questions of equal length.

        Raises:
            DataError: If the file cannot be read.
        """
        if not self.suite.tasks[self.name].shared:
            return None
        return first_with_context(self.file, self.file.stat().st_mtime_ns)[:n]

    def sample(self, number: int, tokenizer: Any) -> Sample:
        """One item. Tags: `truncated` (yes or no), `id`, and those of the suite.

        Args:
            number: In the order of the file, from 0.
            tokenizer: Of the model.

        Raises:
            ItemError: If it cannot be asked; names file and line.
            ConfigError: If a chat template is asked for that is not there.
        """
        whole = self.whole(number, tokenizer)
        try:
            return self._fitted(whole, tokenizer)
        except ItemError as error:
            raise error.at(self.place(number)) from None

    def whole(self, number: int, tokenizer: Any) -> Sample:
        """One item, before it loses its middle. Nothing is tokenised.

        Raises:
            ItemError: As `sample`, except for a question that is too long.
            ConfigError: As `sample`.
        """
        form, span = self.suite.tasks[self.name], index_rows(self.file)[number]
        row = read_row(self.file, span)
        try:
            self._check_room()
            asked = ask(row, self.suite, form)
        except ItemError as error:
            raise error.at(self.place(number)) from None
        generation = Generation(form.tokens, (*form.metrics, EMPTY), form.line, asked.classes)
        answer, *others = asked.answers
        found = Sample(
            self.name,
            number,
            asked.context,
            asked.question,
            answer,
            tags={**asked.tags, "truncated": "no"},
            also_right=tuple(others),
            generation=generation,
        )
        return as_turn(found, tokenizer) if self._wrapped(tokenizer) else found

    def place(self, number: int) -> str:
        """File and line of an item, for messages."""
        return f"{self.file}:{index_rows(self.file)[number].number}"

    @property
    def most(self) -> int | None:
        """Most tokens of a prompt; None if nothing bounds it."""
        return min(self._limits(), default=None)

    def _wrapped(self, tokenizer: Any) -> bool:
        if not self.suite.tasks[self.name].chat or self.chat is False:
            return False
        if self.chat is True:
            check_template(tokenizer, self.model)
        return has_template(tokenizer)

    def _fitted(self, sample: Sample, tokenizer: Any) -> Sample:
        if self.most is None:
            return sample
        cut, changed = without_middle(sample, self.most, tokenizer)
        if not changed:
            return cut
        return Sample(**{**vars(cut), "tags": {**cut.tags, "truncated": "yes"}})

    def _check_room(self) -> None:
        if self.most is not None and self.most < LEAST_PROMPT:
            raise ItemError(
                f"{self.model} was built for {self.positions} tokens, and up to {self.suite.tasks[self.name].tokens} are "
                "generated: no room for a prompt"
            )

    def _limits(self) -> Iterator[int]:
        if self.max_prompt is not None:
            yield self.max_prompt
        if self.positions is not None:
            yield self.positions - self.suite.tasks[self.name].tokens
