"""HTML pages that need nothing outside their file, from the templates of any package.

Comes in: the package whose `templates` folder holds `NAME.html` (and `NAME.css`, `NAME.js` where
the page has its own), and the values that the template shows. Goes out: the page as text. The
shared templates are `page.html`, which every page extends, `table.html` for a `tables.Table`,
`figures.html` for a picture beside rendered formulas, and the style `page.css`.

A content security policy allows the page's own style and script by their hash, pictures as
`data:` addresses, and nothing else. Every value is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from texlens.tables import number

__all__ = ["render_page"]


def render_page(package: str, name: str, **values: Any) -> str:
    """The page `NAME.html` of a package, with `values` for its template."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader
    from markupsafe import Markup

    loaders = [PackageLoader(package), PackageLoader("texlens.pages")]
    environment = Environment(loader=ChoiceLoader(loaders), autoescape=True, trim_blocks=True)
    environment.filters["number"] = number
    assets = {
        "style": _asset("texlens.pages", "page.css") + _asset(package, f"{name}.css"),
        "script": _asset(package, f"{name}.js"),
    }
    for kind, text in assets.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        values[kind] = Markup(text)  # the package's own text, which the policy allows by its hash
        values[f"{kind}_hash"] = Markup(f"'sha256-{digest}'")
    html = environment.get_template(f"{name}.html").render(values)
    # UTF-8 has no lone surrogates, but a JSON file or a tokenizer may contain them.
    return html.encode("utf-8", errors="replace").decode()


def _asset(package: str, name: str) -> str:
    file = resources.files(package).joinpath("templates", name)
    return file.read_text("utf-8") if file.is_file() else ""
