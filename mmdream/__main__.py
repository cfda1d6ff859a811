"""``python -m mmdream`` is the command ``mmdream``."""

from mmdream.cli import main

main()
