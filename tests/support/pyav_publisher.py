"""A publisher out of PyAV, which brings an FFmpeg of its own: `pyav_publisher.py FORMAT URL VIDEO AUDIO [OPTION=VALUE]...`.

Encodes 25 moving pictures a second and a tone with the named encoders, at their own pace, until SIGINT or SIGTERM. With several
encoders of a kind, as `libx264,libx265`, there are as many tracks of it. `libx264@320x180` has pictures of that size.
"""

import signal
import sys
import threading
import time

import av

# One picture in, one picture out, a keyframe every second.
ENCODERS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error:keyint=25:bframes=0"},
    "libsvtav1": {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0:keyint=25:rc=2"},
    "libopus": {"frame_duration": "20"},
}


def publish(form, url, video, audio, options, ended):
    pictures = av.open("testsrc2=size=640x360:rate=25", format="lavfi")
    sounds = av.open("sine=frequency=440:sample_rate=48000:samples_per_frame=960,aformat=channel_layouts=stereo", format="lavfi")
    out = av.open(url, "w", format=form, options=options)
    seen = []
    for name, _, size in (word.partition("@") for word in video.split(",")):
        track = out.add_stream(name, rate=25, options=ENCODERS.get(name, {}))
        width, height = map(int, (size or "640x360").split("x"))
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        track.bit_rate = 800_000 * width * height // (640 * 360)
        track.codec_context.gop_size, track.codec_context.max_b_frames = 25, 0
        seen.append(track)
    heard = [out.add_stream(name, rate=48000, options=ENCODERS.get(name, {})) for name in audio.split(",")]
    for track in heard:
        track.layout, track.bit_rate = "stereo", 96_000
    resampler = av.AudioResampler(heard[0].codec_context.format, "stereo", 48000)
    frames = sounds.decode(audio=0)
    begun, until = time.monotonic(), 0.0
    for picture in pictures.decode(video=0):
        for track in seen:
            out.mux(track.encode(picture.reformat(track.width, track.height)))
        while until <= picture.time:
            sound = next(frames)
            until = sound.time + sound.samples / 48000
            for piece in resampler.resample(sound):
                for track in heard:
                    out.mux(track.encode(piece))
        if ended.wait(max(0.0, begun + picture.time - time.monotonic())):
            break
    out.close()


if __name__ == "__main__":
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    what, address, video_encoder, audio_encoder, *words = sys.argv[1:]
    try:
        publish(what, address, video_encoder, audio_encoder, dict(word.split("=", 1) for word in words), over)
    except (av.FFmpegError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
