"""The tasks by name. A new task is one file and one line here."""

from collections.abc import Mapping

from namm_xmodal.errors import UnknownNameError
from namm_xmodal.language.classification import Classification
from namm_xmodal.language.code_completion import CodeCompletion
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.multi_key_retrieval import MultiKeyRetrieval
from namm_xmodal.language.next_token import NextToken
from namm_xmodal.language.questions import Questions
from namm_xmodal.language.ruler.common_words import CommonWords
from namm_xmodal.language.ruler.frequent_words import FrequentWords
from namm_xmodal.language.ruler.niah_tasks import (
    NiahMultiKey1,
    NiahMultiKey2,
    NiahMultiKey3,
    NiahMultiQuery,
    NiahMultiValue,
    NiahSingle1,
    NiahSingle2,
    NiahSingle3,
)
from namm_xmodal.language.ruler.question_answering import HotpotQa, Squad
from namm_xmodal.language.ruler.variable_tracking import VariableTracking
from namm_xmodal.language.sample import Task
from namm_xmodal.plugins import Registry

_OWN: tuple[type[Task], ...] = (
    KeyRetrieval,
    MultiKeyRetrieval,
    NextToken,
    CodeCompletion,
    Classification,
    Questions,
)
_RULER: tuple[type[Task], ...] = (
    NiahSingle1,
    NiahSingle2,
    NiahSingle3,
    NiahMultiKey1,
    NiahMultiKey2,
    NiahMultiKey3,
    NiahMultiValue,
    NiahMultiQuery,
    VariableTracking,
    CommonWords,
    FrequentWords,
    Squad,
    HotpotQa,
)

TASKS: Mapping[str, type[Task]] = Registry("tasks", {task.name: task for task in (*_OWN, *_RULER)})


def find_task(name: str) -> type[Task]:
    """The class of a task; its fields are its hyper-parameters.

    Raises:
        UnknownNameError: If there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, list(TASKS))
    return TASKS[name]
