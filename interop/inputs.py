# /// script
# dependencies = ["torch==2.13.0", "texlens[train,serve,remote]", "ipykernel==7.4.0", "nbclient==0.11.0"]
# ///
"""Writes what the cases share: the embedded model, pictures, readings of this machine, a data set.

python interop/inputs.py FOLDER
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from texlens.evaluate.demo import demo_pictures
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.pictures.framing import open_framed

shared = Path(sys.argv[1])
(shared / "pictures").mkdir(parents=True)
shutil.copytree(EMBEDDED, shared / "model")
for picture in demo_pictures():
    (shared / "pictures" / picture.file).write_bytes(picture.content)
(shared / "framed").mkdir()
reader = Reader(shared / "model", constrained=False, reread=False)
paths = sorted((shared / "pictures").iterdir())
for path in paths:
    open_framed(path, reader.frame).save(shared / "framed" / f"{path.stem}.png")
readings = {
    path.name: {"text": "".join(token.text for token in reading.tokens), "normal": reading.normal}
    for path, reading in zip(paths, reader.read_many(paths), strict=True)
}
(shared / "readings.json").write_text(json.dumps(readings, indent=1))
command = [
    Path(sys.executable).parent / "texlens", "data", "prepare", "synthetic", "--count", "16",
    "--sizes", "8/4/4", "--format", "messages", "--format", "prompt_completion",
    "--out", shared / "data",
]  # fmt: skip
subprocess.run(command, check=True)
