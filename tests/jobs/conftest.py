"""The makers of test films in tests/media, and of interrupted runs here, can be imported by name."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.with_name("media"))]
