// A TLS peer on Node's own library: serves sites and makes calls, as the lines on its stdin say.
"use strict";
const fs = require("fs");
const readline = require("readline");
const tls = require("tls");

const ODD = { cipher: "no common cipher", group: "no common group", alpn: "no common ALPN", sni: "SNI refused" };
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
const read = (path) => (path ? fs.readFileSync(path) : undefined);
const say = (id, text) => process.stdout.write(`${id}\t${String(text).replace(/\s+/g, " ")}\n`);

function settings(fields) {
  const found = {
    cert: read(fields.cert),
    key: read(fields.key),
    ca: read(fields.ca),
    crl: read(fields.crl),
    minVersion: `TLSv${fields.min}`,
    maxVersion: `TLSv${fields.max}`,
  };
  if (fields.odd === ODD.cipher) found.ciphers = "ECDHE-ECDSA-AES128-SHA256:TLS_AES_128_CCM_SHA256";
  if (fields.lax) found.ciphers = "DEFAULT@SECLEVEL=0";
  if (fields.odd === ODD.group) found.ecdhCurve = "brainpoolP256r1";
  if (fields.odd === ODD.alpn) {
    // ALPNProtocols alone refuses nobody before Node 19
    found.ALPNCallback = ({ protocols }) => (protocols.includes("http/1.1") ? "http/1.1" : undefined);
  }
  for (const name of Object.keys(found)) if (found[name] === undefined) delete found[name];
  return found;
}

function serve(fields) {
  const options = settings(fields);
  if (fields.ca) Object.assign(options, { requestCert: true, rejectUnauthorized: true });
  if (fields.odd === ODD.sni) {
    options.SNICallback = (name, done) => done(name === "other.example" ? null : new Error("no such host"), null);
  }
  const server = tls.createServer(options, (socket) => {
    socket.on("error", () => {});
    if (fields.admitted && socket.getPeerCertificate().subject.CN !== fields.admitted) {
      socket.destroy();
      return;
    }
    let received = "";
    socket.on("data", (part) => {
      if (received.includes("\r\n\r\n")) return;
      received += part.toString("latin1");
      if (received.includes("\r\n\r\n")) socket.write(ANSWER);
    });
    socket.on("end", () => socket.end());
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => say(fields.id, server.address().port));
}

function call(fields) {
  const options = Object.assign(settings(fields), { host: "127.0.0.1", port: +fields.port, servername: fields.host });
  const socket = tls.connect(options, () => socket.write("GET / HTTP/1.0\r\n\r\n"));
  let said = "";
  socket.on("data", (part) => { said += part; });
  socket.on("error", (error) => { said += error.message; });
  socket.on("close", () => say(fields.id, said || "closed"));
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const fields = Object.fromEntries(line.split("\t").map((field) => [field.split("=")[0], field.slice(field.indexOf("=") + 1)]));
  try {
    (fields.verb === "serve" ? serve : call)(fields);
  } catch (error) {
    say(fields.id, error.message);
  }
}).on("close", () => process.exit(0));
