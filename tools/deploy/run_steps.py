"""Run the steps of a Dockerfile in folders with a Debian in them, where there is no builder.

    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm ROOT
    python tools/deploy/run_steps.py ROOT [--share FOLDER ...]

Every stage gets a copy of ROOT (`ROOT.0`, `ROOT.1`, ...) in the place of its base image, and each RUN
runs there by chroot, so it needs root. COPY follows .dockerignore. At the end the command that the
image would start is printed. `--share` mounts a folder of this machine, such as one with wheels.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """One image in the making."""

    root: Path
    folder: str = "/"
    user: str = "root"
    environment: dict[str, str] = field(default_factory=dict)
    entry: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def run(self, step: str) -> None:
        """Run a line of shell in the image."""
        inside = f"cd {self.folder} && {step}"
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"} | self.environment
        identity = [] if self.user == "root" else [f"--userspec={self.user}"]
        subprocess.run(
            ["chroot", *identity, str(self.root), "/bin/sh", "-ec", inside],
            env=environment, check=True,
        )  # fmt: skip

    def place(self, path: str) -> Path:
        """A path of the image, on this machine."""
        return self.root / os.path.normpath(Path(self.folder, path)).lstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument(
        "--share", action="append", default=[], help="A folder to mount, read-only."
    )
    parser.add_argument("--dockerfile", type=Path, default=REPOSITORY / "deploy" / "Dockerfile")
    arguments = parser.parse_args()
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    mounts: list[Path] = []
    try:
        for word, rest in instructions(arguments.dockerfile.read_text(encoding="utf-8")):
            print(f"{word} {rest}", flush=True)
            if word == "FROM":
                root = arguments.root.with_name(f"{arguments.root.name}.{len(stages)}")
                shutil.rmtree(root, ignore_errors=True)
                subprocess.run(["cp", "-a", str(arguments.root), str(root)], check=True)
                shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
                for folder in ("/proc", *arguments.share):
                    mounts.append(root / folder.lstrip("/"))
                    mounts[-1].mkdir(parents=True, exist_ok=True)
                    subprocess.run(["mount", "--bind", folder, str(mounts[-1])], check=True)
                stage = Stage(root)
                stages[rest.rpartition(" AS ")[2]] = stage
                continue
            assert stage is not None, "the first instruction must be FROM"
            follow(word, rest, stage, stages)
    finally:
        for mount in reversed(mounts):
            subprocess.run(["umount", str(mount)], check=False)
    assert stage is not None
    print(f"root {stage.root}, user {stage.user}, folder {stage.folder}")
    print(" ".join([*stage.entry, *stage.command]))


def follow(word: str, rest: str, stage: Stage, stages: dict[str, Stage]) -> None:
    """One instruction after FROM."""
    if word == "RUN":
        stage.run(rest)
    elif word == "ENV":
        stage.environment |= dict(pair.split("=", 1) for pair in rest.split())
    elif word == "WORKDIR":
        stage.folder = rest
        stage.place(".").mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        stage.user = rest
    elif word == "COPY":
        copy(rest.split(), stage, stages)
    elif word in ("ENTRYPOINT", "CMD"):
        setattr(stage, "entry" if word == "ENTRYPOINT" else "command", json.loads(rest))
    elif word not in ("VOLUME", "EXPOSE", "HEALTHCHECK"):
        raise SystemExit(f"run_steps.py does not know {word}.")


def copy(words: list[str], stage: Stage, stages: dict[str, Stage]) -> None:
    """COPY SOURCE TARGET, of the checkout or of another stage."""
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")].place(words[0])
    else:
        origin = REPOSITORY / words[0]
    target = stage.place(words[1])
    if words[1].endswith("/") or origin.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    if origin != REPOSITORY:
        subprocess.run(
            ["cp", "-a", f"{origin}/." if origin.is_dir() else origin, target], check=True
        )
        return
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("!"):
            subprocess.run(["cp", "-a", str(REPOSITORY / line[1:]), str(target)], check=True)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, with continued lines joined."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found = (line.partition(" ") for line in lines if line.strip())
    return [(word, rest.strip()) for word, _, rest in found]


if __name__ == "__main__":
    main()
