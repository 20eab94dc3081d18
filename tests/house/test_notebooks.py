"""The notebooks: each runs from top to bottom in a kernel of its own, on fewer samples than as it stands, and draws."""

import ast
import base64
import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples/notebooks"
SMALLER = {
    "agent": "model_seeds, episodes, budgets = [0], 3, [24]",
    "language": "num_texts, tokens, budgets = 2, 192, [0.25]",
    "video": "questions, frames, budgets = 16, 8, [0.25]",
}
INTERVAL = re.compile(r"\[[-+]?\d+\.\d+, [-+]?\d+\.\d+\]")
FEWEST_BYTES = 5_000
"""Of a picture: one with empty axes is smaller."""


def assigned(code: str) -> set[str]:
    """Names that code gives values to."""
    return {
        node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def parameters(notebook) -> int:
    """Where the one cell stands that a reader may change."""
    (place,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    return place


def test_every_notebook_is_text_and_tried():
    assert {path.name for path in FOLDER.iterdir() if path.name != "__pycache__"} == {f"{name}.py" for name in SMALLER}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.model if name == "language" else ()) for name in SMALLER]
)
def test_notebooks_run_and_draw(name, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # no settings of whoever runs the tests
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own puts pictures into the notebook
    notebook = jupytext.read(FOLDER / f"{name}.py")
    place = parameters(notebook)
    assert assigned(SMALLER[name]) <= assigned(notebook.cells[place].source)
    notebook.cells.insert(place + 1, new_code_cell(SMALLER[name]))

    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = {output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})}
    assert len(pictures) >= 2
    for picture in pictures:
        content = base64.b64decode(picture)
        assert content.startswith(b"\x89PNG")
        assert len(content) > FEWEST_BYTES
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert INTERVAL.search(printed)
    assert re.search(r"n = \d+ (texts|episodes|questions)", printed)
    assert re.search(r"seeds? (from )?\d+", printed)


def test_the_page_of_the_notebooks_shows_each():
    page = (ROOT / "docs/notebooks.md").read_text()
    for name in SMALLER:
        assert f"(../examples/notebooks/{name}.py)" in page
        picture = ROOT / f"docs/images/notebook-{name}.png"
        assert f"(images/{picture.name})" in page
        assert picture.stat().st_size < 100_000
