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
