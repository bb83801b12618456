// Panels above each other over one axis of time, with marks of what happened on top.

const LANES = ["faults", "scenario", "scaling", "nodes", "pods", "operator"];
const LANE_HEIGHT = 17;

function laneColour(lane) {
  return { faults: css("bad"), scenario: css("text"), scaling: colour(0), nodes: colour(2), pods: colour(3), operator: colour(4) }[lane];
}

// What is stacked needs the same times in every line.
function stackedLines(lines) {
  const times = [...new Set(lines.flatMap((line) => line.t))].sort((a, b) => a - b);
  return lines.map((line) => ({ ...line, t: times, v: times.map((t) => valueAt(line, t)) }));
}

function markLines(mark) {
  const many = mark.count > 1 ? ` × ${mark.count}` : "";
  const until = mark.until === null ? "" : ` – ${elapsed(mark.until)}`;
  const more = mark.count > mark.texts.length && mark.texts.length ? ["…"] : [];
  return [`<b style="color:${laneColour(mark.lane)}">${safe(mark.title)}${many}</b> ${elapsed(mark.at)}${until}`,
    ...[...mark.texts, ...more].map((text) => `<div style="padding-left:1em">${safe(text)}</div>`)].join("");
}

// Marks that touch a time, or are as near to it as the eye can tell.
function marksAt(marks, seconds, near) {
  return marks.filter((m) => m.at - near <= seconds && seconds <= (m.until === null ? m.at : m.until) + near);
}

// Bars of a lane that overlap stand in rows below each other, in three at most.
const ROWS_MAX = 3;
function laneRows(marks) {
  const rows = [], rowOf = new Map();
  for (const lane of LANES) {
    const free = [], mine = marks.filter((m) => m.lane === lane);
    for (const mark of mine) {
      let row = mark.until === null ? 0 : free.findIndex((until) => until <= mark.at);
      if (row < 0) row = Math.min(free.length, ROWS_MAX - 1);
      if (mark.until !== null) free[row] = Math.max(free[row] || 0, mark.until);
      rowOf.set(mark, rows.length + row);
    }
    for (let i = 0; i < Math.max(free.length, mine.length ? 1 : 0); i++) rows.push(i ? "" : lane);
  }
  return { names: rows, rowOf };
}

function timelineLayout(panels, lanes) {
  const room = look.print ? 930 : Infinity, top = 34;
  const lanesHeight = lanes.names.length * LANE_HEIGHT;
  const gap = 34;
  const height = Math.min(110, Math.floor((room - top - lanesHeight - 90) / panels.length) - gap);
  const tops = panels.map((_, i) => top + lanesHeight + gap + i * (height + gap));
  return { top, lanesHeight, height, tops, total: tops[tops.length - 1] + height + (look.print ? 34 : 84) };
}

function barText(mark) { return mark.texts.length ? `${mark.title} – ${mark.texts[0]}` : mark.title; }

// The lanes as a series: bars for what lasts, marks for what does not.
function laneSeries(marks, lanes) {
  return {
    type: "custom", name: "marks", xAxisIndex: 0, yAxisIndex: 0, clip: true, animation: false,
    encode: { x: [0, 1], y: 2 },
    data: marks.map((m) => [m.at * 1000, (m.until === null ? m.at : m.until) * 1000, lanes.rowOf.get(m)]),
    renderItem(params, api) {
      const mark = marks[params.dataIndex], [x, y] = api.coord([api.value(0), api.value(2)]);
      const style = { fill: laneColour(mark.lane) }, half = LANE_HEIGHT / 2 - 3;
      if (mark.until === null) {
        const shape = { points: [[x, y - half], [x + half, y], [x, y + half], [x - half, y]] };
        return { type: "polygon", shape, style };
      }
      const area = params.coordSys, end = Math.min(api.coord([api.value(1), 0])[0], area.x + area.width);
      const begin = Math.max(x, area.x), width = Math.max(3, end - begin);
      if (end < area.x || begin > area.x + area.width) return null;
      const fits = width > 24;
      return {
        type: "rect", shape: { x: begin, y: y - half - 1, width, height: 2 * half + 2, r: 2 },
        style: { ...style, opacity: 0.75 },
        textContent: fits ? { type: "text", style: { text: barText(mark), fontSize: 10, fill: "#fff", width: width - 6, overflow: "truncate" } } : undefined,
        textConfig: { position: "insideLeft", distance: 3 },
      };
    },
    tooltip: { formatter: (params) => markLines(marks[params.dataIndex]) },
  };
}

// Shades what is not measured, and the time of each fault.
function shades(marks) {
  const spans = [];
  const [from, to] = DATA.measured;
  if (from > 0) spans.push([0, from, faded("#808080", 0.16)]);
  if (to < DATA.end) spans.push([to, DATA.end, faded("#808080", 0.16)]);
  for (const m of marks) {
    if (m.lane === "faults") spans.push([m.at, m.until === null ? m.at + DATA.end / 600 : m.until, faded("#c2362b", look.dark ? 0.13 : 0.08)]);
  }
  return {
    silent: true,
    data: spans.map(([a, b, fill]) => [{ xAxis: a * 1000, itemStyle: { color: fill } }, { xAxis: b * 1000 }]),
  };
}

// Grids, axes and titles for lanes and panels; series are added by who calls.
function timelineFrame(panels, marks, lanes, layout) {
  const frame = {
    animation: false, textStyle: textStyle(),
    grid: [{ ...MARGIN, top: layout.top, height: Math.max(1, layout.lanesHeight), tooltip: { trigger: "item" } }],
    xAxis: [{ ...timeAxis(), gridIndex: 0, axisLabel: { show: false }, axisTick: { show: false }, axisPointer: { show: false } }],
    yAxis: [{
      type: "category", gridIndex: 0, data: lanes.names.map((name, i) => ({ value: `${name} ${i}` })), inverse: true, ...axisStyle(), axisTick: { show: false },
      splitLine: { show: false }, axisPointer: { show: false },
      axisLabel: { ...axisStyle().axisLabel, interval: 0, formatter: (name) => name.split(" ")[0] },
    }],
    title: [], legend: [], series: [],
    axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: css("quiet") } },
    dataZoom: [
      { type: "inside", xAxisIndex: "all", zoomOnMouseWheel: "ctrl", moveOnMouseMove: false, filterMode: "none" },
      ...(look.print ? [] : [{ type: "slider", xAxisIndex: "all", bottom: 8, height: 22, ...MARGIN, filterMode: "none",
        labelFormatter: (ms) => elapsed(ms / 1000), borderColor: css("line"), textStyle: { color: css("quiet"), fontSize: 10 }, showDataShadow: false }]),
    ],
  };
  panels.forEach((panel, i) => {
    const isLast = i === panels.length - 1;
    frame.grid.push({ ...MARGIN, top: layout.tops[i], height: layout.height });
    frame.xAxis.push({
      ...timeAxis(), gridIndex: i + 1,
      axisLabel: { ...axisStyle().axisLabel, show: isLast, hideOverlap: true, formatter: (ms) => elapsed(ms / 1000) },
      axisPointer: { show: true, snap: false, label: { show: isLast, formatter: ({ value }) => `${elapsed(value / 1000)}  (${clock(value / 1000)})` } },
    });
    frame.yAxis.push({
      type: "value", gridIndex: i + 1, min: 0, splitNumber: 2, ...axisStyle(), axisPointer: { show: false },
      axisLabel: { ...axisStyle().axisLabel, formatter: short },
    });
    frame.title.push({
      text: panel.title, left: MARGIN.left, top: layout.tops[i] - 22,
      textStyle: { color: css("text"), fontSize: 12, fontWeight: 600 },
    });
    frame.title.push({
      text: `${panel.unit}${strokes(panel)}`, right: MARGIN.right, top: layout.tops[i] - 21, textStyle: { color: css("quiet"), fontSize: 11, fontWeight: 400 },
    });
  });
  return frame;
}

// Which line is which, where they are not told apart by colour.
function strokes(panel) {
  const labels = (dashed) => [...new Set(panel.lines.filter((l) => l.owner && Boolean(l.dashed) === dashed).map((l) => l.label))];
  const solid = labels(false), dashed = labels(true);
  return dashed.length ? `   ── ${solid}   ╌╌ ${dashed}` : "";
}

function panelLegend(names, top, left) {
  return {
    type: "plain", data: names, top, left, itemWidth: 14, itemHeight: 8, icon: "roundRect",
    textStyle: { color: css("quiet"), fontSize: 11 }, inactiveColor: css("line"), padding: 0, itemGap: 10,
  };
}

const OWNERS_SHOWN = 4; // of many workloads, until the reader asks for others

function drawTimeline({ element, open }) {
  const panels = DATA.panels, marks = DATA.marks;
  const lanes = laneRows(marks);
  const layout = timelineLayout(panels, lanes);
  const chart = open(layout.total), option = timelineFrame(panels, marks, lanes, layout);
  const time = pointerTime(chart), shade = shades(marks);
  option.series.push(laneSeries(marks, lanes));
  const shown = {};
  DATA.workloads.forEach((name, i) => { shown[name] = i < OWNERS_SHOWN; });
  if (DATA.workloads.length) {
    option.legend.push({
      ...panelLegend(DATA.workloads, 6, MARGIN.left), type: "scroll", right: MARGIN.right, selected: shown,
      pageTextStyle: { color: css("quiet") }, pageIconColor: css("quiet"),
    });
  }
  panels.forEach((panel, i) => {
    const own = panel.lines.filter((line) => !line.owner).map((line) => line.label);
    if (own.length > 1) option.legend.push(panelLegend(own, layout.tops[i] - 20, MARGIN.left + 8 + 7 * panel.title.length + 14));
    const lines = panel.stacked ? stackedLines(panel.lines) : panel.lines;
    lines.forEach((line, k) => {
      const hue = panelColour(panel, line, k);
      option.series.push({
        type: "line", name: line.owner || line.label, xAxisIndex: i + 1, yAxisIndex: i + 1, step: "end",
        showSymbol: false, data: line.t.map((t, j) => [t * 1000, line.v[j]]), color: hue,
        lineStyle: { width: panel.stacked ? 0 : 1.6, type: line.dashed ? [4, 3] : "solid", color: hue },
        stack: panel.stacked ? panel.key : undefined, stackStrategy: "all",
        areaStyle: panel.stacked ? { color: hue } : undefined,
        emphasis: { disabled: true },
        ...(k === 0 ? { markArea: shade } : {}),
        ...boundLines(panel, line, k),
      });
    });
  });
  option.tooltip = tooltip({ trigger: "axis", formatter: () => pointed(chart, panels, marks, time()) });
  chart.setOption(option);
  followMoment(chart, element, layout);
  chart.getZr().on("click", (event) => {
    const x = event.offsetX;
    if (event.offsetY > layout.top + layout.lanesHeight) showMoment(chart.convertFromPixel({ xAxisIndex: 1 }, x) / 1000);
  });
}

function panelColour(panel, line, k) {
  if (line.owner) return colour(DATA.workloads.indexOf(line.owner));
  if (panel.key === "nodes") {
    const hue = colour(zonesOf(panel).indexOf(line.label.split(",")[0]));
    return faded(hue, line.label.endsWith("spot") ? 0.4 : 0.85);
  }
  return panel.stacked ? faded(colour(k), 0.7) : colour(k);
}
function zonesOf(panel) { return [...new Set(panel.lines.map((line) => line.label.split(",")[0]))]; }

// Where an expectation names a number, a line shows it: green when it was met.
function boundLines(panel, line, k) {
  const first = panel.lines.findIndex((other) => other.owner === line.owner) === k;
  const bounds = (DATA.bounds || []).filter((b) => b.panel === panel.key && b.owner === line.owner);
  const top = Math.max(...panel.lines.flatMap((l) => l.v.filter((v) => v !== null)), 0);
  const near = bounds.filter((b) => b.value <= 1.6 * top);
  if (!first || !near.length) return {};
  return {
    markLine: {
      symbol: "none", silent: true, label: { show: false },
      data: near.map((b) => ({ yAxis: b.value, lineStyle: { color: b.met ? css("good") : css("bad"), type: "dotted", width: 1.2 } })),
    },
  };
}

// Answers with the time that the pointer is at. Tooltips know only the nearest point of a line, and lines
// have points only where they change. To be called before the chart is filled, so that it hears first.
function pointerTime(chart) {
  let x = 0;
  ["mousemove", "click"].forEach((kind) => chart.getZr().on(kind, (event) => { x = event.offsetX; }));
  return () => Math.min(DATA.end, Math.max(0, chart.convertFromPixel({ xAxisIndex: 1 }, x) / 1000));
}

// What the pointer is at: happenings first, then every number that is shown.
function pointed(chart, panels, marks, seconds) {
  const selected = Object.assign({}, ...chart.getOption().legend.map((legend) => legend.selected || {}));
  const option = chart.getOption().dataZoom[0];
  const near = (DATA.end * (option.end - option.start)) / 100 / 250;
  const parts = [`<b>${elapsed(seconds)}</b> (${clock(seconds)})`];
  parts.push(...marksAt(marks, seconds, near).slice(0, 8).map((m) => `<div>${markLines(m)}</div>`));
  for (const panel of panels) {
    const told = panel.lines.filter((line) => selected[line.owner || line.label] !== false)
      .map((line, k) => [line, valueAt(line, seconds), panelColour(panel, line, panel.lines.indexOf(line))])
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([line, value, hue]) => `<span style="color:${hue}">●</span> ${safe([line.owner, line.label].filter((t, i) => t && !(i && panel.lines.length === 1)).join(" "))} <b>${number(value)}</b>`);
    if (told.length) parts.push(`<div><span style="color:${css("quiet")}">${safe(panel.title)} (${safe(panel.unit)}):</span> ${told.join(", ")}</div>`);
  }
  return parts.join("");
}

// A dashed line through all panels at the moment that the map shows.
function followMoment(chart, element, layout) {
  const cursor = document.createElement("div");
  cursor.className = "cursor";
  cursor.style.top = `${layout.top}px`;
  cursor.style.bottom = look.print ? "30px" : "60px";
  element.appendChild(cursor);
  const place = () => {
    const x = chart.convertToPixel({ xAxisIndex: 1 }, moment.seconds * 1000);
    const inside = x >= MARGIN.left - 1 && x <= element.clientWidth - MARGIN.right + 1;
    cursor.style.display = inside && DATA.map ? "block" : "none";
    cursor.style.left = `${x}px`;
  };
  moment.followers.push(place);
  chart.on("datazoom", place);
  place();
}
