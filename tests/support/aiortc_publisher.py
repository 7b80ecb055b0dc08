"""A WHIP publisher out of aiortc: `aiortc_publisher.py URL KEY [h264|vp8] [WIDTH HEIGHT FPS PORT]`.

Sends ffmpeg's test sources; with a size, raw pictures (planar 4:2:0) from standard input and samples (16 bits, stereo, 48 kHz)
from a TCP port of this machine.

Says "live" when the connection stands, ends the session at SIGINT or SIGTERM, and says why it was refused.
"""

import asyncio
import fractions
import http.client
import signal
import sys
import urllib.parse

import av
import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.rtcrtpsender import RTCRtpSender


class Pictures(MediaStreamTrack):
    """Raw pictures, as they come."""

    kind = "video"

    def __init__(self, reader, width, height, fps):
        super().__init__()
        self.reader, self.width, self.height, self.fps = reader, width, height, fps
        self.number = 0

    async def recv(self):
        raw = await self.reader.readexactly(self.width * self.height * 3 // 2)
        planes = numpy.frombuffer(raw, numpy.uint8).reshape(self.height * 3 // 2, self.width)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self.number * 90000 // self.fps, fractions.Fraction(1, 90000)
        self.number += 1
        return frame


class Sounds(MediaStreamTrack):
    """Samples, 20 ms at a time."""

    kind = "audio"

    def __init__(self, reader):
        super().__init__()
        self.reader = reader
        self.samples = 0

    async def recv(self):
        raw = await self.reader.readexactly(960 * 4)
        frame = av.AudioFrame.from_ndarray(numpy.frombuffer(raw, numpy.int16).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self.samples, fractions.Fraction(1, 48000)
        self.samples += 960
        return frame


async def raw_tracks(width, height, fps, port):
    """What somebody else draws and plays."""
    loop = asyncio.get_running_loop()
    pictures = asyncio.StreamReader(limit=width * height * 3)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pictures), sys.stdin.buffer)
    sounds, _ = await asyncio.open_connection("127.0.0.1", port)
    return Pictures(pictures, width, height, fps), Sounds(sounds)


def ask(method, url, key, body=None):
    """One request; returns status, Location and body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=15)
    headers = {"Authorization": "Bearer " + key, "User-Agent": "aiortc"}
    if body is not None:
        headers["Content-Type"] = "application/sdp"
    connection.request(method, parts.path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Location"), answer.read().decode()


async def publish(url, key, codec, raw):
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    if raw:
        pictures, sounds = await raw_tracks(*raw)
    else:
        pictures = MediaPlayer("testsrc2=size=640x360:rate=25", format="lavfi").video
        sounds = MediaPlayer("sine=frequency=440:sample_rate=48000", format="lavfi").audio
    peer = RTCPeerConnection()
    video = peer.addTransceiver(pictures, direction="sendonly")
    wanted = ("video/" + codec, "video/rtx")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([one for one in codecs if one.mimeType.lower() in wanted])
    peer.addTransceiver(sounds, direction="sendonly")

    @peer.on("connectionstatechange")
    def changed():
        if peer.connectionState == "connected":
            print("live", flush=True)
        elif peer.connectionState in ("failed", "closed"):
            ended.set()

    await peer.setLocalDescription(await peer.createOffer())
    status, location, text = await loop.run_in_executor(None, ask, "POST", url, key, peer.localDescription.sdp)
    if status != 201:
        await peer.close()
        print(status, text, file=sys.stderr)
        return 1
    await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
    await ended.wait()
    await loop.run_in_executor(None, ask, "DELETE", urllib.parse.urljoin(url, location), key)
    await peer.close()
    return 0


if __name__ == "__main__":
    address, secret, *rest = sys.argv[1:]
    sys.exit(asyncio.run(publish(address, secret, rest[0] if rest else "h264", [int(word) for word in rest[1:]])))
