"""`python -m texlens`, the same as the `texlens` command."""

from texlens.cli import main

if __name__ == "__main__":
    main()
