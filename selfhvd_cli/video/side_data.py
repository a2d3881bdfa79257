"""Side data: what a decoded picture carries beside its planes, such as its orientation and HDR metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import av
from av.sidedata.sidedata import Type as SideData


def _without_a_name(kinds: type[SideData], number: Any) -> SideData | None:
    """A member of the enumeration for a kind that it does not name."""
    if not isinstance(number, int):
        return None
    kind: Any = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{number}", number
    kinds._value2member_map_[number] = kind  # the same object each time, as enumerations promise
    return kinds(number)


# PyAV looks up the kinds of all side data as soon as any of it is asked for. Its list may end before that of its
# FFmpeg does, and one picture with a kind behind the end would then give none, orientation included: spatial video
# (view) and pictures of cameras (EXIF) are such.
SideData._missing_ = classmethod(_without_a_name)  # type: ignore[assignment,method-assign]

VIEW = SideData(29)
"""Which of several views the picture is: FFmpeg's AV_FRAME_DATA_VIEW_ID."""

SECOND_VIEW = "second view"
CAPTIONS = "closed captions"

EXTRAS: Mapping[SideData, str] = {
    SideData.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    SideData.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    SideData.A53_CC: CAPTIONS,
    SideData.S12M_TIMECODE: "time code of the pictures",
    VIEW: SECOND_VIEW,
}
"""What pictures carry that only some encoders write, or none does."""


def side_data(picture: av.VideoFrame, kind: SideData) -> bytes | None:
    """One kind of side data as the bytes of FFmpeg's structure; None where the picture has none of it."""
    return next((bytes(each) for each in _all_of(picture) if each.type is kind), None)


def carries(picture: av.VideoFrame, *kinds: SideData) -> bool:
    """Whether a picture has side data of any of these kinds."""
    return any(each.type in kinds for each in _all_of(picture))


def extras(picture: av.VideoFrame) -> tuple[str, ...]:
    """What of `EXTRAS` a picture carries, in words."""
    return tuple(name for kind, name in EXTRAS.items() if carries(picture, kind))


def _all_of(picture: av.VideoFrame) -> Iterable[Any]:
    found: Any = picture.side_data  # PyAV's own description of it is of one, not of all
    return found
