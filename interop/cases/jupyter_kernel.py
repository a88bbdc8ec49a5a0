# /// script
# dependencies = ["torch==2.13.0", "texlens[train,serve,remote]", "ipykernel==7.4.0", "nbclient==0.11.0"]
# ///
"""The notebooks of the documentation run to their end in a Jupyter kernel."""

import os
from pathlib import Path

import nbformat
from common import OUT, require
from nbclient import NotebookClient

found = []
for path in sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(OUT)}})
    client.execute(env=os.environ | {"TEXLENS_NOTEBOOK_MINUTES": "0.15"})
    shown = str([cell.get("outputs") for cell in notebook.cells])
    require("95 % interval" in shown, f"{path.stem} shows no interval")
    found.append(f"{path.stem} ({sum(cell.cell_type == 'code' for cell in notebook.cells)} cells)")
print(", ".join(found))
