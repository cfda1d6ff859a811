"""``python -m mmdream`` is the command ``mmdream``."""

from mmdream.cli.app import main

main()
