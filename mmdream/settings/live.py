"""How live play works: what does not change while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from mmdream.settings.definition import AUDIO, IMAGE, RESULT, SOUND, SOURCE, checked, setting

LIVE = "Live"
"""Panel of the help."""


@checked
@dataclass(frozen=True, slots=True)
class LiveSettings:
    """One session of live play."""

    rate: float | None = setting(
        None,
        "Frames a second that are held; quality gives way to it.",
        LIVE,
        "FPS",
        1,
        120,
        media=IMAGE,
        default_text="the source's, at most 25",
    )
    delay: float = setting(
        0.2, "Seconds from what comes in to what is seen and heard.", LIVE, "S", 0.05, 5, unit="s"
    )
    seconds: float | None = setting(
        None, "End after so long.", LIVE, "S", above=0, unit="s", default_text="with the source"
    )
    to: str | None = setting(
        None,
        "Also send it to an rtsp://, rtmp://, srt://, udp:// or tcp:// address, or into /dev/videoN.",
        LIVE,
        "ADDRESS",
    )
    microphone: str | None = setting(
        None, "Dream what this device hears; default is the usual one.", SOUND, "DEVICE", media=AUDIO
    )
    no_sound: bool = setting(False, "Leave the sound out.", SOURCE)
    no_browser: bool = setting(False, "Print the page's address and do not open it.", LIVE)
    port: int = setting(0, "Serve the page here; 0: where nobody does.", LIVE, "PORT", 0, 65535)
    take: bool = setting(
        False, "Keep all that was changed as a schedule file, OUT.take.toml, to render it again.", RESULT
    )
