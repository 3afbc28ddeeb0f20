// The other side of the comparison: decodes with the npm packages what the test
// writes, one line of hexadecimal messages in, one line of JSON out.
//
//   in   codec { " " ( "t" | "b" ) hex }        codec: json or msgpack
//   out  {"packets":[...],"error":...,"at":...,"pending":...}
//
// A packet is what the decoder emitted, with `again`: the same packet as the
// encoder of the package writes it, or null if it throws. Values are written so that nothing of them
// is lost; see view.
import msgpack from "socket.io-msgpack-parser";
import * as json from "socket.io-parser";

const codecs = { json, msgpack };

const hex = (data) => Buffer.from(data.buffer ?? data, data.byteOffset, data.byteLength).toString("hex");

// Arrays and objects are lists that begin with their kind, so that neither keys
// nor lengths can be mistaken for anything else.
function view(v) {
  switch (typeof v) {
    case "undefined":
      return ["undefined"];
    case "number":
      return Number.isFinite(v) ? v : ["number", String(v)];
    case "string":
      return v.toWellFormed(); // Go has no strings with lone surrogates
    case "boolean":
      return v;
  }
  if (v === null) return v;
  if (Array.isArray(v)) return ["array", ...Array.from(v, view)];
  if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) return ["bytes", hex(v)];
  if (v instanceof Date) return v.toJSON(); // what every codec of ours makes of it
  const members = ["object"];
  for (const key of Object.keys(v)) members.push(key.toWellFormed(), view(v[key]));
  return members;
}

const encode = (codec, packet) => codec.encode(packet).map((m) => (typeof m === "string" ? "t" + Buffer.from(m).toString("hex") : "b" + hex(m)));

function answer(line) {
  const [name, ...messages] = line.split(" ");
  const codec = codecs[name];
  const decoder = new codec.Decoder();
  const encoder = new codec.Encoder();
  const out = { packets: [], error: null, at: -1, pending: false };
  decoder.on("decoded", (packet) => {
    const { type, nsp, id, data } = packet;
    out.packets.push({ type: view(type), nsp: view(nsp), id: view(id), data: view(data), again: packet });
  });
  for (const [at, message] of messages.entries()) {
    const data = Buffer.from(message.slice(1), "hex");
    try {
      decoder.add(message[0] === "t" ? data.toString() : data);
    } catch (error) {
      out.error = error.message;
      out.at = at;
      break;
    }
  }
  for (const p of out.packets) {
    try {
      p.again = encode(encoder, p.again);
    } catch {
      p.again = null;
    }
  }
  out.pending = out.error === null && Boolean(decoder.reconstructor);
  return JSON.stringify(out);
}

let rest = "";
process.stdin.setEncoding("latin1");
process.stdin.on("data", (chunk) => {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop();
  if (lines.length > 0) process.stdout.write(lines.map(answer).join("\n") + "\n");
});
