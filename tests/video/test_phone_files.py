"""Every real phone file goes through reader and writer, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from phone_files import copy_and_compare

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.boxes import extents, read_extent, read_movie
from selfhvd_cli.video.probe import probe

DOLBY_VISION = {"Dolby Vision metadata"}

FILES: dict[str, set[str]] = {
    "ae_h264-png.mp4": set(),
    "ae_mov_text.mp4": set(),
    "ae_SAR-2by3.mp4": set(),
    "ae_test_yuv422p.mp4": set(),
    "amx_8k24fps_300ms.mp4": set(),
    "amx_bbb_176x144_128kbps_15fps_h263.3gp": {"video"},  # h263 becomes h264
    "amx_bt601.mov": set(),
    "amx_bt601.mp4": set(),
    "amx_dolbyVision-hdr.MOV": DOLBY_VISION,
    "amx_edit_list_positive_shift.mp4": set(),
    "amx_fragmented_captions_h265.mp4": set(),
    "amx_h265_bframes.mp4": set(),
    "amx_h265_with_metadata_track.mp4": set(),
    "amx_hdr10-av1.mp4": set(),
    "amx_hdr10-video-with-sdr-container.mp4": {"HDR10+ metadata"},
    "amx_hlg10-color-test.mp4": set(),
    "amx_iibbibb_editlist_videoonly.mp4": set(),
    "amx_internal_emulator_transformer_output.mp4": set(),
    "amx_internal_emulator_transformer_output_180_rotated.mp4": set(),
    "amx_internal_emulator_transformer_output_270_rotated.mp4": set(),
    "amx_long_1080p_lowbitrate.mp4": set(),
    "amx_mv_with_2_top_shots.mp4": set(),
    "amx_pixel-motion-photo-2-hevc-tracks.mp4": set(),
    "amx_pixel7_videoOnly_cleaned.mp4": set(),
    "amx_portrait_4k60.mp4": set(),
    "amx_sample_12_5fps_720p_1s.mp4": set(),
    "amx_sample_15fps_720p_1s.mp4": set(),
    "amx_sample_android_slow_motion.mp4": set(),
    "amx_sample_edit_list.mp4": DOLBY_VISION,
    "amx_sample_edit_list_no_sync_frame_before_edit.mp4": DOLBY_VISION | {"start"},
    "amx_sample_MP_heic_tail.mp4": set(),
    "amx_sample_portrait.mp4": set(),
    "amx_sample_rotate_and_reflect.mp4": set(),
    "amx_sample_sef_slow_motion.mp4": set(),
    "amx_sample_sef_super_slow_motion.mp4": set(),
    "amx_sample_vvc.mp4": {"video"},  # nobody here encodes vvc: it becomes hevc
    "amx_sample_with_chapters.mp4": set(),
    "amx_sample_with_color_info.mp4": DOLBY_VISION,
    "amx_sample_with_colr_mdcv_and_clli.mp4": set(),
    "amx_sample_with_htc_rotation_track_name.mkv": set(),
    "amx_sample_with_it35_track.mp4": set(),
    "amx_testvid_1022ms.mp4": set(),
    "decord_video_0.mov": set(),
    "decord_video_180.mov": set(),
    "gopro_hero7.mp4": set(),
    "gopro_karma.mp4": {"time code of the pictures"},
    "immich_samsung-one-ui-6_tail.mp4": set(),
    "mei_100_0306.AVI": set(),
    "mei_FLIR_Thermal.mp4": set(),
    "mei_ftyp3gp5.mp4": set(),
    "mei_MVI_4823.AVI": {"tag creation_time", "tag software"},
    "mei_with-gps.mp4": set(),
    "sio_horizontal_video_from_iphone.mov": set(),
    "sio_sideways_movie.mov": set(),
}
"""What the receipt has to name as left out or changed."""

CONSEQUENCES = {
    "video": {"codec", "main tags"},
    "start": {"packets", "duration"},  # bit-identical, but all a third of a second later
    "tag creation_time": {"tags"},
    "tag software": {"tags"},
}
"""What the comparison finds for a line of the receipt."""


@pytest.mark.parametrize("name", FILES)
def test_a_copy_is_as_the_source(shared: Path, tmp_path: Path, name: str) -> None:
    outcome = copy_and_compare(shared / "media" / "phone" / name, tmp_path)
    receipt = outcome.receipt
    named = {line.what for line in (*receipt.changed, *receipt.left_out)}
    assert named == FILES[name], str(receipt)
    allowed = set().union(*(CONSEQUENCES.get(what, set()) for what in named))
    assert outcome.lost <= allowed


def test_no_file_is_forgotten(shared: Path) -> None:
    present = {path.name for path in (shared / "media" / "phone").iterdir()}
    sound_only = {"amx_5p1_iamf_opus.mp4", "amx_sample_iamf.mp4"}
    assert present - sound_only <= set(FILES)
    for name in sound_only & present:
        with pytest.raises(InputFault, match="holds no video"):
            probe(shared / "media" / "phone" / name)


def test_vendor_boxes_travel(shared: Path, tmp_path: Path) -> None:
    """Samsung's slow motion points lie behind the movie, GoPro's settings and Samsung's model in the user data."""
    for name in ("amx_sample_sef_slow_motion.mp4", "gopro_hero7.mp4", "amx_h265_with_metadata_track.mp4"):
        source, target = shared / "media" / "phone" / name, tmp_path / name
        copy_and_compare(source, tmp_path)
        with source.open("rb") as old, target.open("rb") as new:
            kept = [read_extent(new, each) for each in extents(new)]
            for extent in extents(old):
                if extent.kind in (b"ftyp", b"sefd", b"uuid"):
                    assert read_extent(old, extent) in kept, f"{name}: {extent.kind!r}"
        before, after = read_movie(source)[0], read_movie(target)[0]
        for kind in (b"udta", b"meta"):
            old_box, new_box = before.find(kind), after.find(kind)
            assert (old_box and old_box.payload) == (new_box and new_box.payload)
        assert read_movie(target)[1][1].kind == b"moov", "the header comes first, for playing while loading"


def test_damaged_files_end_in_a_clip_or_a_clear_fault(shared: Path, tmp_path: Path) -> None:
    refused, finished = [], []
    for path in sorted((shared / "media" / "corrupt").iterdir()):
        if path.name == "mb_annex-b-avc.mkv":
            continue  # 745 large frames, read in the reader's own check
        try:
            outcome = copy_and_compare(path, tmp_path)
        except InputFault as fault:
            refused.append((path, fault.message))
        else:
            assert {"frames", "times", "matrix", "depth"} & outcome.lost == set(), path.name
            finished.append(path.name)
        assert not list(tmp_path.glob("*.part"))
    assert all(str(path) in message and message.endswith(".") for path, message in refused)
    assert "sio_broken.mp4" in {path.name for path, _ in refused}
    assert "amx_sample_with_invalid_nalu.mp4" in finished
    assert len(refused) + len(finished) >= 40
