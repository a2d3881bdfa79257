"""Makes handheld.mp4, the example clip: a drawn street, filmed by a synthetic hand the way a phone stores it."""

from fractions import Fraction

import av
import numpy as np
from draw_street import draw_street

from selfhvd_cli.synthesis.clips import draw_clip

TAGS = {
    "creation_time": "2026-05-17T18:42:07.000000Z",
    "location": "+47.3686+008.5391/",
    "com.android.version": "16",
    "com.apple.quicktime.model": "selfhvd synthetic phone",
}
DROPPED = {11, 12, 27, 41, 55}  # phones drop frames in the dark: the frame rate varies

if __name__ == "__main__":
    street = np.ascontiguousarray(np.rot90(draw_street()))  # stored lying down, as a phone held upright does
    clip = draw_clip([street], (720, 1280), 64, seed=44, severity=14.0, night=False, things=0)
    with av.open("handheld.mp4", "w", options={"movflags": "use_metadata_tags+faststart"}) as file:
        file.metadata.update(TAGS)
        video = file.add_stream("libx264", rate=30, options={"crf": "21", "preset": "slow"})
        video.width, video.height, video.pix_fmt = 1280, 720, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 90000)
        video.set_display_rotation(-90)
        sound = file.add_stream("aac", rate=48000, layout="stereo", options={"b": "96k"})
        for number in (n for n in range(clip.frames) if n not in DROPPED):
            frame = av.VideoFrame.from_ndarray(clip.frame(number).blurry, format="rgb24")
            frame.pts, frame.time_base = number * 3000, Fraction(1, 90000)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        seconds = np.arange(int(48000 * clip.frames / 30)) / 48000
        chord = sum(np.sin(2 * np.pi * f * seconds) for f in (220.0, 277.2, 329.6)) * np.exp(-seconds % 0.5 * 3)
        left, right = 0.1 * chord, 0.1 * chord * np.cos(2 * seconds)
        samples = av.AudioFrame.from_ndarray(np.float32([left, right]), format="fltp", layout="stereo")
        samples.rate, samples.pts = 48000, 0
        for packet in [*sound.encode(samples), *sound.encode()]:
            file.mux(packet)
