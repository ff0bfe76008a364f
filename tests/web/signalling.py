"""Twilio's side of the softphone, at the wire: its signalling over wss, with the SDK's own messages.

Chromium is told that every *.twilio.com is here. Media is not faked: the other end of a call is a second
RTCPeerConnection in the same browser, and sound flows between the two over the loopback.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.browser import Page

HEARTBEAT = 10.0
"""Seconds: the SDK gives up on a server that is silent for 15."""

_PEER = """
window.peer = (() => {
  let pc;
  const whole = async () => {
    if (pc.iceGatheringState !== 'complete') {
      await new Promise(done => pc.addEventListener('icegatheringstatechange', () => {
        if (pc.iceGatheringState === 'complete') done();
      }));
    }
    return pc.localDescription.sdp;
  };
  const begin = () => {
    const context = new AudioContext();
    const source = context.createOscillator();
    const target = context.createMediaStreamDestination();
    source.connect(target);
    source.start();
    pc = new RTCPeerConnection();
    for (const track of target.stream.getTracks()) pc.addTrack(track, target.stream);
  };
  return {
    async answer(sdp) {
      begin();
      await pc.setRemoteDescription({ type: 'offer', sdp });
      // Without telephone-event the SDK sends a key over the wire, where it can be seen.
      const codecs = RTCRtpReceiver.getCapabilities('audio').codecs;
      const others = codecs.filter(each => each.mimeType !== 'audio/telephone-event');
      for (const each of pc.getTransceivers()) each.setCodecPreferences(others);
      await pc.setLocalDescription(await pc.createAnswer());
      return whole();
    },
    async offer() {
      begin();
      await pc.setLocalDescription(await pc.createOffer());
      return whole();
    },
    async answered(sdp) {
      await pc.setRemoteDescription({ type: 'answer', sdp });
    },
    async hears() {
      const stats = [...(await pc.getStats()).values()];
      return stats.some(each => each.type === 'inbound-rtp' && each.packetsReceived);
    },
    close: () => pc.close(),
  };
})();
true
"""


@dataclass
class Signalling:
    """secret: of the API key that signs tokens. ttl: how long it says that a token lasts (s)."""

    secret: str
    port: int = 0
    ttl: float | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _socket: web.WebSocketResponse | None = None

    def reset(self) -> None:
        self.ttl = None
        self.claims = {}
        self.received.clear()

    async def got(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Wait for the SDK's `times`-th message of that type; its payload."""
        while True:
            found = [payload for each, payload in self.received if each == kind]
            if len(found) >= times:
                return found[times - 1]
            await asyncio.sleep(0.02)

    async def send(self, kind: str, **payload: Any) -> None:
        assert self._socket is not None
        await self._socket.send_json({"type": kind, "payload": payload, "version": "1.6"})

    async def drop(self) -> None:
        """Lose the connection."""
        assert self._socket is not None
        await self._socket.close()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            allow = dict.fromkeys(("Access-Control-Allow-Origin", "Access-Control-Allow-Headers"), "*")
            return web.Response(status=200, headers=allow)  # what the SDK reports of call quality
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._socket = socket
        beating = asyncio.create_task(_beat(socket))
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data != "\n":
                event = json.loads(message.data)
                self.received.append((event["type"], event["payload"]))
                await self._react(event["type"], event["payload"])
        beating.cancel()
        return socket

    async def _react(self, kind: str, payload: Mapping[str, Any]) -> None:
        if kind == "listen":
            try:
                self.claims = jwt.decode(payload["token"], self.secret, algorithms=["HS256"])
            except jwt.InvalidTokenError as exc:
                await self.send("error", error={"code": 31202, "message": str(exc)})
                return
            lasts = self.claims["exp"] - datetime.now(UTC).timestamp()
            known = {"identity": self.claims["grants"]["identity"], "ttl": self.ttl or lasts}
            await self.send("connected", region="US_EAST_VIRGINIA", edge="ashburn", home="us1", token=known)
        elif kind == "register":
            await self.send("ready" if payload["media"]["audio"] else "offline")


async def _beat(socket: web.WebSocketResponse) -> None:
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(HEARTBEAT)
            await socket.send_str("\n")


@dataclass(frozen=True)
class Peer:
    """The other end of a call, in the same browser."""

    page: Page

    async def ready(self) -> "Peer":
        await self.page.evaluate(_PEER)
        return self

    async def answer(self, offer: str) -> str:
        return str(await self.page.evaluate(f"peer.answer({json.dumps(offer)})"))

    async def offer(self) -> str:
        return str(await self.page.evaluate("peer.offer()"))

    async def answered(self, sdp: str) -> None:
        await self.page.evaluate(f"peer.answered({json.dumps(sdp)}).then(() => true)")

    async def hears(self) -> None:
        """Wait until sound arrives."""
        while True:
            if await self.page.evaluate("peer.hears()"):
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(secret: str, folder: Path) -> AsyncIterator[Signalling]:
    """folder: for a certificate that nobody else trusts."""
    signalling = Signalling(secret)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", signalling.serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(folder))
    await site.start()
    signalling.port = runner.addresses[0][1]
    yield signalling
    await runner.cleanup()


def _context(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signalling")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.twilio.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "signalling.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
