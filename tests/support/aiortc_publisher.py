"""A WHIP publisher out of aiortc and ffmpeg's test sources: `aiortc_publisher.py URL KEY [h264|vp8]`.

Says "live" when the connection stands, ends the session at SIGINT or SIGTERM, and says why it was refused.
"""

import asyncio
import http.client
import signal
import sys
import urllib.parse

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.rtcrtpsender import RTCRtpSender


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


async def publish(url, key, codec):
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    pictures = MediaPlayer("testsrc2=size=640x360:rate=25", format="lavfi")
    sound = MediaPlayer("sine=frequency=440:sample_rate=48000", format="lavfi")
    peer = RTCPeerConnection()
    video = peer.addTransceiver(pictures.video, direction="sendonly")
    wanted = ("video/" + codec, "video/rtx")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([one for one in codecs if one.mimeType.lower() in wanted])
    peer.addTransceiver(sound.audio, direction="sendonly")

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
    sys.exit(asyncio.run(publish(address, secret, rest[0] if rest else "h264")))
