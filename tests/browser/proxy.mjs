// A reverse proxy between the browser and the server, as networks have them: it can refuse what some refuse.
import { createServer, request } from "node:http";
import { connect } from "node:net";

/** In front of `target`. `refuse.sockets`: no WebSocket passes; `refuse.watching`: whoever asks to watch gets a 403. */
export async function startProxy(target) {
  const { hostname, port } = new URL(target);
  const refuse = { sockets: false, watching: false };
  /** The browser's sockets, and where each leads. */
  const tunnels = new Map();
  const dead = new Set();
  const server = createServer((incoming, answer) => {
    if (refuse.watching && incoming.url.startsWith("/whep")) return void answer.writeHead(403).end();
    const onward = request({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  server.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => socket.destroy());
    if (refuse.sockets) return void socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    const onward = connect(Number(port), hostname, () => {
      const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
      for (let at = 0; at < incoming.rawHeaders.length; at += 2) lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`);
      onward.write(`${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    tunnels.set(socket, onward);
    onward.on("error", () => onward.destroy());
    onward.on("close", () => {
      if (tunnels.has(socket)) socket.destroy();
    });
    socket.on("close", () => {
      tunnels.delete(socket);
      onward.destroy();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    refuse,
    /** Cuts every WebSocket that runs through here. */
    cut: () => [...tunnels.keys()].forEach((socket) => socket.destroy()),
    /** The server hears that every WebSocket is gone, the browser does not: so it is after a sleep, or on another network. */
    forget: () => {
      for (const [socket, onward] of tunnels) {
        tunnels.delete(socket);
        dead.add(socket.unpipe());
        onward.unpipe().destroy();
      }
    },
    stop: () => {
      for (const socket of [...tunnels.keys(), ...dead]) socket.destroy();
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** Serves one page under another origin than the server's: `localhost` is another host than `127.0.0.1`. */
export async function startPage(html) {
  const server = createServer((_incoming, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(html));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://localhost:${server.address().port}/`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
