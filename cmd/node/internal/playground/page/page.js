// The demo page. Everything that a message can be told about its receivers is a
// control; every message shows where it came from, whom it was meant for and,
// to its sender, who got it.

const NAMESPACE = "/playground";
const ROOMS = ["red", "green", "blue"];
const BIRDS = ["Avocet", "Curlew", "Godwit", "Knot", "Plover", "Redshank", "Ruff", "Sanderling", "Snipe", "Stint", "Turnstone", "Whimbrel"];
const MAX_ENTRIES = 200;
const NODES_INTERVAL = 5000; // ms

const $ = (id) => document.getElementById(id);
const { path, official } = document.documentElement.dataset;

const joined = new Set();
const rooms = [...ROOMS];
let me = { id: "", node: "", name: sessionStorage.getItem("name") ?? BIRDS[Math.floor(Math.random() * BIRDS.length)] };

const socket = await open();

/** The official client if the address asks for it and the server has it, else our own. */
async function open() {
  const wanted = new URLSearchParams(location.search).get("client") === "official";
  document.body.dataset.client = wanted ? "official" : "own";
  if (wanted && official === "true") {
    const { io } = await import(`${path}socket.io.esm.min.js`);
    return io(NAMESPACE, { path });
  }
  if (wanted) status("start Dunlin with --client-dir to use the official client", "bad");
  const { connect } = await import("./client.js");
  return connect(NAMESPACE, { path });
}

/** Makes an element with text and children; nothing a visitor wrote is ever read as HTML. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A badge in the colour of a node: the same in every tab, far apart for node-1, node-2, … */
function badge(name, tag = "b") {
  const sum = [...name].reduce((total, c) => total + c.codePointAt(0), 0);
  const node = el(tag, { class: "badge", title: `node ${name}` }, name);
  node.style.setProperty("--hue", Math.round((sum * 137.508) % 360));
  return node;
}

function status(text, mood = "") {
  $("status").textContent = text;
  $("status").className = mood;
}

function log(...entries) {
  const list = $("log");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  $("hint").hidden = true;
  list.append(...entries);
  while (list.children.length > MAX_ENTRIES) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function note(...children) {
  log(el("li", { class: "note" }, ...children));
}

/** Whom a message was meant for, as small tags. */
function aim({ rooms, except, others, local }) {
  const tags = [rooms.length ? `to ${rooms.join(", ")}` : "to everyone"];
  if (others) tags.push("except the sender");
  if (except.length) tags.push(`except ${except.join(", ")}`);
  if (local) tags.push("this node only");
  return el("span", { class: "tags" }, ...tags.map((tag) => el("span", {}, tag)));
}

function entry(kind, { from, node, text, ...target }) {
  const who = el("span", { class: "who" }, badge(node), el("strong", {}, from), aim(target));
  return el("li", { class: kind }, who, el("p", {}, text));
}

// Rooms and target.

function chip(room) {
  const button = el("button", { type: "button", class: "chip", "data-room": room, "aria-pressed": String(joined.has(room)) }, room);
  button.onclick = () => toggle(room);
  return button;
}

async function toggle(room) {
  const leaving = joined.has(room);
  try {
    await socket.emitWithAck(leaving ? "leave" : "join", room);
  } catch (error) {
    return note(`could not ${leaving ? "leave" : "join"} ${room}: ${error.message}`);
  }
  if (leaving) joined.delete(room);
  else joined.add(room);
  draw();
}

function options(select, fixed) {
  const { value } = select;
  select.replaceChildren(
    ...fixed.map(([key, label]) => el("option", { value: key }, label)),
    ...rooms.map((room) => el("option", { value: `room:${room}` }, `room ${room}`)),
  );
  select.value = value || fixed[0][0];
}

function target() {
  const room = (value) => (value.startsWith("room:") ? [value.slice(5)] : []);
  const except = $("except").value;
  return { rooms: room($("to").value), except: room(except), others: except === "me", local: $("local").checked };
}

function draw() {
  $("chips").replaceChildren(...rooms.map(chip));
  options($("to"), [["all", "everyone"]]);
  options($("except"), [["nobody", "nobody"], ["me", "me"]]);
  drawCode();
}

/** The nodes that answer each other now, the tab's own marked. */
async function drawNodes() {
  const nodes = await socket.emitWithAck("nodes");
  $("nodes").replaceChildren(
    ...nodes.sort().map((name) => {
      const item = badge(name, "li");
      if (name === me.node) item.setAttribute("aria-current", "true");
      return item;
    }),
  );
}

/** The call that a server would make for this message. */
function drawCode() {
  const { rooms, except, others, local } = target();
  const quote = (names) => names.map((name) => JSON.stringify(name)).join(", ");
  const calls = [others ? "socket" : "io"];
  if (rooms.length) calls.push(`To(${quote(rooms)})`);
  else if (others && !except.length && !local) calls.push("Broadcast()");
  if (except.length) calls.push(`Except(${quote(except)})`);
  if (local) calls.push("Local()");
  $("code").textContent = `${calls.join(".")}.Emit("said", message)`;
}

// The connection.

socket.on("connect", async () => {
  try {
    const moved = me.node;
    const { id, node } = await socket.emitWithAck("whoami");
    me = { ...me, id, node, name: await socket.emitWithAck("name", me.name) };
    for (const room of joined) await socket.emitWithAck("join", room);
    document.body.dataset.node = node;
    $("name").value = me.name;
    $("send").disabled = false;
    status("connected", "good");
    note(moved ? "back, now served by " : "this tab is served by ", badge(node));
    await drawNodes();
  } catch {
    // The connection is gone again; the next one starts over.
  }
});

socket.on("disconnect", (reason) => {
  $("send").disabled = true;
  delete document.body.dataset.node;
  status("connection lost, trying again…", "bad");
  note(`connection lost (${reason})`);
});

socket.on("said", (message, ack) => {
  if (message.id !== me.id) log(entry("theirs", message));
  ack({ name: me.name, node: me.node });
});

setInterval(async () => {
  if (!socket.connected || document.hidden) return;
  try {
    await drawNodes();
  } catch {
    // Asked again soon.
  }
}, NODES_INTERVAL);

// The form.

/** Shows a message of one's own, and below it who got it. */
async function say(message) {
  const item = entry("mine", { ...message, from: me.name, node: me.node });
  const result = el("p", { class: "outcome" }, "…");
  item.append(result);
  log(item);
  try {
    const { reached, names, missing, error } = await socket.emitWithAck("say", message);
    if (error) throw new Error(error.message);
    const list = names.map(({ name, node }) => el("span", {}, badge(node), ` ${name}`));
    const more = reached > names.length ? [`and ${reached - names.length} more`] : [];
    result.replaceChildren(reached ? "reached" : "reached nobody", ...list, ...more, ...(missing ? [`${missing} did not answer`] : []));
  } catch (error) {
    result.replaceChildren(`not sent: ${error.message}`);
    result.classList.add("bad");
  }
}

$("say").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !socket.connected) return;
  $("text").value = "";
  say({ text, ...target() });
};

$("target").onchange = drawCode;

$("name").onchange = async () => {
  me.name = await socket.emitWithAck("name", $("name").value);
  $("name").value = me.name;
  sessionStorage.setItem("name", me.name);
};

$("room").onkeydown = (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault(); // not the message
  const room = $("room").value.trim();
  $("room").value = "";
  if (!room) return;
  if (!rooms.includes(room)) rooms.push(room);
  if (!joined.has(room)) toggle(room);
};

// A keyboard that comes up on a phone must not hide the last message.
addEventListener("resize", () => ($("log").scrollTop = $("log").scrollHeight));

$("name").value = me.name;
draw();
