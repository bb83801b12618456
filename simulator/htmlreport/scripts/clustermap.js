// Zones, nodes in them, pods on those, at one moment; a slider chooses it.

const moment = { seconds: 0, followers: [], timer: null };
const WAITING = 0, STARTING = 1, READY = 2, UNREADY = 3, STOPPING = 4;
const NODE_READY = 0, CORDONED = 1;

function showMoment(seconds) {
  moment.seconds = Math.min(DATA.end, Math.max(0, seconds));
  moment.followers.forEach((follow) => follow());
}

// The state at a time, of a list [from, state, from, state…]; null before and after.
function stateAt(states, end, seconds) {
  if (end !== null && seconds >= end) return null;
  let state = null;
  for (let i = 0; i < states.length && states[i] <= seconds; i += 2) state = states[i + 1];
  return state;
}

function podColour(map, owner) {
  const i = DATA.workloads.indexOf(map.owners[owner]);
  return colour(i >= 0 ? i : DATA.workloads.length + owner);
}

// The most pods that a node ever has at once: boxes keep their size.
function mostPods(map) {
  const steps = new Map();
  for (const [, node, , end, states] of map.pods) {
    let bound = null;
    for (let i = 0; i < states.length; i += 2) if (bound === null && states[i + 1] !== WAITING) bound = states[i];
    if (node < 0 || bound === null) continue;
    if (!steps.has(node)) steps.set(node, []);
    steps.get(node).push([bound, 1]);
    if (end !== null) steps.get(node).push([end, -1]);
  }
  let most = 1;
  for (const list of steps.values()) {
    let now = 0;
    for (const [, by] of list.sort((a, b) => a[0] - b[0] || a[1] - b[1])) most = Math.max(most, now += by);
  }
  return most;
}

function mapLayout(map, width) {
  const most = Math.min(mostPods(map), 120);
  const places = map.zones.map((zone) => 1 + Math.max(...map.nodes.filter((n) => n.zone === zone).map((n) => n.place)));
  const many = places.reduce((a, b) => a + b, 0);
  const cell = many <= 24 ? 13 : many <= 80 ? 9 : 6, label = many <= 80 ? 14 : 3;
  const columns = Math.max(Math.ceil(many <= 80 ? 96 / cell : 1), Math.ceil(Math.sqrt(most * 1.8)));
  const box = { width: columns * cell + 6, height: label + Math.ceil(most / columns) * cell + 6 };
  const perRow = Math.max(1, Math.floor((width - 90) / (box.width + 6)));
  let top = 6;
  const zones = places.map((count, i) => {
    const zone = { name: map.zones[i], top, rows: Math.ceil(count / perRow) };
    top += zone.rows * (box.height + 6) + 14;
    return zone;
  });
  return { cell, label, columns, box, perRow, zones, waitingTop: top, total: top + 58 };
}

function mapAt(map, layout, seconds) {
  const boxes = [], squares = [], fill = new Map();
  const where = map.nodes.map((node, i) => {
    const state = stateAt(node.states, node.end, seconds), zone = layout.zones[map.zones.indexOf(node.zone)];
    const x = 84 + (node.place % layout.perRow) * (layout.box.width + 6);
    const y = zone.top + Math.floor(node.place / layout.perRow) * (layout.box.height + 6);
    if (state !== null) boxes.push({ x, y, node, state });
    return { x, y, state };
  });
  let waiting = 0;
  for (const pod of map.pods) {
    const state = stateAt(pod[4], pod[3], seconds);
    if (state === null) continue;
    if (state === WAITING || pod[1] < 0) {
      squares.push({ pod, state, x: 84 + (waiting % 90) * (layout.cell + 1), y: layout.waitingTop + 22 + Math.floor(waiting / 90) * (layout.cell + 1) });
      waiting += 1;
      continue;
    }
    const at = where[pod[1]], k = fill.get(pod[1]) || 0;
    if (at.state === null || k >= 120) continue; // its node is gone, the API does not know yet
    fill.set(pod[1], k + 1);
    squares.push({ pod, state, x: at.x + 3 + (k % layout.columns) * layout.cell, y: at.y + 3 + layout.label + Math.floor(k / layout.columns) * layout.cell });
  }
  return { boxes, squares, waiting };
}

function drawMap({ element, open }) {
  const map = DATA.map;
  if (!map) return;
  const layout = mapLayout(map, element.clientWidth), chart = open(layout.total + 26);
  let now = null;
  const nodeTip = ({ node, state }) => {
    const pods = now.squares.filter((s) => s.pod[1] >= 0 && map.nodes[s.pod[1]] === node && s.state !== WAITING).length;
    const told = ["ready", "cordoned", "not ready"][state];
    return `<b>${safe(node.name)}</b><br>zone ${safe(node.zone)}, pool ${safe(node.pool)}, ${node.spot ? "spot" : "on demand"}<br>${told}, ${pods} pods`;
  };
  const podTip = ({ pod, state }) => {
    const told = ["waits for a node", "starts", "ready", "no longer ready", "stops"][state];
    const on = pod[1] >= 0 && state !== WAITING ? `<br>on ${safe(map.nodes[pod[1]].name)}` : "";
    return `<b>${safe(map.owners[pod[0]] + pod[2])}</b><br>${told} since ${elapsed(since(pod[4], moment.seconds))}${on}`;
  };
  const lines = { stroke: css("line"), text: css("text"), quiet: css("quiet"), panel: css("panel"), bad: css("bad"), warn: css("warn"), ground: css("ground") };
  const hues = map.owners.map((_, i) => podColour(map, i));
  chart.setOption({
    animation: false, textStyle: textStyle(), tooltip: tooltip({ trigger: "item" }),
    legend: map.owners.length <= 12 ? { ...panelLegend(map.owners, layout.total, 84), selectedMode: false } : undefined,
    series: [
      { type: "custom", coordinateSystem: "none", id: "boxes", data: [], tooltip: { formatter: (p) => nodeTip(now.boxes[p.dataIndex]) },
        renderItem: (p) => boxShape(now.boxes[p.dataIndex], layout, lines) },
      { type: "custom", coordinateSystem: "none", id: "squares", data: [], tooltip: { formatter: (p) => podTip(now.squares[p.dataIndex]) },
        renderItem: (p) => squareShape(now.squares[p.dataIndex], layout, hues, lines) },
      // Only for the legend: custom series of many colours have none of their own.
      ...map.owners.slice(0, 12).map((name, i) => ({ type: "custom", coordinateSystem: "none", name, color: hues[i], data: [], renderItem: () => null })),
    ],
    graphic: zoneLabels(layout, lines),
  });
  const show = () => {
    now = mapAt(map, layout, moment.seconds);
    chart.setOption({ series: [{ id: "boxes", data: now.boxes.map((_, i) => [i]) }, { id: "squares", data: now.squares.map((_, i) => [i]) }] });
    const ready = now.squares.filter((s) => s.state === READY).length;
    const faults = (DATA.marks || []).filter((m) => m.lane === "faults" && m.at <= moment.seconds && (m.until === null ? m.at + 60 : m.until) >= moment.seconds);
    document.getElementById("when").textContent =
      `${elapsed(moment.seconds)} (${clock(moment.seconds)}): ${ready} of ${now.squares.length} pods ready, ${now.waiting} wait, ${now.boxes.length} nodes`
      + (faults.length ? `; ${[...new Set(faults.map((m) => m.title))].join(", ")}` : "");
    document.getElementById("moment").value = String(Math.round((moment.seconds / DATA.end) * 1000));
  };
  moment.followers.push(show);
  show();
}

function since(states, seconds) {
  let from = states[0];
  for (let i = 0; i < states.length && states[i] <= seconds; i += 2) from = states[i];
  return from;
}

function boxShape({ x, y, node, state }, layout, lines) {
  const border = state === NODE_READY ? lines.quiet : state === CORDONED ? lines.warn : lines.bad;
  return {
    type: "group",
    children: [
      { type: "rect", shape: { x, y, ...layout.box, r: 3 },
        style: { fill: lines.panel, stroke: border, lineWidth: state === NODE_READY ? 1 : 2.2, lineDash: node.spot ? [4, 3] : undefined } },
      ...(layout.label > 10 ? [{ type: "text", silent: true, style: { text: node.name, x: x + 4, y: y + 4, verticalAlign: "top", fontSize: 10, fill: state === NODE_READY ? lines.quiet : border, width: layout.box.width - 8, overflow: "truncate" } }] : []),
    ],
  };
}

function squareShape({ x, y, pod, state }, layout, hues, lines) {
  const size = layout.cell - 2, hue = hues[pod[0]];
  const style = state === READY ? { fill: hue } : state === STOPPING || state === WAITING
    ? { fill: lines.ground, stroke: hue, lineWidth: 1.4 } : { fill: faded(hue, 0.45), stroke: hue, lineWidth: 1 };
  return { type: "rect", shape: { x: x + 0.5, y: y + 0.5, width: size, height: size, r: 1.5 }, style };
}

function zoneLabels(layout, lines) {
  const label = (text, y, size) => ({ type: "text", silent: true, style: { text, x: 4, y, verticalAlign: "top", fill: lines.text, font: `${size}px sans-serif`, width: 76, overflow: "truncate" } });
  return [
    ...layout.zones.map((zone) => label(`zone ${zone.name}`, zone.top + 4, 12)),
    { type: "line", silent: true, shape: { x1: 4, x2: 2000, y1: layout.waitingTop, y2: layout.waitingTop }, style: { stroke: lines.stroke } },
    label("no node yet", layout.waitingTop + 22, 11),
  ];
}

function startPlayer() {
  const player = document.getElementById("player");
  if (!player || !DATA.map) return;
  const play = document.getElementById("play"), slider = document.getElementById("moment");
  player.hidden = false;
  slider.addEventListener("input", () => showMoment((slider.value / 1000) * DATA.end));
  const stop = () => { clearInterval(moment.timer); moment.timer = null; play.textContent = "▶"; };
  play.addEventListener("click", () => {
    if (moment.timer !== null) { stop(); return; }
    if (moment.seconds >= DATA.end) moment.seconds = 0;
    play.textContent = "❚❚";
    moment.timer = setInterval(() => {
      showMoment(moment.seconds + DATA.end / 400);
      if (moment.seconds >= DATA.end) stop();
    }, 50);
  });
}
