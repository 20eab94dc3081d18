"""Tasks that can be made without a file of the user's, and with what is installed."""

from importlib.util import find_spec

from namm_xmodal.language import TASKS

NEED_A_FILE = {"questions", "qa_1", "qa_2"}
"""test_own_data.py and test_ruler.py."""

RULER = {name for name in TASKS if TASKS[name].__module__.startswith("namm_xmodal.language.ruler.")}

NAMES = sorted(set(TASKS) - NEED_A_FILE - (set() if find_spec("wonderwords") else RULER))
