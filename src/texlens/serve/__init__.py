"""Reading over HTTP: an API, an OpenAI-compatible endpoint, and the page that uses them.

In: HTTP requests with pictures or formulas. Out: readings, rendered formulas, or problem documents.
`create_app` makes the ASGI application from a reader or a `Model`, `Limits` and an `AccessPolicy`.

Read `app` first: the addresses, and what each of them does. A request passes through `middleware/`; `api/`
takes the pictures out of it; `models/` batches them over all clients and reads them. `metrics` counts all
this, `page_files` sends `page/`, `server` runs it, and `connections` closes those that do not go on.
"""

from __future__ import annotations

from texlens.serve.app import create_app
from texlens.serve.limits import Limits
from texlens.serve.middleware.auth import AccessPolicy
from texlens.serve.models.process import ModelProcess

__all__ = ["AccessPolicy", "Limits", "ModelProcess", "create_app"]
