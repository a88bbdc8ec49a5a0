"""Reading over HTTP: an API, an OpenAI-compatible endpoint, and the page that uses them.

In: HTTP requests with pictures or formulas. Out: readings, rendered formulas, or problem documents.
`create_app` makes the ASGI application from a reader, `Limits` and an `AccessPolicy`.

Read `app` first. A request passes through `body` (limits of its body) and `auth` (who may send it).
`pictures` and `completions` take the pictures out of it, `reading_queue` batches them over all
clients, and `render_queue` answers `/v1/render`. `problems` makes the error responses, `schema`
completes the description of the API, `page_files` sends `page/`, and `server` runs it all.
"""

from __future__ import annotations

from texlens.serve.app import create_app
from texlens.serve.auth import AccessPolicy
from texlens.serve.limits import Limits

__all__ = ["AccessPolicy", "Limits", "create_app"]
