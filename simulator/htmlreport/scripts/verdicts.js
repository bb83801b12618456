// What comparisons draw: verdicts against margins, cost against an objective, bands over seeds.

// One run: the path of cost and objective through time.
function drawTradeoff({ open }) {
  const way = DATA.tradeoff;
  if (!way) return;
  const points = way.t.map((t, i) => [way.x[i], way.y[i], t]).filter(([x, y]) => x !== null && y !== null);
  const chart = open(300), hue = colour(0);
  chart.setOption({
    animation: false, textStyle: textStyle(), grid: { ...MARGIN, top: 20, bottom: 48, containLabel: true },
    tooltip: tooltip({ trigger: "item", formatter: ({ value }) => `<b>${elapsed(value[2])}</b> (${clock(value[2])})<br>${safe(way.xName)} <b>${number(value[0])}</b><br>${safe(way.yName)} <b>${number(value[1])}</b>` }),
    xAxis: { type: "value", name: way.xName, nameLocation: "middle", nameGap: 28, scale: true, ...axisStyle(), axisLabel: { ...axisStyle().axisLabel, formatter: short } },
    yAxis: { type: "value", name: way.yName, nameLocation: "middle", nameGap: 56, ...axisStyle(), axisLabel: { ...axisStyle().axisLabel, formatter: short } },
    series: [
      { type: "line", data: points, showSymbol: false, silent: true, lineStyle: { color: faded(hue, 0.35), width: 1 } },
      { type: "scatter", data: points, symbolSize: 8, itemStyle: { color: ({ dataIndex }) => faded(hue, 0.15 + (0.85 * dataIndex) / points.length), borderColor: hue, borderWidth: 0.6 } },
    ],
  });
}

function claimColour(row) { return css(row.class); }

// Differences in margins, with their intervals, against what does not matter.
function drawForest({ open }) {
  const rows = DATA.forest, chart = open(60 + 34 * rows.length);
  const reach = Math.max(1.6, ...rows.flatMap((r) => [Math.abs(r.low), Math.abs(r.high)])) * 1.08;
  const labels = rows.map((r) => `${r.variant}\n${r.metric} (margin ${r.margin})`);
  chart.setOption({
    animation: false, textStyle: textStyle(),
    grid: { left: 8, right: look.print ? 150 : 260, top: 26, bottom: 8, containLabel: true },
    tooltip: tooltip({ trigger: "item", formatter: ({ dataIndex }) => forestTip(rows[dataIndex]) }),
    xAxis: { type: "value", min: -reach, max: reach, position: "top", ...axisStyle(), name: "", axisLabel: { ...axisStyle().axisLabel,
      formatter: (v) => (Math.abs(v) > 0.9 * reach ? (v < 0 ? "← better" : "worse →") : short(v)) } },
    yAxis: { type: "category", inverse: true, data: rows.map((_, i) => i), ...axisStyle(), splitLine: { show: false }, axisTick: { show: false },
      axisLabel: { color: css("text"), fontSize: 11, lineHeight: 14, formatter: (i) => labels[i] } },
    series: [{
      type: "custom", data: rows.map((r, i) => [r.low, r.high, r.middle, i]), encode: { x: [0, 1, 2], y: 3 },
      renderItem: (params, api) => forestShape(rows[params.dataIndex], params, api),
      markArea: { silent: true, itemStyle: { color: faded("#808080", 0.18) }, data: [[{ xAxis: -1 }, { xAxis: 1 }]] },
      markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: css("quiet"), type: "solid", width: 1 }, data: [{ xAxis: 0 }] },
    }],
  });
}
function forestShape(row, params, api) {
  const at = (x) => api.coord([x, api.value(3)]), [x1, y] = at(row.low), [x2] = at(row.high), [x] = at(row.middle);
  const stroke = claimColour(row), line = (a, b, c, d) => ({ type: "line", shape: { x1: a, y1: b, x2: c, y2: d }, style: { stroke, lineWidth: 2 } });
  const area = params.coordSys;
  return {
    type: "group",
    children: [
      line(x1, y, x2, y), line(x1, y - 5, x1, y + 5), line(x2, y - 5, x2, y + 5),
      { type: "rect", shape: { x: x - 4, y: y - 4, width: 8, height: 8 }, style: { fill: stroke } },
      { type: "text", style: { text: look.print ? row.claim : `${row.claim}: ${row.text}`, x: area.x + area.width + 10, y, verticalAlign: "middle", fill: stroke, fontSize: 12, fontWeight: 600 } },
    ],
  };
}
function forestTip(row) {
  return `<b>${safe(row.variant)}: ${safe(row.metric)}</b><br><b style="color:${claimColour(row)}">${safe(row.claim)}</b> ${safe(row.text)}, margin ${safe(row.margin)}`
    + (row.remark ? `<br>${safe(row.remark)}` : "");
}

// Every seed of the baseline with an arrow to the same seed of each variant.
function drawPairs({ open }) {
  const pairs = DATA.pairs;
  if (!pairs) return;
  const chart = open(360), names = DATA.variants, baseline = pairs.by[names[0]];
  const alpha = Math.max(0.15, Math.min(0.6, 12 / baseline.length));
  const mean = (points, k) => points.reduce((sum, p) => sum + p[k], 0) / points.length;
  const arrows = names.slice(1).map((name, k) => ({
    type: "custom", name, silent: true, color: colour(k + 1), z: 1,
    data: baseline.map((from, i) => [...from, ...pairs.by[name][i]]), encode: { x: [0, 2], y: [1, 3] },
    renderItem: (params, api) => arrowShape(api.coord([api.value(0), api.value(1)]), api.coord([api.value(2), api.value(3)]), faded(colour(k + 1), alpha)),
  }));
  const dots = names.flatMap((name, k) => [
    { type: "scatter", name, data: pairs.by[name].map((p, i) => [...p, pairs.seeds[i]]), symbolSize: 6, color: colour(k), itemStyle: { opacity: 0.75 }, z: 2 },
    { type: "scatter", name, data: [[mean(pairs.by[name], 0), mean(pairs.by[name], 1), null]], symbol: "diamond", symbolSize: 18, color: colour(k), itemStyle: { borderColor: css("ground"), borderWidth: 2 }, z: 3 },
  ]);
  const axis = { type: "value", scale: true, nameLocation: "middle", ...axisStyle(), axisLabel: { ...axisStyle().axisLabel, formatter: short } };
  chart.setOption({
    animation: false, textStyle: textStyle(), grid: { ...MARGIN, top: 34, bottom: 48, containLabel: true },
    legend: { ...panelLegend(names, 4, MARGIN.left) },
    tooltip: tooltip({ trigger: "item", formatter: ({ seriesName, value }) => `<b>${safe(seriesName)}</b>, ${value[2] === null ? "mean" : `seed ${value[2]}`}<br>${safe(pairs.x)} <b>${number(value[0])}</b><br>${safe(pairs.y)} <b>${number(value[1])}</b>` }),
    xAxis: { ...axis, name: pairs.x, nameGap: 28 }, yAxis: { ...axis, name: pairs.y, nameGap: 56 },
    series: [...arrows, ...dots],
  });
}
function arrowShape([x1, y1], [x2, y2], stroke) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length < 3) return null;
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length], size = Math.min(8, length / 2);
  const [bx, by] = [x2 - ux * size, y2 - uy * size];
  return {
    type: "group",
    children: [
      { type: "line", shape: { x1, y1, x2: bx, y2: by }, style: { stroke, lineWidth: 1 } },
      { type: "polygon", shape: { points: [[x2, y2], [bx - uy * size * 0.45, by + ux * size * 0.45], [bx + uy * size * 0.45, by - ux * size * 0.45]] }, style: { fill: stroke } },
    ],
  };
}

// Medians, bands and worst seeds of all variants over one axis of time.
function drawBands({ element, open }) {
  const owner = document.getElementById("owner").value;
  const panels = DATA.bands.filter((b) => !b.owner || b.owner === owner)
    .map((b) => ({ ...b, title: b.title, lines: [] }));
  const marks = DATA.marks, lanes = laneRows(marks);
  const layout = timelineLayout(panels, lanes), chart = open(layout.total);
  const option = timelineFrame(panels, marks, lanes, layout), shade = shades(marks), time = pointerTime(chart);
  const times = DATA.t.map((t) => t * 1000), stepped = (values) => times.map((t, i) => [t, values[Math.min(i, values.length - 1)]]);
  option.series.push(laneSeries(marks, lanes));
  option.legend.push(panelLegend(DATA.variants, 6, MARGIN.left));
  panels.forEach((panel, i) => DATA.variants.forEach((name, k) => {
    const band = panel.by[name], hue = colour(k), common = {
      type: "line", name, xAxisIndex: i + 1, yAxisIndex: i + 1, step: "end", showSymbol: false, color: hue, emphasis: { disabled: true }, silent: true,
    };
    const stack = `${i} ${name}`, wide = band.high.map((h, j) => (h === null || band.low[j] === null ? null : h - band.low[j]));
    option.series.push(
      { ...common, data: stepped(band.low), stack, stackStrategy: "all", lineStyle: { width: 0 }, ...(k === 0 ? { markArea: shade } : {}) },
      { ...common, data: stepped(wide), stack, stackStrategy: "all", lineStyle: { width: 0 }, areaStyle: { color: hue, opacity: 0.18 } },
      { ...common, data: stepped(band.worst), lineStyle: { width: 1, type: [3, 3], color: faded(hue, 0.8) } },
      { ...common, data: stepped(band.mid), lineStyle: { width: 1.8, color: hue } },
    );
  }));
  option.tooltip = tooltip({ trigger: "axis", formatter: () => pointedBands(panels, marks, time()) });
  chart.setOption(option);
  followMoment(chart, element, layout);
}
function pointedBands(panels, marks, seconds) {
  const parts = [`<b>${elapsed(seconds)}</b> (${clock(seconds)})`];
  parts.push(...marksAt(marks, seconds, DATA.end / 250).slice(0, 8).map((m) => `<div>${markLines(m)}</div>`));
  for (const panel of panels) {
    parts.push(`<div style="color:${css("quiet")}">${safe(panel.title)} (${safe(panel.unit)})</div>`);
    DATA.variants.forEach((name, k) => {
      const at = (which) => number(valueAt({ t: DATA.t, v: panel.by[name][which] }, Math.min(seconds, DATA.end - 0.01)));
      parts.push(`<div><span style="color:${colour(k)}">●</span> ${safe(name)} <b>${at("mid")}</b> (${at("low")} … ${at("high")}), worst seed ${at("worst")}</div>`);
    });
  }
  return parts.join("");
}

// The choices of a comparison: which workload is drawn, and whose marks and map.
function startChoices() {
  const fill = (id, label, values, chosen) => {
    const select = document.getElementById(id);
    if (!select) return;
    values.forEach((value) => select.add(new Option(value, value)));
    document.getElementById(label).hidden = values.length < 2;
    select.addEventListener("change", chosen);
  };
  const owners = [...new Set((DATA.bands || []).map((b) => b.owner).filter(Boolean))];
  fill("owner", "choice", owners, redraw);
  const views = DATA.views || {};
  fill("variant", "viewchoice", Object.keys(views), () => { Object.assign(DATA, views[document.getElementById("variant").value]); redraw(); });
  Object.assign(DATA, Object.values(views)[0]);
}
