"""Films with several sound tracks: each keeps its place, language, start, holes and length."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
import pytest
from film_copy import Copy, copy_film, decode_samples
from tracks import Track, make_clicks, read_packets, read_track_properties, write_multitrack_film

from mmdream.media import verify
from mmdream.media.probe import MediaFile, probe
from mmdream.media.tracks import OutputAudioTrack, read_packet_times

MS = Fraction(1, 1000)
CODECS = {
    ".mp4": (("aac", 44_100), ("ac3", 48_000), ("libmp3lame", 22_050), ("libopus", 48_000)),
    ".mkv": (("aac", 44_100), ("flac", 48_000), ("vorbis", 22_050), ("libopus", 48_000)),
}
HOLE = (1.0, 1.5)
EXCERPT = Fraction(11, 10), Fraction(23, 10)
"""It begins in the hole."""


def make_four_tracks(suffix: str) -> list[Track]:
    """As long as the picture; late; longer than the picture, with a hole; shorter."""
    (a, b, c, d) = CODECS[suffix]
    return [
        Track(make_clicks(3, a[1], 2, 1), a[1], "stereo", a[0], "eng", "Main"),
        Track(
            make_clicks(2, b[1], 6, 2), b[1], "5.1", b[0], "fra", "La voix=off", Fraction(7, 10), default=True
        ),
        Track(make_clicks(4, c[1], 2, 3), c[1], "stereo", c[0], "deu", hole=HOLE),
        Track(make_clicks(2, d[1], 1, 4), d[1], "mono", d[0]),
    ]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {
        suffix: write_multitrack_film(folder / f"film{suffix}", 75, make_four_tracks(suffix))
        for suffix in CODECS
    }


def verify_copy(copy: Copy, span: tuple[Fraction | None, Fraction | None]) -> verify.Verification:
    stamps = [float(second - (span[0] or 0)) for second in copy.seconds]
    path, warn = copy.result.path, copy.warnings.append
    return verify.verify_video(
        copy.source, path, stamps, copy.tracks, start=span[0], end=span[1], on_warning=warn
    )


def measure_lag(
    source: MediaFile, result: MediaFile, number: int, folder: Path, start: Fraction = Fraction(0)
) -> float:
    """Seconds by which a track of a result plays later than the source's, by its clicks."""
    rate = source.audio_tracks[number].rate
    lines = []
    for film, zero in ((source, source.start + start), (result, Fraction(0))):
        at, samples = decode_samples(film, folder, number)
        if film.audio_tracks[number].rate != rate:
            n = samples.shape[1]
            times = np.arange(round(n * rate / film.audio_tracks[number].rate)) / rate
            samples = np.interp(times, np.arange(n) / film.audio_tracks[number].rate, samples[0])[None]
        first, line = round((at - zero) * rate), np.zeros(8 * rate)
        heard = samples[0, max(0, -first) :]
        line[max(0, first) : max(0, first) + len(heard)] = heard
        lines.append(line)
    a, b = np.fft.rfft(lines[0]), np.fft.rfft(lines[1])
    peak = int(np.argmax(np.fft.irfft(b * np.conj(a))))
    return (peak if peak < 4 * rate else peak - 8 * rate) / rate


@pytest.mark.parametrize("span", [(None, None), EXCERPT], ids=["whole", "excerpt"])
@pytest.mark.parametrize("number", [2, None])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_chosen_track_is_new_and_the_others_are_the_source_s_packets(
    films: dict[str, Path], suffix: str, number: int | None, span, tmp_path: Path
) -> None:
    copy = copy_film(films[suffix], suffix, tmp_path, *span, keep_sound=number is None, number=number or 1)
    source, result, start = copy.source, copy.result, span[0] or Fraction(0)
    assert not copy.warnings
    for attribute in ("number", "language", "title", "dispositions"):
        assert [getattr(s, attribute) for s in result.audio_tracks] == [
            getattr(s, attribute) for s in source.audio_tracks
        ]
    for one, other in zip(source.audio_tracks, result.audio_tracks, strict=True):
        if one.number == number:
            continue
        expected = [(at - float(start), data) for at, data in read_packets(source.path, one.index)]
        if span[0] is not None:
            expected = [(at, data) for at, data in expected if 0 <= at < float(span[1] - start)]
        got = read_packets(result.path, other.index)
        assert [data for _, data in got] == [data for _, data in expected]
        tick = 2e-5 if suffix == ".mp4" else 1.001e-3
        assert max(abs(a - b) for (a, _), (b, _) in zip(got, expected, strict=True)) <= tick
        assert abs(measure_lag(source, result, one.number - 1, tmp_path, start)) <= tick
    found = verify_copy(copy, span)
    assert found.drift_ms <= 1
    assert not copy.warnings
    if number is not None:
        # In step to the sample: Matroska's clock is coarser than a sample, and its samples are lossless.
        assert abs(measure_lag(source, result, number - 1, tmp_path, start)) <= (
            0 if suffix == ".mp4" else MS
        )
        if suffix == ".mkv":
            np.testing.assert_array_equal(decode_samples(result, tmp_path, number - 1)[1], copy.sound)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_hole_is_silent_and_what_follows_lies_where_it_was(
    films: dict[str, Path], suffix: str, tmp_path: Path
) -> None:
    copy = copy_film(films[suffix], suffix, tmp_path, number=3)
    at, samples = decode_samples(copy.result, tmp_path, 2)
    _, whole = decode_samples(copy.source, tmp_path, 2)
    rate = copy.source.audio_tracks[2].rate
    low, high = (round((second - float(at)) * rate) for second in (HOLE[0] + 0.15, HOLE[1] - 0.15))
    assert np.abs(samples[:, low:high]).max() < 1e-4
    assert np.abs(samples[:, : low // 2]).max() > 0.3 < np.abs(samples[:, high + rate // 2 :]).max()
    assert abs(samples.shape[1] - whole.shape[1]) <= 1024


@pytest.mark.parametrize("span", [(None, None), EXCERPT], ids=["whole", "excerpt"])
@pytest.mark.parametrize(
    ("suffix", "out", "anew"), [(".mkv", ".mp4", {3}), (".mp4", ".webm", {2, 3}), (".mkv", ".webm", {2})]
)
def test_what_a_container_refuses_is_encoded_anew_in_its_place(
    films: dict[str, Path], suffix: str, out: str, anew: set[int], span, tmp_path: Path
) -> None:
    number = 2 if out == ".mp4" else 1
    copy = copy_film(films[suffix], out, tmp_path, *span, number=number)
    warned = [line for line in copy.warnings if "encoded anew" in line]
    assert [f"sound track {n} (" in line for n, line in zip(sorted(anew), warned, strict=True)]
    assert [s.language for s in copy.result.audio_tracks] == ["eng", "fra", "deu", None]
    assert [role for _, _, _, _, role in read_track_properties(copy.result.path)] == [
        False,
        True,
        False,
        False,
    ]
    assert verify_copy(copy, span).drift_ms <= 1
    for each in range(4):
        assert abs(measure_lag(copy.source, copy.result, each, tmp_path, span[0] or Fraction(0))) <= 0.0015


def test_surround_sound_is_dreamed_into_opus_too(films: dict[str, Path], tmp_path: Path) -> None:
    assert probe(films[".mp4"]).audio_tracks[1].layout == "5.1(side)"
    copy = copy_film(films[".mp4"], ".webm", tmp_path, number=2)
    assert copy.result.audio_tracks[1].layout == "5.1"
    assert abs(measure_lag(copy.source, copy.result, 1, tmp_path)) <= 0.0015


def test_a_title_survives_a_change_of_container(films: dict[str, Path], tmp_path: Path) -> None:
    for suffix, out in ((".mp4", ".mkv"), (".mkv", ".mp4")):
        copy = copy_film(films[suffix], out, tmp_path)
        assert [s.title for s in copy.result.audio_tracks] == ["Main", "La voix=off", None, None]


def test_a_codec_that_matroska_does_not_know_is_encoded_anew(tmp_path: Path) -> None:
    tracks = [Track(make_clicks(1, 8000, 1, n), 8000, "mono", "pcm_s8", "eng") for n in (1, 2)]
    copy = copy_film(write_multitrack_film(tmp_path / "film.mov", 25, tracks), ".mkv", tmp_path)
    assert any("sound track 2 (eng, pcm_s8) is encoded anew" in line for line in copy.warnings)
    one, other = (decode_samples(film, tmp_path, 1)[1] for film in (copy.source, copy.result))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("number", [1, 2])
def test_a_track_of_which_an_excerpt_has_nothing_is_named(number: int, tmp_path: Path) -> None:
    tracks = [
        Track(make_clicks(seconds, 48_000, 1, 1), 48_000, "mono", "aac", language)
        for seconds, language in ((3, "eng"), (1, "fra"))
    ]
    path = write_multitrack_film(tmp_path / "film.mkv", 75, tracks)
    span = Fraction(2), Fraction(5, 2)
    copy = copy_film(path, ".mp4", tmp_path, *span, number=number)
    [line] = [line for line in copy.warnings if "left out" in line]
    assert "sound track 2 (fra, aac) is left out: the excerpt has nothing of it" in line
    assert [sound.language for sound in copy.result.audio_tracks] == ["eng"]
    verify_copy(copy, span)


def test_a_track_that_cannot_be_decoded_is_named_and_still_counts(tmp_path: Path) -> None:
    tracks = [
        Track(make_clicks(seconds, 48_000, 1, 1), 48_000, "mono", "aac", language)
        for seconds, language in ((1, "eng"), (0, "fra"), (1, "deu"))
    ]
    copy = copy_film(write_multitrack_film(tmp_path / "film.mkv", 25, tracks), ".mkv", tmp_path, number=3)
    assert copy.source.undecodable_audio == (2,)
    assert [sound.number for sound in copy.source.audio_tracks] == [1, 3]
    assert any("sound track 2 is left out: nothing of it can be decoded" in line for line in copy.warnings)
    assert [sound.language for sound in copy.result.audio_tracks] == ["eng", "deu"]
    verify_copy(copy, (None, None))


def test_a_language_that_a_container_cannot_tell_is_named(tmp_path: Path) -> None:
    tracks = [
        Track(make_clicks(1, 48_000, 1, n), 48_000, "mono", "aac", language)
        for n, language in enumerate(("eng", "en-US"))
    ]
    path = write_multitrack_film(tmp_path / "film.mkv", 25, tracks)
    copy = copy_film(path, ".mp4", tmp_path)
    verify_copy(copy, (None, None))
    assert [s.language for s in copy.result.audio_tracks] == ["eng", None]
    assert any(".mp4 cannot tell the language of sound track 2 (en-US, aac)" in w for w in copy.warnings)


def verify_kept_tracks(source: Path, result: Path) -> list[str]:
    """The warnings about a result whose tracks should all be copies."""
    film, warnings = probe(source), []
    tracks = [OutputAudioTrack(sound) for sound in film.audio_tracks]
    verify.verify_video(film, result, None, tracks, on_warning=warnings.append)
    return warnings


def test_the_proof_finds_what_is_wrong_with_a_copied_track(tmp_path: Path) -> None:
    made = make_four_tracks(".mkv")
    source = write_multitrack_film(tmp_path / "film.mkv", 75, made)
    assert not verify_kept_tracks(source, source)

    def write_other(name: str, tracks: list[Track]) -> Path:
        return write_multitrack_film(tmp_path / f"{name}.mkv", 75, tracks)

    late = write_other("late", [made[0], replace(made[1], at=Fraction(71, 100)), *made[2:]])
    with pytest.raises(
        AssertionError, match=r"begins sound track 2 \(fra, flac\) at 0.710 s instead of 0.700"
    ):
        verify_kept_tracks(source, late)
    with pytest.raises(AssertionError, match="has 3 sound tracks instead of 4"):
        verify_kept_tracks(source, write_other("fewer", made[:3]))
    with pytest.raises(AssertionError, match=r"has sound track 1 \(fra, aac\) instead of .* 1 \(eng, aac\)"):
        verify_kept_tracks(source, write_other("named", [replace(made[0], language="fra"), *made[1:]]))
    short = write_other("short", [replace(made[0], hole=(2.5, 9)), *made[1:]])
    [line] = verify_kept_tracks(source, short)
    assert "sound track 1 (eng, aac) is not whole in short.mkv: 22 of 131 packets are missing" in line
    holed = write_other("holed", [*made[:3], replace(made[3], hole=(1.0, 1.1))])
    [line] = verify_kept_tracks(source, holed)
    assert "sound track 4 (opus) is not whole" in line


def test_a_film_from_a_running_clock_keeps_all_tracks_in_step(tmp_path: Path) -> None:
    tracks = [
        Track(make_clicks(2, 48_000, 1, n), 48_000, "mono", "aac", language, at=3 + at)
        for n, (language, at) in enumerate((("eng", Fraction(0)), ("fra", Fraction(1, 2))))
    ]
    path = write_multitrack_film(tmp_path / "film.ts", 50, tracks, first=Fraction(3))
    source = probe(path)
    assert source.start > 2.9  # The precondition: its clock begins elsewhere.
    for suffix in (".mp4", ".mkv"):
        copy = copy_film(path, suffix, tmp_path, number=2)
        assert verify_copy(copy, (None, None)).drift_ms <= 1
        assert not copy.warnings
        for number in (0, 1):
            assert abs(measure_lag(source, copy.result, number, tmp_path)) <= 0.001
        at = read_packet_times(copy.result.path, [copy.result.audio_tracks[0].index])[
            copy.result.audio_tracks[0].index
        ][0]
        assert abs(at) < 0.05


def test_a_track_cut_by_an_edit_list_stays_in_step(tmp_path: Path) -> None:
    tracks = [Track(make_clicks(3, 48_000, 1, n), 48_000, "mono", "aac", "eng") for n in (1, 2)]
    whole, cut = write_multitrack_film(tmp_path / "film.mp4", 75, tracks), tmp_path / "cut.mp4"
    graph = ffmpeg.input(str(whole), ss=1.23).output(str(cut), map=0, c="copy")
    ffmpeg.run(graph, cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
    for suffix in (".mp4", ".mkv"):
        copy = copy_film(cut, suffix, tmp_path)
        assert verify_copy(copy, (None, None)).drift_ms <= 1
        for number in (0, 1):
            assert abs(measure_lag(copy.source, copy.result, number, tmp_path)) <= 0.001


@pytest.mark.parametrize("span", [(None, None), (Fraction(1, 2), Fraction(7, 2))], ids=["whole", "excerpt"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "alac"])
def test_lossless_tracks_with_a_hole_go_from_matroska_to_quicktime(codec: str, span, tmp_path: Path) -> None:
    """A copy of plain samples loses the hole there, and one of ALAC its last packet."""
    second = Track(
        make_clicks(4, 48_000, 2, 2), 48_000, "stereo", codec, "fra", at=Fraction(7, 10), hole=(1.0, 1.5)
    )
    tracks = [Track(make_clicks(2, 48_000, 1, 1), 48_000, "mono", "aac", "eng"), second]
    copy = copy_film(write_multitrack_film(tmp_path / "film.mkv", 75, tracks), ".mov", tmp_path, *span)
    verify_copy(copy, span)
    assert not copy.warnings
    assert copy.result.audio_tracks[1].codec == codec
    assert measure_lag(copy.source, copy.result, 1, tmp_path, span[0] or Fraction(0)) == 0
    if span[0] is None:
        one, other = (decode_samples(film, tmp_path, 1)[1] for film in (copy.source, copy.result))
        np.testing.assert_array_equal(one, other)


def test_the_proof_finds_plain_samples_that_end_early(tmp_path: Path) -> None:
    track = Track(make_clicks(3, 8000, 1, 1), 8000, "mono", "pcm_s16le")
    whole = write_multitrack_film(tmp_path / "whole.mkv", 25, [track])
    short = write_multitrack_film(tmp_path / "short.mkv", 25, [replace(track, hole=(2.4, 9))])
    [line] = verify_kept_tracks(whole, short)
    assert "sound track 1 (pcm_s16le) is not whole in short.mkv: it ends 0.6" in line
