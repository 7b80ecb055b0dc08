#!/usr/bin/env python3
"""A small service that decides who may publish to Heliograph, over WebSocket or HTTP.

Python 3.9 or later, nothing but the standard library. It is an example to read and to change, and the tests of
Heliograph run against it. See README.md for the messages.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import secrets
import struct
import sys
import threading
import urllib.parse

WEBSOCKET_PATH = "/publishers"
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
MAX_MESSAGE = 64 * 1024


class Channels:
    """The channels of a JSON file: {"1234": {"secret": "...", "channel": "main", "name": "Main stage"}}."""

    def __init__(self, path):
        self.path = path

    def find(self, channel_id):
        # Read each time: the file is small, and changes count at once.
        with open(self.path, encoding="utf-8") as file:
            return json.load(file).get(str(channel_id))


class Service:
    """What both doors have in common."""

    def __init__(self, channels, give_secrets, token):
        self.channels = channels
        self.give_secrets = give_secrets
        self.token = token
        self.streams = {}
        self.lock = threading.Lock()

    def note(self, event, **fields):
        """One line of JSON for each thing that happens. Secrets never get here."""
        with self.lock:
            print(json.dumps({"event": event, **fields}), flush=True)

    def check(self, message):
        """The answer to a `check` message."""
        channel = self.channels.find(message["channel_id"])
        if channel is None:
            return {"verdict": "deny", "reason": "no such channel"}
        answer = {"channel": channel["channel"], "name": channel.get("name")}
        if self.give_secrets:
            return {**answer, "secret": channel["secret"]}
        challenge = bytes.fromhex(message["challenge"])
        expected = hmac.new(channel["secret"].encode(), challenge, hashlib.sha512).digest()
        if not hmac.compare_digest(expected, bytes.fromhex(message["digest"])):
            return {"verdict": "deny", "reason": "wrong key"}
        return {**answer, "verdict": "allow"}

    def on_message(self, text):
        """A WebSocket message; returns the answer, if there is one."""
        message = json.loads(text)
        if message.get("type") == "check":
            answer = self.check(message)
            self.note("check", channel_id=message["channel_id"], remote=message["remote"],
                      verdict=answer.get("verdict", "secret"))
            return json.dumps({"request": message["request"], **answer})
        known = ("channel_id", "channel", "session", "remote", "port", "relay_port", "reason", "duration_ms", "bytes",
                 "status")
        self.note(message.get("type", "unknown"), **{key: message[key] for key in known if key in message})
        return None

    def token_is_right(self, given):
        return self.token is None or (given is not None and hmac.compare_digest(self.token, given))


class WebSocket:
    """The server's side of RFC 6455, as far as this service needs it: whole text messages, ping, close."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @staticmethod
    def accept_key(key):
        digest = hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()
        return base64.b64encode(digest).decode()

    def messages(self):
        """Text messages, until the other side closes."""
        text = b""
        while True:
            opcode, final, payload = self.read_frame()
            if opcode == 8:
                self.send(8, payload[:2])
                return
            if opcode == 9:
                self.send(10, payload)
            elif opcode in (0, 1):
                text += payload
                if len(text) > MAX_MESSAGE:
                    raise ValueError("message too long")
                if final:
                    yield text.decode()
                    text = b""

    def read_frame(self):
        first, second = self.read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.read(8))
        if length > MAX_MESSAGE:
            raise ValueError("frame too long")
        if not second & 0x80:
            raise ValueError("clients must mask their frames")
        mask = self.read(4)
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.read(length)))
        return first & 0x0F, bool(first & 0x80), payload

    def read(self, length):
        data = self.reader.read(length)
        if len(data) < length:
            raise ConnectionError("closed")
        return data

    def send(self, opcode, payload):
        head = bytes([0x80 | opcode])
        if len(payload) < 126:
            head += bytes([len(payload)])
        else:
            head += bytes([126]) + struct.pack("!H", len(payload))
        self.writer.write(head + payload)
        self.writer.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = None  # set by main

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == WEBSOCKET_PATH and self.headers.get("Upgrade", "").lower() == "websocket":
            token = urllib.parse.parse_qs(url.query).get("token", [None])[0]
            return self.answer(401) if not self.service.token_is_right(token) else self.serve_websocket()
        if not self.authorised():
            return self.answer(401)
        route, _, channel_id = url.path.strip("/").partition("/")
        channel = self.service.channels.find(urllib.parse.unquote(channel_id)) if route == "hmac" else None
        if channel is None:
            return self.answer(404)
        answer = {"hmacKey": channel["secret"], "channel": channel["channel"], "name": channel.get("name")}
        return self.answer(200, answer)

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_MESSAGE))
        if not self.authorised():
            return self.answer(401)
        fields = json.loads(body) if body else {}
        route, _, name = urllib.parse.urlsplit(self.path).path.strip("/").partition("/")
        name = urllib.parse.unquote(name)
        service = self.service
        if route == "start":
            if service.channels.find(name) is None:
                return self.answer(404)
            # A name that must be percent-encoded: a client that builds addresses by hand would fail here.
            stream = f"{name}/{secrets.token_hex(8)}"
            service.streams[stream] = name
            service.note("start", channel_id=int(name), remote=fields.get("remote"))
            return self.answer(200, {"streamId": stream})
        if name not in service.streams:
            return self.answer(404)
        if route == "metadata":
            service.note("metadata", channel_id=int(service.streams[name]), **fields)
            return self.answer(200, {})
        if route == "end":
            service.note("end", channel_id=int(service.streams.pop(name)), **fields)
            return self.answer(200, {})
        return self.answer(404)

    def authorised(self):
        return self.service.token_is_right(self.headers.get("Authorization"))

    def answer(self, status, body=None):
        data = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve_websocket(self):
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", WebSocket.accept_key(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        self.wfile.flush()
        self.service.note("connected")
        socket = WebSocket(self.rfile, self.wfile)
        try:
            for text in socket.messages():
                answer = self.service.on_message(text)
                if answer is not None:
                    socket.send(1, answer.encode())
        except (ConnectionError, ValueError, KeyError, UnicodeDecodeError) as error:
            self.service.note("dropped", why=type(error).__name__)

    def log_message(self, *_):
        """Silent: request lines hold ids, and addresses may hold tokens."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", required=True, help="JSON file with the channels")
    parser.add_argument("--listen", default="127.0.0.1:9000", help="address and port; port 0 takes any")
    parser.add_argument("--give-secrets", action="store_true",
                        help="over WebSocket, answer with the secret instead of a verdict")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    Handler.service = Service(Channels(arguments.channels), arguments.give_secrets, os.environ.get("AUTH_TOKEN"))
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    Handler.service.note("listening", port=server.server_address[1])
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
