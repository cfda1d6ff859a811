"""What the studio says of a film while it is played: its settings and timeline, as soon as they change."""

from __future__ import annotations

from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.settings.schedule import Schedule
from mmdream.studio.form import check_settings
from mmdream.studio.project import PROJECT_FILE, FilmState, read_project


class StudioLink:
    """Follows the project of the studio in the film's folder; what stood there at first is left to itself."""

    def __init__(self, film: Path) -> None:
        self._film = film.resolve()
        self._file = self._film.parent / PROJECT_FILE
        self._seen, self._state = self._stamp(), self._read()

    def poll(self) -> Schedule | None:
        """The film's schedule if it has changed since the last time; a damaged project changes nothing."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        before, self._state = self._state, self._read()
        state = self._state
        if state is None or (
            before is not None and (before.settings, before.keys) == (state.settings, state.keys)
        ):
            return None
        try:
            return check_settings(state.settings, state.keys, None).schedule
        except UserError:
            return None  # The studio says so itself.

    def _stamp(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            return 0

    def _read(self) -> FilmState | None:
        try:
            return read_project(self._file.parent).films.get(self._film.name)
        except (UserError, OSError):
            return None
