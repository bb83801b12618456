// What sweeps draw: the Pareto front, and where replicas flap.

function drawFront({ open }) {
  const front = DATA.front, chart = open(420);
  const best = front.points.filter((p) => p.front).sort((a, b) => a.at[0][0] - b.at[0][0]);
  const axis = { type: "value", scale: true, nameLocation: "middle", ...axisStyle(), axisLabel: { ...axisStyle().axisLabel, formatter: short } };
  const hue = (p) => colour(p.front ? 0 : 5), middle = (Math.max(...front.points.map((p) => p.at[0][0])) + Math.min(...front.points.map((p) => p.at[0][0]))) / 2;
  const dot = (p, i) => ({
    value: [p.at[0][0], p.at[1][0], i],
    itemStyle: { color: p.fails ? css("ground") : hue(p), borderColor: p.flaps ? css("bad") : hue(p), borderWidth: 2.5 },
    label: p.at[0][0] > middle ? { align: "right", position: [2, -8] } : { align: "left", position: [12, -8] },
  });
  chart.setOption({
    animation: false, textStyle: textStyle(), grid: { ...MARGIN, right: 40, top: 20, bottom: 48, containLabel: true },
    tooltip: tooltip({ trigger: "item", formatter: ({ value }) => frontTip(front, front.points[value[2]]) }),
    xAxis: { ...axis, name: front.x, nameGap: 28 }, yAxis: { ...axis, name: front.y, nameGap: 56 },
    series: [
      { type: "line", silent: true, showSymbol: false, z: 1, data: best.map((p) => [p.at[0][0], p.at[1][0]]), lineStyle: { color: colour(0), width: 1.5, type: "dashed" } },
      { type: "custom", silent: true, z: 1, data: front.points.map((p) => [p.at[0][1], p.at[0][2], p.at[1][1], p.at[1][2]]), encode: { x: [0, 1], y: [2, 3] },
        renderItem: ({ dataIndex }, api) => whiskers(front.points[dataIndex].at, api, faded(hue(front.points[dataIndex]), 0.6)) },
      { type: "scatter", z: 2, symbolSize: 13, data: front.points.map(dot),
        label: { show: front.points.length <= 40, color: css("text"), fontSize: 11, formatter: ({ value }) => front.points[value[2]].name },
        labelLayout: { hideOverlap: true } },
      { type: "scatter", z: 3, symbol: "diamond", symbolSize: 11, color: colour(1),
        data: front.points.flatMap((p, i) => (p.again ? [[p.again[0][0], p.again[1][0], i]] : [])) },
    ],
  });
}
function whiskers([x, y], api, stroke) {
  const line = ([x1, y1], [x2, y2]) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: 1 } });
  return { type: "group", children: [
    line(api.coord([x[1], y[0]]), api.coord([x[2], y[0]])), line(api.coord([x[0], y[1]]), api.coord([x[0], y[2]])),
  ] };
}
function frontTip(front, p) {
  const told = (at) => [front.x, front.y].map((name, k) => `${safe(name)} <b>${number(at[k][0])}</b> (${number(at[k][1])} … ${number(at[k][2])})`).join("<br>");
  return `<b>${safe(p.name)}</b><br>${told(p.at)}` + (p.again ? `<br>on fresh seeds:<br>${told(p.again)}` : "")
    + `<br>${number(p.flapsPerHour)} flaps an hour` + (p.fails ? `<br>breaks an expectation in ${p.fails} seeds` : "");
}

// One axis is drawn as a row of cells, two as a table of them.
function drawFlapping({ open }) {
  const { axes, cells, max } = DATA.flapping, rows = axes[1] ? axes[1].values : [""];
  const chart = open(70 + 44 * rows.length);
  const category = (values, name, gap) => ({
    type: "category", data: values, name, nameLocation: "middle", nameGap: gap, ...axisStyle(), splitLine: { show: false }, axisTick: { show: false },
  });
  const share = (value) => Math.min(1, value / (2 * max || 1));
  chart.setOption({
    animation: false, textStyle: textStyle(), grid: { ...MARGIN, top: 8, bottom: 48, containLabel: true },
    tooltip: tooltip({ trigger: "item", formatter: ({ dataIndex }) => `<b>${safe(cells[dataIndex].name)}</b><br>${number(cells[dataIndex].value)} flaps an hour` }),
    xAxis: category(axes[0].values, axes[0].name, 28), yAxis: category(rows, axes[1] ? axes[1].name : "", 56),
    series: [{
      type: "custom", data: cells.map((c) => [c.at[0], c.at[1] || 0, c.value]), encode: { x: 0, y: 1 },
      renderItem: ({ dataIndex }, api) => {
        const { value } = cells[dataIndex], [x, y] = api.coord([api.value(0), api.value(1)]), [width, height] = api.size([1, 1]);
        const flaps = value > max, fill = flaps ? faded("#b3261e", 0.7 + 0.3 * share(value)) : faded(colour(0), 0.08 + 0.5 * share(value));
        return { type: "rect", shape: { x: x - width / 2 + 1, y: y - height / 2 + 1, width: width - 2, height: height - 2, r: 3 }, style: { fill },
          textContent: { type: "text", style: { text: number(value), fill: flaps ? "#fff" : css("text"), fontSize: 12 } }, textConfig: { position: "inside" } };
      },
    }],
  });
}
