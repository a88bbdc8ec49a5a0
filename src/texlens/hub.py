"""The Hugging Face hub: why it did not do what was asked, in one sentence."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from texlens.errors import InputError, TexlensError, with_causes

_HTTP_NOT_LOGGED_IN, _HTTP_FORBIDDEN = 401, 403


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the hub.

    Attributes:
        kind: "model", "adapter" or "data set".
        name: of the repository, `owner/name`.
        deed: "fetched", "loaded" or "pushed".
        revision: the one that was asked for.
        otherwise: what to do where the hub cannot be reached.
    """

    kind: str
    name: str
    deed: str
    revision: str | None = None
    otherwise: str = "try again later"


def explained(error: Exception, asked: Asked) -> TexlensError:
    """What went wrong, as an error for the user.

    The hub's client has a class for every way to fail; transformers and PEFT raise errors of their own,
    which the client's have caused.
    """
    for one in with_causes(error):
        if (known := _known(one, asked)) is not None:
            return known
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    direction = "to" if asked.deed == "pushed" else "from"
    return TexlensError(
        f"The {asked.kind} '{asked.name}' could not be {asked.deed} {direction} the hub: {reason}"
    )


def _known(error: BaseException, asked: Asked) -> TexlensError | None:
    """The sentence for one of the errors of the hub's client, or for a full disk."""
    from huggingface_hub import errors

    what = f"The {asked.kind} '{asked.name}'"
    status = getattr(getattr(error, "response", None), "status_code", None)
    match error:
        case errors.GatedRepoError():
            return InputError(
                f"{what} is gated: accept its conditions on huggingface.co, log in with "
                "`hf auth login`, and run the same command again."
            )
        case errors.RevisionNotFoundError():
            return InputError(f"{what} has no revision '{asked.revision}'.")
        case errors.HfHubHTTPError() if asked.deed == "pushed" and status in (
            _HTTP_NOT_LOGGED_IN,
            _HTTP_FORBIDDEN,
        ):
            return InputError(
                f"{what} could not be pushed: log in with `hf auth login` and a token that may write "
                "there."
            )
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return InputError(
                f"There is no {asked.kind} '{asked.name}' on the hub, or it is private: check the "
                "name, or log in with `hf auth login`."
            )
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return TexlensError(
                f"{what} could not be {asked.deed}: the disk of the hub's cache is full. Make room, "
                "or set HF_HOME to another disk, and run the same command to go on."
            )
        case errors.LocalEntryNotFoundError() | errors.OfflineModeIsEnabled():
            return TexlensError(
                f"{what} is not in the hub's cache, and the hub cannot be reached: {asked.otherwise}."
            )
    return None
