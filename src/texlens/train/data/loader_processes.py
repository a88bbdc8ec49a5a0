"""The processes of data loaders: forked from a server that has made their imports once.

A process of its own for each would import torch and transformers for seconds, all at the same time,
before the first batch. A fork of the training process could inherit locked locks.
"""

from __future__ import annotations

import multiprocessing

_IMPORTED = ["texlens.train.data.sound_imports", "texlens.train.sft.batches"]


def start_method() -> str:
    """How data loaders start their processes on this platform."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start_ahead() -> None:
    """Let the server make its imports from now on, beside those of the training process."""
    if start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        multiprocessing.set_forkserver_preload(_IMPORTED)
        ensure_running()
