"""What a dreamed frame leaves for the next one, so that a dream neither fades, flickers nor grows too strong.

Constants were chosen on three shots of 240 to 284 frames (a black-and-white street scene, a drawn film, a pan
over a photograph) by flicker, strength, sharpness and objective beside frames dreamed for themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np
from safetensors.numpy import load, save

from mmdream.analysis.optical_flow import OpticalFlow, half_size, shrink_flow, warp
from mmdream.image.habituation import Fatigue

PROPORTIONAL_GAIN = 4.0
"""How much longer steps become for a share of the dream's strength that is missing."""
INTEGRAL_GAIN = 0.1
"""Share of the missing strength by which `step_gain` grows each frame."""
TARGET_STRENGTH = 1.0
"""Strength that is steered to, before a frame adds its own, over that of a full ascent: some always lacks."""
FIRST_STEP_GAIN = 1.2
"""`step_gain` behind a shot's first frame: its ascent fits its own frame, and the next lose some of it."""
MAX_STEP_SCALE = 3.0
"""Steps are at most so many times the usual length where the dream is whole."""
BARE_STEP_BOOST = 6.5
"""So many times more where nothing could be carried: moving people would stay bare."""
DREAM_RANGE = 0.3
"""What a dream moves a pixel by at most places: one nearer to black or white is cut short on that side."""
FILL_RATE = 0.1
"""Share of a full dream that a place gains with one usual step."""
STATE_ARRAYS = "detail", "change", "fill", "grey"
"""Fields of a state that are arrays, and their names in its file."""
STILL_PIXELS = 0.3
"""px a frame; a place that moves less counts, by degrees, as standing still."""


@dataclass(frozen=True, slots=True)
class TemporalState:
    """The dream of the previous frame of the same shot.

    The *difference* to the source is carried: the source stays sharp under any number of warps, and errors
    fade. Arrays of [h, w] have half the working resolution.
    """

    detail: np.ndarray
    """float32 [H, W, 3], dream minus source."""
    change: np.ndarray
    """float32 [h, w, 3]: what the last frame added, smoothed over time."""
    fill: np.ndarray
    """float32 [h, w], 0..1: how much of a full dream each place has had."""
    grey: np.ndarray
    """uint8 [h, w], see `FrameContext.gray`: the next frame's flow leads here."""
    unit_gain: float
    """Strength of the shot's first dream over its length of ascent."""
    step_gain: float
    """Usual length of a step over the card's; steered by the measured strength."""
    light: float
    """0..1: the best light that the dream was drawn in; what was dreamed in a fade's dusk is drawn over."""
    age: int = 0
    """Frames since the dream began."""
    fatigue: Fatigue = field(default_factory=dict)
    """Of what the dream has shown lately."""
    habituated_at: Fraction = Fraction(0)
    """Second of the source at which the dream was last looked at for that."""


TemporalStates = tuple[TemporalState | None, ...]
"""One for each pass; None: the pass begins anew. Empty: all do."""


def pack_states(states: TemporalStates) -> bytes:
    """States without loss, as a safetensors file."""
    arrays = {"passes": np.array([len(states)])}
    for number, state in enumerate(states):
        if state is not None:
            own = {name: getattr(state, name) for name in STATE_ARRAYS}
            own["numbers"] = np.array([state.unit_gain, state.step_gain, state.light, state.age])
            own["habituated_at"] = np.array(state.habituated_at.as_integer_ratio(), np.int64)
            own |= {f"fatigue.{layer}": shares for layer, shares in state.fatigue.items()}
            arrays |= {f"{number}.{name}": np.ascontiguousarray(array) for name, array in own.items()}
    return save(arrays)


def unpack_states(data: bytes) -> TemporalStates:
    """What `pack_states` was given."""
    arrays = load(data)

    def unpack(number: int) -> TemporalState | None:
        if f"{number}.numbers" not in arrays:
            return None
        own = {name: arrays[f"{number}.{name}"] for name in STATE_ARRAYS}
        unit_gain, step_gain, light, age = map(float, arrays[f"{number}.numbers"])
        begin = f"{number}.fatigue."
        return TemporalState(
            **own, unit_gain=unit_gain, step_gain=step_gain, light=light, age=int(age),
            fatigue={name[len(begin) :]: each for name, each in arrays.items() if name.startswith(begin)},
            habituated_at=Fraction(*arrays[f"{number}.habituated_at"].tolist()),
        )  # fmt: skip

    return tuple(map(unpack, range(int(arrays["passes"][0]))))


@dataclass(frozen=True, slots=True)
class WarpedState:
    """What a frame starts from."""

    detail: np.ndarray
    """float32 [H, W, 3]."""
    step_scale: np.ndarray
    """float32 [h, w], >= 0: length of its steps over the card's."""
    change: np.ndarray
    """float32 [h, w, 3]: what goes on of the last frame's change."""
    momentum: np.ndarray
    """float32 [h, w], 0..1: the share of the frame's change that the last one decides."""
    fill: np.ndarray
    """float32 [h, w], 0..1, after this frame's steps."""
    step_gain: float
    """Of the next frame."""
    light: float
    """The best so far."""
    fullness: float
    """0..1: how much of a full dream the frame starts from, whatever its strength; little while the light
    grows."""


def start_state(detail: np.ndarray, grey: np.ndarray, ascent: float, light: float) -> TemporalState:
    """The state of a shot's first frame: its detail, `FrameContext.gray` and `FrameContext.light`.

    `ascent` is the length of its ascent: steps times their size, times the room it had.
    """
    unit_gain = measure_strength(detail) / ascent if ascent else 0.0
    size = half_size((detail.shape[0], detail.shape[1]))
    change, fill = np.zeros((*size, 3), np.float32), np.ones(size, np.float32)
    return TemporalState(detail, change, fill, grey, unit_gain, FIRST_STEP_GAIN, light)


def warp_state(
    state: TemporalState,
    flow: OpticalFlow,
    share: float,
    breathe: float,
    momentum: float,
    ascent: float,
    light: float,
) -> WarpedState:
    """Move the last frame's dream onto this one, and say where it needs how much work.

    Args:
        state: of the previous frame.
        flow: from this frame back to it.
        share: 0..1 of the dream that is kept where the flow is trusted.
        breathe: 0..1: how much of the usual work is done where the image stands still; at 0 all of the dream
            is kept there and nothing is added.
        momentum: 0..1, share of the last frame's change that goes on in this one: motifs grow, not flicker.
        ascent: length of a full ascent now times the room for it.
        light: see `FrameContext.light`.
    """
    detail, change, fill = warp(state.detail, (state.change, state.fill), flow.backward)
    back, trust = flow.backward, flow.trust
    across, down = state.detail.shape[1] / back.shape[1], state.detail.shape[0] / back.shape[0]
    squared = np.square(back[..., 0] * np.float32(across)) + np.square(back[..., 1] * np.float32(down))
    hold = np.maximum(1 - squared / STILL_PIXELS**2, 0) * trust * np.float32(1 - breathe)
    best = max(light, state.light)
    old = np.float32(state.light / best)
    fill *= trust
    kept = trust * old * (np.float32(share) + np.float32(1 - share) * hold)
    detail *= _to_three_channels(_enlarge_like(kept, detail))
    # What this frame adds comes on top of what is found here.
    target = TARGET_STRENGTH * state.unit_gain * ascent * float(old) * share
    lack = 1.0 - measure_strength(detail) / max(target, 1e-9)
    step = float(np.clip(state.step_gain * (1 + PROPORTIONAL_GAIN * lack), 0, MAX_STEP_SCALE))
    kept_momentum = np.float32(momentum) * fill
    bare = np.float32(BARE_STEP_BOOST) * (1 - fill)
    return WarpedState(
        detail=detail,
        step_scale=(np.float32(step) + bare) * (1 - hold * fill),
        change=change * _to_three_channels(kept_momentum),
        momentum=kept_momentum,
        fill=fill + (1 - fill) * np.minimum(np.float32(FILL_RATE) * (1 + bare), 1),
        step_gain=float(np.clip(state.step_gain * (1 + INTEGRAL_GAIN * lack), 0.25, 2.5)),
        light=best,
        fullness=float(old) ** 4 * cv2.mean(fill)[0],
    )


def forget_dream(state: TemporalState, share: float) -> TemporalState:
    """A state that has lost a share, 0..1, of its dream; as full as it was.

    What comes instead is drawn by the usual steps, longer ones where strength lacks. Three times as many, as
    behind a cut, made films in which sounds come and go a third slower.
    """
    return replace(state, detail=state.detail * np.float32(1 - share))


def advance_state(
    state: TemporalState,
    warped: WarpedState,
    gain: np.ndarray,
    grey: np.ndarray,
    limit: Callable[[np.ndarray], np.ndarray],
) -> TemporalState:
    """The state of a frame that started from `warped`.

    Args:
        state: of the previous frame.
        warped: what `warp_state` made of it.
        gain: float32 [h, w, 3], what the frame's ascent added; or at full size.
        grey: see `FrameContext.gray`.
        limit: cuts a detail down to what leaves the frame's dream within 0..1.
    """
    change, momentum = _enlarge_like(warped.change, gain), _enlarge_like(warped.momentum, gain)
    change = change + _to_three_channels(1 - momentum) * gain
    detail = limit(warped.detail + _enlarge_like(change, warped.detail))
    if change.shape != warped.change.shape:
        change = cv2.resize(change, warped.change.shape[1::-1], interpolation=cv2.INTER_AREA)
    return replace(
        state, detail=detail, change=change, fill=warped.fill, grey=grey, step_gain=warped.step_gain,
        light=warped.light, age=state.age + 1,
    )  # fmt: skip


def move_state(
    state: TemporalState,
    flow: OpticalFlow,
    grey: np.ndarray,
    light: float,
    limit: Callable[[np.ndarray], np.ndarray],
) -> TemporalState:
    """The state of a frame that takes no steps: the dream moves along the flow; arguments as before."""
    warped = warp_state(state, flow, share=1.0, breathe=1.0, momentum=0.0, ascent=0.0, light=light)
    moved = advance_state(state, warped, np.zeros_like(warped.change), grey, limit)
    return replace(moved, change=state.change, step_gain=state.step_gain, age=state.age)


def warp_fatigue(fatigue: Fatigue, flow: OpticalFlow, frames: int) -> Fatigue:
    """The fatigue of so many frames ago, moved along a flow that is taken to have lasted."""

    def move(shares: np.ndarray) -> np.ndarray:
        back = np.float32(frames) * shrink_flow(flow, shares.shape[:2]).backward
        # OpenCV moves no more than four channels at once.
        parts = [np.ascontiguousarray(shares[..., k : k + 4]) for k in range(0, shares.shape[2], 4)]
        return np.dstack(warp(parts[0], parts, back)[1:])

    return {layer: move(shares) for layer, shares in fatigue.items()}


def measure_room(grey: np.ndarray) -> float:
    """Share of a dream that a frame leaves room for: white skies and black bars hold half of one.

    Without it a dream that began on a white sky would stay as weak over the meadow that follows. `grey` is
    uint8 [h, w].
    """
    levels = np.arange(256, dtype=np.float32) / 255
    free = np.minimum(levels, DREAM_RANGE) + np.minimum(1 - levels, DREAM_RANGE)
    return float(free[grey].mean()) / (2 * DREAM_RANGE)


def measure_strength(detail: np.ndarray, source: np.ndarray | None = None) -> float:
    """Mean absolute difference that a dream makes, of the range 0..1; with a source, of the dream itself."""
    total = cv2.norm(detail, cv2.NORM_L1) if source is None else cv2.norm(detail, source, cv2.NORM_L1)
    return total / detail.size


def _enlarge_like(smooth: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A picture of half size at the full size of another, or as it is."""
    if smooth.shape[:2] == like.shape[:2]:
        return smooth
    return cv2.resize(smooth, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_LINEAR)


def _to_three_channels(mask: np.ndarray) -> np.ndarray:
    """The mask for each of three channels: numpy is four times as slow at stretching it itself."""
    return cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
