"""Reading over HTTP: an API, an OpenAI-compatible endpoint, and the page that uses them."""

from __future__ import annotations

from texlens.serve.app import create_app
from texlens.serve.limits import Limits

__all__ = ["Limits", "create_app"]
