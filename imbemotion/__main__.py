"""``python -m imbemotion``: the command line."""

from imbemotion.cli import main

if __name__ == "__main__":
    main()
