"""The one pdflatex runner, and the pixels of the pages that it makes.

TeX runs in a temporary folder, without shell escape, under a time limit. It reads and writes only
there and in its own tree. pypdfium2 rasterises.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from texlens.errors import DiskFull, TexlensError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# `\formulapage{NUMBER}{CONTENT}` typesets its content in a box, which goes on a page of the box's size
# plus `\pagemargin`, between two marks in the log. The paragraph in the second, unused box resets
# TeX's count of errors, which otherwise ends the run at one hundred.
PAGE_MACROS: Final = r"""
\pdfhorigin=0pt \pdfvorigin=0pt \pdfcompresslevel=0 \pdfobjcompresslevel=0
\hbadness=10000 \vbadness=10000 \hfuzz=\maxdimen \vfuzz=\maxdimen
\newsavebox\formulabox \newdimen\pagemargin
\newcommand\formulapage[2]{%
  \immediate\write-1{@@begin #1@@}%
  \setbox\formulabox\hbox{#2}%
  \pdfpagewidth=\dimexpr\wd\formulabox+2\pagemargin\relax
  \pdfpageheight=\dimexpr\ht\formulabox+\dp\formulabox+2\pagemargin\relax
  \shipout\vbox{\kern\pagemargin\hbox{\kern\pagemargin\box\formulabox}}%
  \setbox\formulabox\vbox{\noindent\par}%
  \immediate\write-1{@@end #1@@}}
"""


PageFormat = Literal["pdf", "dvi"]


_BY_THE_CLOCK: Final = 20 if os.name == "posix" else 1  # times the limit of processor time
_ROOM_BYTES: Final = 16 << 20  # more than a run writes
# The signals XCPU and KILL, as a child's status and as a shell's.
_OUT_OF_TIME: Final = (-24, -9, 152, 137)


@dataclass(frozen=True, slots=True)
class TexRun:
    """The result of one run: the pages as a file, empty if there is none, and the log."""

    pages: bytes
    log: str
    timed_out: bool = False


def tex_available() -> bool:
    """Whether pdflatex is installed."""
    return shutil.which("pdflatex") is not None


def tex_version() -> str:
    """The versions of pdfTeX and of its TeX distribution: `pdftex:1.40.24,texlive:2022`.

    `pdftex:none` where there is none.
    """
    path = shutil.which("pdflatex")
    return "pdftex:none" if path is None else _version_of(path)


@cache
def _version_of(path: str) -> str:
    banner = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    engine = re.search(r"pdfTeX [\d.]+-[\d.]+-(?P<pdftex>[\d.]+)", banner)
    distribution = re.search(r"\((?P<name>TeX Live|MiKTeX) (?P<year>[\w.]+)", banner)
    versions = [f"pdftex:{engine['pdftex'] if engine else 'unknown'}"]
    if distribution:
        versions.append(f"{distribution['name'].replace(' ', '').lower()}:{distribution['year']}")
    return ",".join(versions)


def pdfium_version() -> str:
    """The build of pdfium that rasterises: `pdfium:8149`; `pdfium:none` where it is not installed."""
    try:
        from pypdfium2 import PDFIUM_INFO
    except ImportError:
        return "pdfium:none"
    return f"pdfium:{PDFIUM_INFO.build}"


def require_tex() -> str:
    """The path of pdflatex. Raises TexlensError that names what to install."""
    path = shutil.which("pdflatex")
    if path is None:
        raise TexlensError(
            "TeX is not installed (no pdflatex on the PATH): install TeX Live with its font "
            "packages (on Debian or Ubuntu: texlive-latex-extra texlive-fonts-extra), "
            "or render with MathJax, which needs nothing."
        )
    return path


def run_pdflatex(document: str, seconds: float, page_format: PageFormat = "pdf") -> TexRun:
    """Typeset a document within a limit of processor time; errors in it do not stop the run.

    A busy machine gives the same pages: by the clock the run may take twenty times as long.

    A DVI file holds the place of every character and rule, as TeX computed it.

    Raises TexlensError when TeX is not installed, DiskFull where there is no room for its files: TeX itself
    leaves pages out then, as if the formulas were wrong.
    """
    pdflatex = require_tex()
    with tempfile.TemporaryDirectory(prefix="texlens-tex-") as folder:
        _check_room(folder)
        Path(folder, "batch.tex").write_text(document, encoding="utf-8", errors="replace")
        environment = {
            **os.environ,
            "openin_any": "p",
            "openout_any": "p",
            "max_print_line": "10000",
            "TEXMFOUTPUT": folder,
            "MKTEXPK": "0",  # no bitmap fonts are made on the way
            "MKTEXTFM": "0",
        }
        try:
            ended = subprocess.run(
                [
                    *_limited(pdflatex, seconds),
                    "-interaction=batchmode",
                    "-no-shell-escape",
                    f"-output-format={page_format}",
                    "batch.tex",
                ],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_BY_THE_CLOCK * seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return TexRun(b"", "", timed_out=True)
        _check_room(folder)
        if ended.returncode in _OUT_OF_TIME:
            return TexRun(b"", "", timed_out=True)
        pages, log = Path(folder, f"batch.{page_format}"), Path(folder, "batch.log")
        return TexRun(
            pages.read_bytes() if pages.exists() else b"",
            log.read_text(encoding="utf-8", errors="replace") if log.exists() else "",
        )


def _check_room(folder: str) -> None:
    if shutil.disk_usage(folder).free < _ROOM_BYTES:
        raise DiskFull(
            f"The disk of the folder for temporary files is full ('{tempfile.gettempdir()}' has less "
            f"than {_ROOM_BYTES >> 20} MiB left, which TeX needs): make room, or set TMPDIR to another."
        )


def _limited(program: str, seconds: float) -> list[str]:
    """The command that runs a program with so much processor time, where the system can limit it."""
    if os.name != "posix":
        return [program]
    return ["sh", "-c", f'ulimit -t {math.ceil(seconds)}; exec "$0" "$@"', program]


@contextmanager
def open_pdf(pdf: bytes) -> Iterator[Any]:
    """A document for `rasterise`, closed at the end."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        yield document
    finally:
        document.close()


def rasterise(
    document: Any, page_number: int, dpi: float, max_pixels: int, **options: bool
) -> NDArray[np.uint8] | str:
    """The pixels of a page, (height, width) or (height, width, channels), or why there are none.

    `options` are those of pypdfium2's `PdfPage.render`.
    """
    import pypdfium2

    try:
        page = document[page_number]
    except pypdfium2.PdfiumError:
        return "the page cannot be read"
    try:
        width, height = page.get_size()
        if width * height * (dpi / 72) ** 2 > max_pixels:
            return f"the page of {width:.0f} x {height:.0f} points is too large"
        bitmap = page.render(scale=dpi / 72, **options)
        pixels: NDArray[np.uint8] = bitmap.to_numpy().copy()
        bitmap.close()
        return pixels
    finally:
        page.close()
