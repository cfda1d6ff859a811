"""``python -m mmdream`` is the command ``mmdream``."""

from mmdream.cli.app import main

if __name__ == "__main__":  # Worker processes import it too.
    main()
