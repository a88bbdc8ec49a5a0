"""Formulas rendered by Chromium, as web pages show them: KaTeX, MathJax (CHTML, SVG), native MathML.

One browser stays open in each process, with one page for each renderer and font. A batch is laid out
as cells on its page and photographed once; the picture is cut by the cells' boxes. After some thousand
pictures another browser takes over, so that memory stays flat. A page that hangs or a browser that dies
costs a restart: the batch is rendered again, then in halves, and the formula that stops the browser is
dropped.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.renderers.base import Dropped, Rendered, Style, cropped

# Fonts with a MATH table in TeX Live, by weight. Those that are kept for testing (Fira, DejaVu, Noto,
# Erewhon, Garamond, Concrete) are in HELD_OUT_FONTS.
MATH_FONTS: Final[dict[str, str]] = {
    "Latin Modern Math": "latinmodern-math.otf",
    "New Computer Modern Math": "NewCMMath-Book.otf",
    "STIX Two Math": "STIXTwoMath-Regular.otf",
    "XITS Math": "XITSMath-Regular.otf",
    "Libertinus Math": "LibertinusMath-Regular.otf",
    "KpMath": "KpMath-Regular.otf",
    "KpMath Light": "KpMath-Light.otf",
    "KpMath Sans": "KpMath-Sans.otf",
    "Euler Math": "Euler-Math.otf",
    "GFS Neohellenic Math": "GFSNeohellenicMath.otf",
    "XCharter Math": "XCharter-Math.otf",
}
HELD_OUT_FONTS: Final[dict[str, str]] = {
    "Fira Math": "FiraMath-Regular.otf",
    "Erewhon Math": "Erewhon-Math.otf",
    "Garamond Math": "Garamond-Math.otf",
    "Concrete Math": "Concrete-Math.otf",
}
MATHJAX_FONTS: Final = {"tex": 4, "newcm": 4, "stix2": 2, "modern": 1, "termes": 2}
# Colours of pages: ink and paper.
LIGHT: Final = (
    ("#000000", "#ffffff"), ("#000000", "#ffffff"), ("#212529", "#ffffff"), ("#333333", "#ffffff"),
    ("#1f2328", "#f6f8fa"), ("#222222", "#fafafa"), ("#433422", "#f8f1e3"), ("#073642", "#fdf6e3"),
    ("#1a1a8c", "#ffffff"), ("#000000", "#e9f2fb"),
)  # fmt: skip
DARK: Final = (
    ("#e6edf3", "#0d1117"), ("#d4d4d4", "#1e1e1e"), ("#ffffff", "#000000"), ("#ececec", "#212121"),
    ("#abb2bf", "#282c34"), ("#dcddde", "#36393f"), ("#93a1a1", "#002b36"), ("#f8f8f2", "#272822"),
)  # fmt: skip
FORMULAS_PER_PAGE: Final = 48
_SECONDS: Final = 120.0  # for a page to load, and for a batch, on a machine that is busy
_MAX_SIDE: Final = 8000  # device pixels of one picture of a page: Chromium's surfaces end at 16,384
_PAGES: Final = 6  # open at a time
_PICTURES_A_BROWSER: Final = 4000  # then it is started anew: what Chromium keeps would add up
_LOADS: Final = 8  # of a page, until all its fonts are there
_IGNORED: Final = frozenset(
    "\u2061\u2062\u2063\u2064\u200b\u200c\u200d\u2060\ufeff\ufe0e\u00a0 \n\t"
)


class BrowserFailure(Exception):
    """The browser died, or a page hung."""


class BrowserRenderer:
    """One way to show formulas in a browser: `katex`, `mathjax-chtml`, `mathjax-svg`, `mathml`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def missing(self) -> str | None:
        """Why it cannot be used here."""
        if importlib.util.find_spec("playwright") is None:
            return "playwright is not installed: pip install 'texlens[browser]'"
        if browser_path() is None:
            return "there is no Chromium on the PATH"
        if assets() is None:
            return "texlens-fonts is not installed, or was built without tools/browser"
        if self.name == "mathml" and not self.fonts():
            return "TeX Live's OpenType fonts of mathematics are not installed"
        return None

    def fonts(self) -> list[str]:
        """The fonts that this renderer has here."""
        if self.name == "katex":
            return ["KaTeX"]
        if self.name == "mathml":
            return [font for font in MATH_FONTS if font_file(font)]
        return list(MATHJAX_FONTS)

    def choose_style(self, random: Random) -> Style:
        """A page as there are many: 14 to 24 pixels, zoomed or not, three kinds of screen, two themes."""
        fonts = self.fonts()
        weights = [MATHJAX_FONTS.get(font, 1) for font in fonts]
        (font,) = random.choices(fonts, weights)
        ink, paper = random.choice(LIGHT if random.random() < 0.7 else DARK)
        zoom = random.choice((1.0, 1.0, 1.0, 0.8, 0.9, 1.1, 1.25, 1.5))
        return Style(
            self.name,
            font,
            display=random.random() < 0.7,
            size=random.choice((13, 14, 15, 16, 16, 16, 17, 18, 18, 20, 22, 24)),
            scale=zoom * random.choice((1.0, 1.0, 1.25, 1.5, 2.0, 2.0, 3.0)),
            ink=ink,
            paper=paper,
        )

    def render(
        self, formulas: Sequence[str], style: Style, randoms: Sequence[Random]
    ) -> list[Rendered]:
        """See `Renderer`."""
        rendered: list[Rendered] = []
        for formula, shot in zip(formulas, photograph(formulas, style), strict=True):
            if self.name == "mathml" and r"\mathscr" in formula:
                reason = "fonts of mathematics have one script alphabet, which is \\mathcal here"
                rendered.append(Dropped(formula, reason, style.name))
                continue
            if isinstance(shot, str):
                rendered.append(Dropped(formula, shot, style.name))
            else:
                grey = as_ink_on_white(shot.colour, style)
                rendered.append(cropped(grey, shot.pixels_per_em, formula, style))
        return rendered


@dataclass(frozen=True, slots=True)
class Shot:
    """The cell of one formula as the screen shows it: RGB (height, width, 3)."""

    colour: NDArray[np.uint8]
    pixels_per_em: float


def photograph(formulas: Sequence[str], style: Style) -> list[Shot | str]:
    """Each formula as the screen shows it, or why it is of no use."""
    shots: list[Shot | str] = []
    for start in range(0, len(formulas), FORMULAS_PER_PAGE):
        shots += _photograph(list(formulas[start : start + FORMULAS_PER_PAGE]), style)
    return shots


def _photograph(formulas: list[str], style: Style, tries: int = 2) -> list[Shot | str]:
    """One page of formulas; again after a failure, then in halves until one formula is the cause."""
    try:
        return _browser().photograph(formulas, style)
    except BrowserFailure as failure:
        close_browser()
        if tries > 1:
            return _photograph(formulas, style, tries - 1)
        if len(formulas) == 1:
            return [str(failure)]
    middle = len(formulas) // 2
    return _photograph(formulas[:middle], style, 1) + _photograph(formulas[middle:], style, 1)


class _Browser:
    """A Chromium and its open pages."""

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        path = browser_path()
        assert path is not None
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--allow-file-access-from-files", "--disable-lcd-text",
                  "--force-color-profile=srgb", "--disable-gpu"],
        )  # fmt: skip
        self._session = self._browser.new_browser_cdp_session()
        processes = self._session.send("SystemInfo.getProcessInfo")["processInfo"]
        self._process = next(p["id"] for p in processes if p["type"] == "browser")
        self._context = self._browser.new_context()
        self._folder = tempfile.TemporaryDirectory(prefix="texlens-browser-")
        self._pages: dict[tuple[str, str], tuple[Any, Any]] = {}
        self.pictures_left = _PICTURES_A_BROWSER

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Run a block under the limit of time: a browser that exceeds it is killed."""
        from playwright.sync_api import Error

        late = threading.Event()

        def kill() -> None:
            late.set()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

        timer = threading.Timer(_SECONDS, kill)
        timer.start()
        try:
            yield
        except Error as error:
            if late.is_set():
                raise BrowserFailure(f"the browser took longer than {_SECONDS:.0f} s") from error
            raise BrowserFailure(f"the browser failed: {error.message.splitlines()[0]}") from error
        finally:
            timer.cancel()

    def photograph(self, formulas: list[str], style: Style) -> list[Shot | str]:
        """Each formula as the screen shows it, or why it is of no use.

        Raises BrowserFailure when the page hangs or the browser dies.
        """
        self.pictures_left -= len(formulas)
        with self._watched():
            page, session = self._page(style)
            return self._on_page(page, session, formulas, style)

    def _on_page(
        self, page: Any, session: Any, formulas: list[str], style: Style
    ) -> list[Shot | str]:
        width = int(_MAX_SIDE / style.scale)
        session.send(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": 1200,
                "deviceScaleFactor": style.scale,
                "mobile": False,
            },
        )
        settings = {
            "size": style.size, "ink": style.ink, "paper": style.paper, "display": style.display,
            "width": width,
        }  # fmt: skip
        cells = page.evaluate("([f, s]) => texlens.render(f, s)", [formulas, settings])
        placed = [cell for cell in cells if "error" not in cell]
        if not placed:
            return [_reason(cell["error"]) for cell in cells]
        wide = min(max(cell["x"] + cell["width"] for cell in placed), width)
        high = max(cell["y"] + cell["height"] for cell in placed)
        if high * style.scale > _MAX_SIDE and len(formulas) > 1:
            middle = len(formulas) // 2
            return [
                *self._on_page(page, session, formulas[:middle], style),
                *self._on_page(page, session, formulas[middle:], style),
            ]
        clip = {"x": 0, "y": 0, "width": wide, "height": high, "scale": 1}
        picture = session.send(
            "Page.captureScreenshot",
            {
                "format": "png",
                "clip": clip,
                "captureBeyondViewport": True,
                "optimizeForSpeed": True,
            },
        )
        return _cut(picture["data"], cells, style)

    def _page(self, style: Style) -> tuple[Any, Any]:
        """The page of a renderer and a font, opened when it is first used."""
        key = style.renderer, style.font
        if key not in self._pages:
            if len(self._pages) >= _PAGES:
                oldest = next(iter(self._pages))
                self._pages.pop(oldest)[0].close()
            page = self._context.new_page()
            path = Path(self._folder.name, f"{'-'.join(key).replace(' ', '-')}.html")
            path.write_text(_html(style), encoding="utf-8")
            for _ in range(_LOADS):
                page.goto(path.as_uri(), timeout=_SECONDS * 1000)
                if page.evaluate("texlens.ready()"):
                    break
            else:
                raise BrowserFailure("MathJax did not load its fonts")
            self._pages[key] = page, self._context.new_cdp_session(page)
        self._pages[key] = self._pages.pop(key)  # used last
        return self._pages[key]

    def close(self) -> None:
        """Close the browser, or what is left of it."""
        with contextlib.suppress(Exception):
            self._browser.close()
        with contextlib.suppress(Exception):
            self._playwright.stop()
        self._folder.cleanup()


_open: dict[int, _Browser] = {}


def _browser() -> _Browser:
    """This process's browser, started at the first call and after some thousand pictures."""
    if os.getpid() in _open and _open[os.getpid()].pictures_left <= 0:
        close_browser()
    if os.getpid() not in _open:
        _open[os.getpid()] = _Browser()
    return _open[os.getpid()]


@atexit.register
def close_browser() -> None:
    """Close this process's browser; the next rendering starts another."""
    browser = _open.pop(os.getpid(), None)
    if browser is not None:
        browser.close()


def as_ink_on_white(colour: NDArray[np.uint8], style: Style) -> NDArray[np.uint8]:
    """The picture in grey, paper 255 and ink 0, whatever the colours of the page."""
    ink, paper = _luminance(style.ink), _luminance(style.paper)
    light = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = np.clip(np.rint((light - ink) * (255.0 / (paper - ink))), 0, 255)
    return np.asarray(grey, dtype=np.uint8)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _cut(data: str, cells: list[dict[str, Any]], style: Style) -> list[Shot | str]:
    """The cells of a picture of the page."""
    import base64

    encoded = np.frombuffer(base64.b64decode(data), np.uint8)
    whole = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
    covered = _covered(style)
    shots: list[Shot | str] = []
    for cell in cells:
        if "error" in cell:
            shots.append(_reason(cell["error"]))
            continue
        strange = sorted(set(cell["characters"]) - _IGNORED - covered) if covered else []
        if cell["foreign"] or strange:
            shown = " ".join(f"U+{ord(character):04X}" for character in strange)
            shots.append(f"missing glyphs: the font has no {shown or 'character of this kind'}")
            continue
        left, top = (round(cell[key] * style.scale) for key in ("x", "y"))
        right = round((cell["x"] + cell["width"]) * style.scale)
        bottom = round((cell["y"] + cell["height"]) * style.scale)
        part = whole[top:bottom, left:right]
        if right > whole.shape[1] + 1 or _touches_edge(part):
            shots.append("clipped: ink reaches the edge of the formula's cell")
            continue
        shots.append(Shot(part, cell["em"] * style.scale))
    return shots


def _touches_edge(part: NDArray[np.uint8]) -> bool:
    edge = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]]).astype(np.int16)
    return bool((np.abs(edge - edge[0]).max(axis=1) > 24).any())


def _reason(message: str) -> str:
    return f"not typeset: {' '.join(message.split())[:200]}"


@cache
def _covered_by(path: Path) -> frozenset[str]:
    from fontTools.ttLib import TTFont

    with TTFont(path, fontNumber=0, lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))


def _covered(style: Style) -> frozenset[str]:
    """The characters that the style's font has; empty where MathJax itself says what is missing."""
    if style.renderer == "mathml":
        path = font_file(style.font)
        assert path is not None
        return _covered_by(path)
    if style.renderer == "katex":
        folder = assets()
        assert folder is not None
        return frozenset().union(*map(_covered_by, sorted((folder / "katex/fonts").glob("*.ttf"))))
    return frozenset()


@cache
def browser_path() -> str | None:
    """The path of Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@cache
def assets() -> Path | None:
    """The folder with KaTeX, MathJax and Temml as web pages load them."""
    if importlib.util.find_spec("texlens_fonts") is None:
        return None
    folder = Path(str(resources.files("texlens_fonts") / "browser"))
    return folder if (folder / "katex/katex.min.js").is_file() else None


@cache
def font_file(font: str) -> Path | None:
    """The file of a font with a MATH table, in TeX's tree; None where it is not installed."""
    name = {**MATH_FONTS, **HELD_OUT_FONTS}[font]
    if shutil.which("kpsewhich") is None:
        return None
    found = subprocess.run(["kpsewhich", name], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.stdout.strip() else None


def _html(style: Style) -> str:
    """The page of a renderer and a font."""
    folder = assets()
    assert folder is not None
    ours = resources.files("texlens.data.pictures.renderers")
    page: dict[str, str] = {"renderer": style.renderer, "font": style.font}
    heads: list[str] = []
    if style.renderer == "katex":
        heads.append(f'<link rel="stylesheet" href="{folder.as_uri()}/katex/katex.min.css">')
        scripts = ["katex/katex.min.js", "katex/mhchem.min.js"]
    elif style.renderer == "mathml":
        path = font_file(style.font)
        assert path is not None
        page["fontAddress"] = path.as_uri()
        heads.append(f'<link rel="stylesheet" href="{folder.as_uri()}/temml/temml.css">')
        heads.append("<style>math, math * { font-family: page !important; }</style>")
        scripts = ["temml/temml.min.js", "temml/mhchem.min.js"]
    else:
        heads.append(f"<script>{_mathjax_settings(style, folder)}</script>")
        scripts = ["mathjax/startup.js"]
    heads += [f'<script src="{folder.as_uri()}/{script}"></script>' for script in scripts]
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        f"<script>const texlensPage = {json.dumps(page)};</script>{''.join(heads)}"
        f"<style>{ours.joinpath('page.css').read_text('utf-8')}</style></head><body></body>"
        f"<script>{ours.joinpath('page.js').read_text('utf-8')}</script></html>"
    )


# Of MathJax's extensions those that the usual builds load, and those of the formulas we render.
_MATHJAX_EXTENSIONS: Final = (
    "ams", "newcommand", "configmacros", "mhchem", "cancel", "boldsymbol", "braket", "color",
    "gensymb", "textcomp", "upgreek", "mathtools", "textmacros", "unicode", "enclose", "units",
)  # fmt: skip


def _mathjax_settings(style: Style, folder: Path) -> str:
    output = style.renderer.removeprefix("mathjax-")
    place = folder.as_uri()
    settings = {
        "startup": {"typeset": False, "input": ["tex"], "output": output},
        "loader": {
            "paths": {
                "mathjax": f"{place}/mathjax",
                "mathjax-mhchem-extension": f"{place}/mathjax-mhchem-font-extension",
            },
            "load": [
                "core", "input/tex-base", f"output/{output}",
                *(f"[tex]/{name}" for name in _MATHJAX_EXTENSIONS),
            ],
        },
        "tex": {"packages": ["base", *_MATHJAX_EXTENSIONS], "formatError": None},
        "output": {
            "font": f"mathjax-{style.font}",
            "fontPath": f"{place}/%%FONT%%-font",
            "displayOverflow": "overflow",
            "linebreaks": {"inline": False},
        },
    }  # fmt: skip
    # An error is raised, so that the formula is dropped, and not set in red.
    return (
        f"window.MathJax = {json.dumps(settings)};"
        "MathJax.tex.formatError = (jax, error) => { throw error; };"
    )
