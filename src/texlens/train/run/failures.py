"""What ends a run from outside, as one sentence: no memory, no room on the disk, a killed process."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from texlens.errors import TexlensError

_RESUMES = "The same command then resumes the run"
# What torch and safetensors raise in place of an OSError.
_FULL_DISK = ("No space left on device", "PytorchStreamWriter failed writing file")


@contextlib.contextmanager
def named_failures(out: Path) -> Iterator[None]:
    """Turn a failure of the machine during the run in `out` into a TexlensError."""
    import torch

    try:
        yield
    except TexlensError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        where = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "the machine"
        raise TexlensError(
            f"The memory of {where} is used up: halve per_device_train_batch_size and double "
            "gradient_accumulation_steps, or set gradient_checkpointing: true (neither changes what "
            f"is learnt). {_RESUMES} with these settings too."
        ) from error
    except Exception as error:
        text = str(error)
        if getattr(error, "errno", None) == errno.ENOSPC or any(
            part in text for part in _FULL_DISK
        ):
            raise TexlensError(
                f"The disk is full: make room for '{out}' and for the cache (TEXLENS_CACHE). "
                f"{_RESUMES}."
            ) from error
        if "DataLoader worker" in text:
            raise TexlensError(
                "A process of the data loader died, perhaps for lack of memory: lower "
                f"dataloader_num_workers. {_RESUMES}."
            ) from error
        raise
