"""Execute the example notebooks with a kernel of this Python, and keep their outputs.

    python tools/notebooks.py [--out FOLDER]

Without `--out` the notebooks in docs/notebooks are replaced by their executed selves. The time of a
cell is not kept, so that an unchanged result is an unchanged file.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


def execute(path: Path, out: Path) -> None:
    """Run a notebook in a folder of its own, which is deleted, and write it to `out`."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=900, record_timing=False, resources={"metadata": {"path": folder}}
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":  # warnings name folders of this machine
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata = {"language_info": {"name": "python"}}
    out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, out)


def main() -> None:
    """Execute all notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Only these notebooks.")
    parser.add_argument("--out", type=Path, default=NOTEBOOKS)
    arguments = parser.parse_args()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not arguments.names or path.stem in arguments.names:
            execute(path, arguments.out / path.name)
            print(path.name)


if __name__ == "__main__":
    main()
