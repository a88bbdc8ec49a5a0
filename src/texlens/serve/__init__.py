"""Reading over HTTP: an API, an OpenAI-compatible endpoint, and the page that uses them.

In: HTTP requests with pictures or formulas. Out: readings, rendered formulas, or problem documents.
`create_app` makes the ASGI application from a reader or a `Model`, `Limits` and an `AccessPolicy`.

Read `app` first. A request passes through `prefix` (the path of a proxy), `access_log` (and `metrics`), `auth`
and `tokens` (who may send it) and `body` (limits of its body). `pictures` and `completions` take the pictures
out of it. `reading_queue` batches them over all clients, with `turns`, `batch_times` and `suspects`, and
gives them to a `model`: usually a `model_process`, or a `remote_model`. `render_queue` answers
`/v1/render`. `problems` makes the error responses, `schema` completes the description of the API,
`page_files` sends `page/`, and `server` runs it all.
"""

from __future__ import annotations

from texlens.serve.app import create_app
from texlens.serve.auth import AccessPolicy
from texlens.serve.limits import Limits
from texlens.serve.model_process import ModelProcess

__all__ = ["AccessPolicy", "Limits", "ModelProcess", "create_app"]
