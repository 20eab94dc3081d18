"""The tasks by name. A new task is one file and one line here."""

from collections.abc import Mapping

from namm_xmodal.errors import UnknownNameError
from namm_xmodal.language.classification import Classification
from namm_xmodal.language.code_completion import CodeCompletion
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.multi_key_retrieval import MultiKeyRetrieval
from namm_xmodal.language.next_token import NextToken
from namm_xmodal.language.questions import Questions
from namm_xmodal.language.sample import Task
from namm_xmodal.plugins import Registry

_OWN = (KeyRetrieval, MultiKeyRetrieval, NextToken, CodeCompletion, Classification, Questions)

TASKS: Mapping[str, type[Task]] = Registry("tasks", {task.name: task for task in _OWN})


def find_task(name: str) -> type[Task]:
    """The class of a task; its fields are its hyper-parameters.

    Raises:
        UnknownNameError: If there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, list(TASKS))
    return TASKS[name]
