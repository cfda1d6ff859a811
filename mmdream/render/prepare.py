"""A video before it is rendered: scanned, measured, its networks loaded and its parts planned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mmdream.analysis.modulate import ModulatedSchedules, modulate_schedules, with_modulated_schedule
from mmdream.analysis.shots import Scan, scan_frames
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import find_sound_track, resolve_tracks
from mmdream.media.video_reader import Frame, read_frames
from mmdream.networks.couplings import load_couplings
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack
from mmdream.render.chain import Stopwatch, VideoJob, VideoPlan
from mmdream.render.couplings.heard import HeardSounds, measure_heard, unpack_heard
from mmdream.render.couplings.planned import choose_planned_grains
from mmdream.render.couplings.shown import load_motif_network, look_at_source
from mmdream.render.frames import FramePipeline
from mmdream.render.hints import (
    PassHints,
    hinted_networks,
    measure_film_hints,
    pack_hints,
    unpack_hints,
)
from mmdream.render.models import load_audio_network
from mmdream.render.parts import (
    PartStore,
    find_missing_runs,
    find_missing_seams,
    plan_chains,
    plan_parts,
)
from mmdream.render.seams import plan_seams
from mmdream.render.source import hash_frame
from mmdream.settings.recipe import Recipe, Selection, film_size
from mmdream.settings.schedule import Schedule

DEFAULT_RECIPE = Recipe()


def prepare_video(
    film: MediaFile, job: VideoJob, store: PartStore, sink: EventSink, is_stopped: Callable[[], bool]
) -> VideoPlan:
    """Scan a video, measure what its schedules follow, and load its networks.

    What is finished in the store is not done again. `Interrupted` is raised when `is_stopped` says so.

    Raises:
        UserError: see `resolve_tracks`; no frame in the excerpt; a network that cannot be loaded.
    """
    began, stopwatch = time.perf_counter(), Stopwatch()
    _, track = resolve_tracks(film, job.order)
    _check_couplings(film, job, track)
    with stopwatch.time("scan"):
        if not store.finished("scan"):
            record_scan(store, *scan_video(film, job.order, sink, is_stopped, job.recipe))
        scan = Scan.from_bytes(store.path("scan", 0).read_bytes())
        schedules = _modulate_once(film, job, store, scan, track, is_stopped)
    for line in schedules.descriptions:
        sink.say(line)
    couples = not with_modulated_schedule(job.recipe, schedules.audio).schedule.curve("seen_to_heard").is_zero
    pipeline, audio_network = load_networks(film, job, schedules, track, stopwatch, sink, is_stopped)
    if pipeline is not None:
        dreamed = None if job.order.sound_style is not None else audio_network
        loaded = pipeline

        def hear() -> HeardSounds | None:
            with stopwatch.time("heard"):
                return _hear_once(film, job, store, schedules, loaded, dreamed, sink, is_stopped)

        # To look and to listen keep a processor busy each: neither network fills two.
        with ThreadPoolExecutor(1) as listener:
            hearing = listener.submit(hear)
            with stopwatch.time("hints"):
                hints = _hint_once(film, store, scan, loaded, is_stopped)
            pipeline = replace(loaded, hints=hints, heard=hearing.result())
    motif_network = None
    if couples and audio_network is not None:
        networks = [] if pipeline is None else [bound.renderer.network for bound in pipeline.passes]
        table = load_couplings(job.recipe.couplings)
        motif_network = load_motif_network(networks, audio_network.card, table)
        if pipeline is None and not store.finished("shown"):
            looks = look_at_source(film, scan, job.order, motif_network, is_stopped)
            with store.record("shown") as draft:
                draft.path.write_bytes(looks)
    seams, states = plan_seams(scan, job.recipe.seams, job.recipe.loop), store.finished("carry")
    chains = plan_chains(scan.shots, seams)
    hashes = store.finished("scan")[0].sums.get("hashes", {})
    complete = {number: entry.count for number, entry in store.finished("picture").items()}
    missing = tuple(run for chain in chains for run in find_missing_runs(chain, complete, states))
    if job.order.add_sound and track is not None:
        film = replace(film, audio_tracks=(track,))
    return VideoPlan(
        film, job, scan, schedules, track, pipeline, audio_network, stopwatch, store,
        hashes={int(number): digest for number, digest in hashes.items()},
        seams=seams,
        missing_seams=find_missing_seams(seams, missing, store.finished("seam")),
        chains=chains,
        missing=missing,
        began=began,
        motif_network=motif_network,
    )  # fmt: skip


def _check_couplings(film: MediaFile, job: VideoJob, track: AudioTrack | None) -> None:
    """Refuse a coupling of picture and sound that was asked for and where one of the two is missing."""

    def is_asked(name: str) -> bool:
        curve = job.recipe.schedule.curve(name)
        return not curve.is_zero and curve != Schedule().curve(name)

    if is_asked("heard_to_seen"):
        if not film.audio_tracks and not job.order.add_sound:
            raise UserError(
                f"{film.path}: has no sound that the picture could go by; leave heard-to-seen out"
            )
        if job.order.keep_picture:
            raise UserError(
                "heard-to-seen changes the picture, and --keep-picture keeps it; leave one of them out"
            )
    if is_asked("seen_to_heard"):
        if track is None:
            why = "no sound track is dreamed" if film.audio_tracks else f"{film.path} has no sound"
            raise UserError(f"seen-to-heard changes the sound, but {why}; leave it out")
        if job.order.sound_style is not None:
            raise UserError(
                "seen-to-heard steers a sound's dream, and --sound-style dreams none; leave one of them out"
            )


def scan_video(
    film: MediaFile,
    selection: Selection,
    sink: EventSink,
    is_stopped: Callable[[], bool],
    recipe: Recipe = DEFAULT_RECIPE,
) -> tuple[Scan, dict[int, str]]:
    """Read the selected part of a video once: its scan, and `hash_frame` of frames that reading begins at.

    The recipe tells where takes are cut. A part without a frame is a `UserError`; `Interrupted` is raised
    when `is_stopped` says so.
    """
    hashes: list[str] = []

    def watched(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if is_stopped():
                raise Interrupted
            hashes.append(hash_frame(frame))
            yield frame

    source = read_frames(film, selection.start, selection.end, strict=selection.strict, on_warning=sink.warn)
    scan = scan_frames(watched(source))
    if not scan.pts:
        raise UserError(f"{film.path}: has no frame between the start and the end that were asked for")
    cuts = plan_seams(scan, recipe.seams, recipe.loop)
    starts = [*(part.first for part in plan_parts(scan.shots, cuts)), *(seam.warm for seam in cuts)]
    return scan, {first: hashes[first] for first in starts}


def record_scan(store: PartStore, scan: Scan, hashes: dict[int, str]) -> None:
    """Keep what `scan_video` found."""
    with store.record("scan") as draft:
        draft.path.write_bytes(scan.to_bytes())
        draft.count, draft.sums = len(scan.pts), {"hashes": hashes}


def _modulate_once(
    film: MediaFile,
    job: VideoJob,
    store: PartStore,
    scan: Scan,
    track: AudioTrack | None,
    is_stopped: Callable[[], bool],
) -> ModulatedSchedules:
    if not job.recipe.drives and not job.recipe.sound_drives:
        return modulate_schedules(film, job.recipe, scan, is_stopped, track)
    if not store.finished("driven"):
        schedules = modulate_schedules(film, job.recipe, scan, is_stopped, track)
        with store.record("driven") as draft:
            draft.path.write_text(schedules.to_json())
    return ModulatedSchedules.from_json(store.path("driven", 0).read_text())


def _hint_once(
    film: MediaFile, store: PartStore, scan: Scan, pipeline: FramePipeline, is_stopped: Callable[[], bool]
) -> PassHints:
    if not any(hinted_networks(pipeline.passes)):
        return ()
    if not store.finished("hints"):
        hints = measure_film_hints(film, scan, pipeline.passes, pipeline.recipe.seed, is_stopped)
        with store.record("hints") as draft:
            draft.path.write_bytes(pack_hints(hints))
    return unpack_hints(store.path("hints", 0).read_bytes())


def _hear_once(
    film: MediaFile,
    job: VideoJob,
    store: PartStore,
    schedules: ModulatedSchedules,
    pipeline: FramePipeline,
    dreamed: Network | None,
    sink: EventSink,
    is_stopped: Callable[[], bool],
) -> HeardSounds | None:
    """What the picture hears, if it listens; of the dream too, if one is `dreamed` of the sound."""
    favours = any(not bound.renderer.schedule.curve("heard_to_seen").is_zero for bound in pipeline.passes)
    if not favours or not film.audio_tracks:
        return None
    if not store.finished("heard"):
        track = find_sound_track(film, job.order.sound_track)
        network, span = dreamed or load_audio_network(job.recipe, sink), (job.order.start, job.order.end)
        heard = measure_heard(film, track, span, network, is_stopped)
        if dreamed is not None:
            recipe = with_modulated_schedule(job.recipe, schedules.audio)
            planned = choose_planned_grains(InputTrack(film, track, span), dreamed, recipe, is_stopped)
            heard = replace(heard, planned=planned)
        with store.record("heard") as draft:
            draft.path.write_bytes(heard.pack())
    heard = unpack_heard(store.path("heard", 0).read_bytes())
    return replace(heard, couplings=load_couplings(job.recipe.couplings))


def load_networks(
    film: MediaFile,
    job: VideoJob,
    schedules: ModulatedSchedules,
    track: AudioTrack | None,
    stopwatch: Stopwatch,
    sink: EventSink,
    is_stopped: Callable[[], bool],
) -> tuple[FramePipeline | None, Network | None]:
    """What dreams the picture, and what dreams the sound; None: it is kept, or there is none."""
    pipeline = audio_network = None
    if not job.order.keep_picture:
        assert film.video is not None
        size = film.video.width, film.video.height
        recipe = with_modulated_schedule(job.recipe, schedules.video)
        recipe = replace(recipe, size=film_size(recipe.size, *size))
        scored_every = 2 * max(1, round(film.video.rate or 25))
        pipeline = FramePipeline.load(recipe, size, sink, stopwatch.watch(is_stopped), scored_every)
    if track is not None:
        audio_network = load_audio_network(with_modulated_schedule(job.recipe, schedules.audio), sink)
    return pipeline, audio_network
