"""The runs of scripts/check_unchanged.py, and the differences that are meant.

A run is a few commands in a folder of its own. `in/` there holds what scripts/unchanged_inputs.py makes, and
`data/` the folder of shared data; all that is left in the folder is compared, and all that is said.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refused:
    """A command that ends with exit status 2 and a line that says why."""

    words: str


@dataclass(frozen=True)
class Killed:
    """A film's command with `--job-dir job`, ended by SIGKILL when a part of its picture is done."""

    words: str


@dataclass(frozen=True)
class Python:
    """A program that takes from mmdream what stands in its `__all__`."""

    text: str


@dataclass(frozen=True)
class Run:
    """Commands that belong together."""

    name: str
    steps: tuple[str | Refused | Killed | Python, ...]
    """Words behind `mmdream`, or one of the above."""
    same: tuple[str, str] | None = None
    """Two results of it that must be equal."""
    apart: bool = False
    """A process for each command, as users have it; else one for all: TensorFlow is loaded once, which halves
    the time."""

    @property
    def statuses(self) -> dict[str, str]:
        """How each command must end, on both sides."""
        usual = {Refused: "2", Killed: "killed"}
        return {
            f"status: command {number}": usual.get(type(step), "0")
            for number, step in enumerate(self.steps, 1)
        }

    @property
    def needs_data(self) -> bool:
        """Whether a step reads the shared data."""
        return "data/" in str(self.steps)


@dataclass(frozen=True)
class Meant:
    """A difference that is no fault; listed until the commit before moves past the fault that it mends."""

    run: str
    kind: str
    """status, figures, messages, files, frames, samples, timestamps, streams, pixels, arrays, text, bytes."""
    reason: str
    last: str
    """The last commit that has the fault: only in comparisons with it or an ancestor of it."""


SHALLOW = "5a5a69d32835ba4fa04d54196576a6df9405385b"
"""The last commit whose shallow dreams burn."""
FADES = "03e471f1f31edb7b524173e742a359da5d0b71f1"
"""The last commit that takes plain pictures for faded ones."""
FLICKER = "6b5169e583726d9b67c8a1f6b89c4528ada8c767"
"""The last commit that begins anew where something was hidden, and finds fast motion coarsely."""
DOGS = "bef2279dc92cf5cd51fce93d149023a239585b1a"
"""The last commit whose dreams are weaker than today's, tire less, or are of an earlier dreamnet."""
GRAINS = "6e4512ef81fd276f2ea0b777385951bd9bd649c3"
"""The last commit whose sounds have no grains."""
CARRIED = (
    "film",
    "containers",
    "manners",
    "real networks",
    "random networks",
    "wishes",
    "schedules",
    "passes",
    "masks",
    "drives",
    "times",
    "real films",
    "forms",
    "tracks",
    "beside",
    "resume",
    "style",
    "Python, films",
)
"""Runs that carry a dream from frame to frame of a film whose contrast changes."""

MEANT = (
    Meant(
        "sets",
        "messages",
        "OpenCV printed what is wrong with a damaged picture past the line that tells it",
        "f34879b328ff1268e315e7c98619ac9dfb593595",
    ),
    Meant(
        "sets",
        "pixels",
        "matplotlib draws what is in a set",
        "4a6b56035459deafae3cafcaf857d4c17d256111",
    ),
    Meant(
        "training",
        "text",
        "cards are written by tomli-w, which lays longer lists over several lines: the same keys and values",
        "4a6b56035459deafae3cafcaf857d4c17d256111",
    ),
    Meant(
        "said",
        "messages",
        "--help shows the options in panels by group, with their defaults, and a new command, schema",
        "4a6b56035459deafae3cafcaf857d4c17d256111",
    ),
    Meant(
        "plan",
        "figures",
        "a dry run tells the settings in force, too",
        "0586e322741bcb59d2d75df76d8612e6585e9364",
    ),
    *(
        Meant(
            run,
            kind,
            "a dream smaller than its film gets sharp edges, and its flow is measured finer",
            "5a5a69d32835ba4fa04d54196576a6df9405385b",
        )
        for run in ("manners", "real films", "image")
        for kind in ("figures", "frames", "pixels", "bytes")
    ),
    *(
        Meant(
            run, kind, "dreams below depth 0.67, and of layers p3b and c2b, no longer burn colours", SHALLOW
        )
        for run, kind in (
            ("film", "frames"),
            ("film", "messages"),
            ("wishes", "frames"),
            ("wishes", "figures"),
            ("schedules", "frames"),
            ("schedules", "figures"),
            ("drives", "frames"),
            ("drives", "figures"),
            ("Python, films", "frames"),
            ("Python, films", "messages"),
        )
    ),
    Meant("training", "text", "a card tells the color and the margin of its rungs", SHALLOW),
    *(
        Meant(run, kind, "a contrast that grows is no fade that ends: its dream is not drawn over", FADES)
        for run in CARRIED
        for kind in ("figures", "messages", "frames", "pixels")
    ),
    *(
        Meant(run, kind, "less begins anew where something was hidden; fast motion is found finer", FLICKER)
        for run in CARRIED
        for kind in ("figures", "messages", "frames", "pixels")
    ),
    *(
        Meant(
            run,
            kind,
            "dreams tire of what they show, follow hints, and are of a dreamnet that learned on",
            DOGS,
        )
        for run in (*CARRIED, "image", "picture ouroboros", "plan", "Python, arrays")
        for kind in ("figures", "messages", "frames", "pixels", "bytes", "arrays")
    ),
    Meant("audio", "figures", "a report has room for hints, of which a sound has none", DOGS),
    *(
        Meant(run, kind, "other weights of dreamnet, and a new setting, habituation", DOGS)
        for run, kind in (
            ("said", "messages"),
            ("refused", "messages"),
            ("classify", "figures"),
            ("classify", "messages"),
            ("classify", "text"),
        )
    ),
    *(
        Meant(
            run, kind, "sounds get recorded events by default; --grains 0 gives the samples of before", GRAINS
        )
        for run in (*CARRIED, "audio", "made sounds", "sound ouroboros", "plan", "Python, arrays")
        for kind in ("figures", "messages", "samples", "pixels", "arrays", "bytes")
    ),
    *(
        Meant(run, "messages", "options and settings of grains, and how drives of them are refused", GRAINS)
        for run in ("said", "refused")
    ),
    Meant(
        "said",
        "messages",
        "--help tells the size that large films are dreamed at",
        "03e471f1f31edb7b524173e742a359da5d0b71f1",
    ),
)

SMALL = "--octaves 2 --steps 2"
SILENT = f"video in/silent.mp4 {SMALL}"

ARRAYS = """
import cv2, numpy, soundfile
from mmdream import Drive, Recipe, Schedule, UserError, dream_audio, dream_image

picture = cv2.imread("in/picture.png")[..., ::-1]
small = Schedule(octaves=2, steps=3, depth=0.9)
for name, one in {"whole": picture, "float": picture.astype(numpy.float32) / 255}.items():
    numpy.savez(f"{name}.npz", dream=dream_image(one, Recipe(schedule=small, seed=4)))
keyed = Schedule(octaves=2, steps=2, strength=[(0, 1.5), (1, 0.0)], motif=[(0, "dog"), (1, "tower")])
recipe = Recipe(schedule=keyed, color="source", precision="float32")
numpy.savez("keyed.npz", dream=dream_image(picture, recipe))
sound, rate = soundfile.read("in/music.wav", dtype="float32")
driven = Recipe(schedule=small, sound_drives=(Drive("strength", "loudness", 0.2, 1.5),))
numpy.savez("sound.npz", stereo=dream_audio(sound.T, rate, driven), mono=dream_audio(sound[:, 0], rate))
for wrong in (lambda: dream_image(picture[0]), lambda: dream_audio(sound.T, 10), lambda: Schedule(depth=2)):
    try:
        wrong()
    except UserError as error:
        print(error)
"""
FILMS = """
from dataclasses import astuple
from pathlib import Path
from mmdream import Drive, Mask, Pass, Recipe, Schedule, Span, Style, dream_video, plan_video, resume_video

small = Schedule(octaves=2, steps=2, strength=[(0, 0.2), (1, 1.0)])
white = Mask(Path("in/mask.png"), 2)
painted = Style(((Path("in/painting.png"), 1.0), (Path("in/guide.png"), 0.5)), "gram", 0.5, 0.1, 0.7)
passes = Pass(mask=white), Pass(painted, (("steps", Schedule(steps=2).steps),), span=Span(0.25, 0.75, 0.1))
recipe = Recipe(schedule=small, passes=passes, drives=(Drive("depth", "motion"),), breathe=0.5, seed=2)
plan = plan_video("in/film.mp4", "out.mkv", recipe)
print(plan.frames, plan.shots, plan.size, plan.working_size, plan.passes, plan.driven)
report = dream_video("in/film.mp4", "out.mkv", recipe, start=0.1, end=0.9)
print(report.output, report.frames, report.seconds, report.drift_ms, report.objective_gain, report.strength)
schedule = {name: [astuple(each) for each in changes] for name, changes in report.schedule.items()}
print(report.loudness_source, report.loudness_dream, report.true_peak, report.driven, schedule)
"""

RUNS: tuple[Run, ...] = (
    Run(
        "said",
        (
            "--version",
            "--help",
            "video --help",
            "image --help",
            "audio --help",
            "style --help",
            "data prepare --help",
            "train picture --help",
            "nets",
            "nets dreamnet",
            "nets vgg19_mel:fma_small",
            "data list --json",
            "data show esc10",
            "jobs",
            "sample sample.mp4",
        ),
    ),
    Run(
        "refused",
        (
            Refused("video in/none.mp4"),
            Refused("video in/film.mp4 --depht 1"),
            Refused("video in/film.mp4 -o out.avi"),
            Refused("video in/film.mp4 -o in/film.mp4"),
            Refused("video in/film.mp4 -o out.mkv --motif dogg"),
            Refused("video in/film.mp4 -o out.mkv --pass dream:depht=1"),
            Refused("video in/film.mp4 -o out.mkv --drive strenght=loudness"),
            Refused("video in/film.mp4 -o out.mkv --start 3"),
            Refused("video in/film.mp4 -o out.mkv --sound-track deu"),
            Refused("image in/picture.png -o out.png --target 'no such thing'"),
            Refused("image in/picture.png -o out.png --depth 3"),
            Refused("audio --from triangle -o out.wav"),
            Refused("audio in/voice.wav -o out.wav --net vgg19_mel"),
            Refused("style in/voice.wav --style in/bell.wav --mask in/mask.png"),
            Refused("train picture --data in/none -o mine"),
            Refused("resume out.mkv"),
        ),
    ),
    Run(
        "film",
        (
            "video in/film.mp4 -o usual.mkv --json",
            f"video in/film.mp4 -o told.mp4 --depth 0.4 --strength 1.5 --seed 3 {SMALL} --precision float32",
            Refused("video in/film.mp4 -o usual.mkv"),
        ),
        apart=True,
    ),
    Run("plan", ("video in/film.mp4 -o out.mkv --dry-run --json",), apart=True),
    Run(
        "containers",
        (
            f"video in/film.mp4 -o out.mov --json {SMALL} --breathe 0",
            f"video in/film.mp4 -o out.webm --json {SMALL} --bidirectional",
        ),
    ),
    Run(
        "manners",
        (
            f"video in/film.mp4 -o apart.mkv --json {SMALL} --coherence 0 --color source --size 64x48",
            f"video in/film.mp4 -o adam.mkv --json {SMALL} --optimizer adam --wander 0.5 --flatten 0.3 "
            "--objective mean --sound-objective cosine --sound-guide in/bell.wav --keep-picture",
            f"video in/film.mp4 -o wide.mkv --json {SMALL} --objective cosine --guide in/guide.png "
            "--invent 0.6 --stereo wide --phase griffin-lim",
        ),
    ),
    Run(
        "real networks",
        (
            f"video in/film.mp4 -o google.mkv --json {SMALL} --net googlenet "
            "--weights data/weights/googlenet_fp16.npz --sound-net residual_spec --sound-weights random",
            f"video in/film.mp4 -o squeeze.mkv --json {SMALL} --net squeezenet "
            "--weights data/weights/squeezenet_v1_1.npz --target goldfish --sound-net conv5_spec "
            "--sound-weights random",
        ),
    ),
    Run(
        "random networks",
        (
            f"video in/film.mp4 -o mobile.mkv --json {SMALL} --net mobilenet_v2 --weights random "
            "--sound-net vgg19_mel --sound-weights random --end 0.3",
            f"{SILENT} -o vgg16.mkv --json --net vgg16 --weights random --end 0.2",
            f"{SILENT} -o vgg19.mkv --json --net vgg19 --weights random --end 0.2",
            f"{SILENT} -o inception.mkv --json --net inception_v3 --weights random --end 0.2",
            f"{SILENT} -o resnet.mkv --json --net resnet50 --weights random --end 0.2",
        ),
    ),
    Run(
        "wishes",
        (
            f"video in/film.mp4 -o target.mkv --json {SMALL} --target 'school bus' --target teapot=-0.5 "
            "--sound-target rooster",
            f"video in/film.mp4 -o layer.mkv --json {SMALL} --layer p3b=0.5 --channel p4c:7,12 "
            "--sound-layer c4 --sound-channel c6:3=0.5",
            f"video in/film.mp4 -o motif.mkv --json {SMALL} --motif dog,tower --preset dogs",
        ),
    ),
    Run(
        "schedules",
        (
            "video in/film.mp4 -o keys.mkv --json --schedule in/keys.toml",
            "video in/film.mp4 -o passes.mkv --json --schedule in/passes.toml",
            "video in/film.mp4 -o descent.mkv --json --preset descent --steps 3",
        ),
    ),
    Run(
        "passes",
        (
            f"video in/film.mp4 -o passes.mkv --json {SMALL} --pass dream:depth=0.6,motif=dog+eye "
            "--pass style=in/painting.png:strength=0.7,steps=2,octaves=1,from=0.25s,to=0.75s,fade=0.125s "
            "--pass dream:mask=in/mask.png,feather=2,channel=p4c:7",
            f"video in/film.mp4 -o style.mkv --json {SMALL} --style in/painting.png=2 --style in/guide.png",
        ),
    ),
    Run(
        "masks",
        (
            f"video in/film.mp4 -o still.mkv --json {SMALL} --mask in/mask.png --feather 3",
            f"video in/film.mp4 -o moving.mkv --json {SMALL} --mask in/mask.mp4 --keep-sound",
        ),
    ),
    Run(
        "drives",
        (
            f"video in/film.mp4 -o both.mkv --json {SMALL} --drive strength=loudness "
            "--drive depth=onset:0.3-1.2 --drive motif=brightness --motif dog,tower "
            "--drive-sound strength=motion",
            f"video in/film.mp4 -o others.mkv --json {SMALL} --drive strength=pitch --drive steps=bass "
            "--drive depth=cuts",
        ),
    ),
    Run(
        "times",
        (
            f"video in/film.mp4 -o excerpt.mkv --json {SMALL} --start 0.25 --end 0.8",
            f"video in/variable.mp4 -o variable.mkv --json {SMALL}",
            f"video in/variable.mp4 -o variable.mp4 --json {SMALL} --start 0.3",
        ),
    ),
    Run(
        "real films",
        (
            f"video data/films/fire2.mp4 -o fire.mkv --json {SMALL} --size 160x90 --end 0.8",
            f"video data/films/transparent.webm -o transparent.mp4 --json {SMALL} --size 64x64 --end 0.4",
            "video data/films/bitmap.mp4 -o bitmap.mkv --json",
        ),
    ),
    Run(
        "forms",
        (
            f"video in/surround.mkv -o surround.mkv --json {SMALL}",
            f"video in/surround.mkv -o surround.mp4 --json {SMALL} --keep-picture --stereo wide",
            f"video in/letterbox.mp4 -o letterbox.mkv --json {SMALL}",
        ),
    ),
    Run(
        "tracks",
        (
            f"video in/tracks.mkv -o french.mkv --json {SMALL} --sound-track fra",
            f"video in/tracks.mkv -o first.mp4 {SMALL} --keep-picture",
            f"video in/tracks.mkv -o kept.mkv --json {SMALL} --keep-sound --strict",
            f"audio in/tracks.mkv -o french.flac --json {SMALL} --sound-track 2",
        ),
    ),
    Run(
        "beside",
        (
            f"video in/film.mp4 -o out.mkv --json {SMALL} --preview now.png --sheet sheet.png --compare",
            Refused(f"video in/film.mp4 -o out.mkv --json {SMALL}"),
            f"video in/film.mp4 -o out.mkv --json {SMALL} --overwrite --seed 1",
        ),
    ),
    Run(
        "resume",
        (
            f"video in/long.mp4 -o whole.mkv --json {SMALL}",
            Killed(f"video in/long.mp4 -o broken.mkv --json {SMALL} --job-dir job"),
            Refused(f"video in/long.mp4 -o broken.mkv --json {SMALL} --job-dir job --depth 0.1"),
            "resume job --json",
        ),
        same=("whole.mkv", "broken.mkv"),
        apart=True,
    ),
    Run(
        "image",
        (
            "image in/picture.png -o usual.png --json",
            "image in/picture.png -o masked.webp --json --mask in/mask.png --octaves 2 --steps 3 "
            "--save-steps",
            f"image --from noise --size 64x48 -o noise.tif --json --target goldfish {SMALL}",
            f"image in/picture.png -o guided.jpg {SMALL} --guide in/guide.png --layer c3b --objective cosine "
            "--optimizer adam --size 48p --color source",
        ),
    ),
    Run(
        "picture ouroboros",
        (
            f"image in/picture.png --ouroboros 0.5 --zoom 1.1 --rotate 5 --shift 4,-2 --fps 12 -o out.mkv "
            f"--json {SMALL}",
            f"image in/picture.png --ouroboros 1.2 --zoom 1.04 --fps 10 --with-sound --sound in/music.wav "
            f"--transform stretch=0.95 -o heard.mp4 --json {SMALL}",
        ),
    ),
    Run(
        "audio",
        (
            "audio in/music.wav -o usual.wav --json",
            f"audio in/voice.wav -o invented.flac --json {SMALL} --invent 0.8 --target 'dog bark'",
            f"audio in/music.wav -o wide.ogg --json {SMALL} --stereo wide --phase griffin-lim "
            "--drive strength=loudness",
            f"audio in/music.wav -o guided.mp3 {SMALL} --guide in/bell.wav --layer c4 --preset giants",
            "audio in/music.wav -o keyed.m4a --json --schedule in/keys.toml --channel c6:3,5",
        ),
    ),
    Run(
        "made sounds",
        (
            f"audio --from silence --seconds 1.5 --target rooster -o silence.wav --json {SMALL}",
            f"audio --from sweep:100-8000 --seconds 1.5 -o sweep.wav --json {SMALL} --net residual_spec "
            "--weights random",
            f"audio --from sine:440 --seconds 1.5 -o sine.wav --json {SMALL} --plot plot.png --plot-steps",
            f"audio in/voice.wav -o each.wav --json --each-channel c6:0-2 {SMALL}",
        ),
    ),
    Run(
        "sound ouroboros",
        (
            f"audio in/voice.wav -o out.wav --json --ouroboros 3 --transform stretch=0.95 {SMALL}",
            f"audio --from noise --seconds 1.5 -o free.wav --json --ouroboros 2 --transform pitch=2 "
            f"--no-guard --layer iterate {SMALL}",
        ),
    ),
    Run(
        "style",
        (
            "style in/picture.png --style in/painting.png -o usual.png --json",
            f"style in/picture.png --style in/painting.png=2 --style in/guide.png -o noise.png {SMALL} "
            "--json --from noise --statistic gram --style-scale 0.5 --smooth 0.2 --mask in/mask.png "
            "--save-steps",
            f"style in/film.mp4 --style in/painting.png --sound-style in/bell.wav -o film.mkv --json {SMALL}",
            "style in/voice.wav --style in/bell.wav -o voice.wav --json --steps 8 --keep-rhythm",
            "style in/voice.wav --style in/bell.wav -o plain.flac --steps 8 --content-weight 5",
        ),
    ),
    Run(
        "classify",
        (
            "classify in/picture.png --json --top 3",
            "classify in/voice.wav",
            "classify in/film.mp4 --json --plot seen.png",
            "classify in/picture.png --net googlenet --weights data/weights/googlenet_fp16.npz --json",
        ),
    ),
    Run(
        "sets",
        (
            "data prepare esc10 --from in/ESC-50 -o esc10 --json",
            Refused("data check esc10 --json"),
            Refused("data check in/bad"),
            "data show in/stripes --json",
            "data show in/noises --plot noises.png",
            "data prepare esc10 --from data/esc10.tar -o whole",
        ),
    ),
    Run(
        "training",
        (
            "train picture --data in/stripes -o seeing --json --epochs 1 --batch 8 --side 64 --unfreeze 1",
            "train sound --data in/noises -o hearing --json --epochs 1 --batch 8 --seconds 1.0 --unfreeze 1",
            "nets seeing",
            f"image in/picture.png -o seen.png --json --net seeing --target upright {SMALL}",
            f"audio in/voice.wav -o heard.wav --json --net hearing --target hiss {SMALL}",
        ),
    ),
    Run("Python, arrays", (Python(ARRAYS),)),
    Run("Python, films", (Python(FILMS),)),
)
