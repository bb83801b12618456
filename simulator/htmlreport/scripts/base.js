"use strict";
// What all pictures share: the data, colours, how numbers and times are written, and the theme.

const DATA = JSON.parse(document.getElementById("pictures").textContent);
// Okabe and Ito: told apart with every kind of colour vision.
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7A6FAC"];
const DARK_PALETTE = ["#4FA8E0", "#FF8A3D", "#35C79A", "#E49BC4", "#F5BE41", "#8CCDF2", "#C9A961", "#ABA1DB"];
const MARGIN = { left: 64, right: 24 };

const look = { dark: false, print: false };
const pictures = []; // of {element, draw, chart}

function css(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }
function colour(i) { const all = look.dark ? DARK_PALETTE : PALETTE; return all[i % all.length]; }
function faded(hex, alpha) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}

// Texts come from scenarios: never markup.
function safe(text) { return echarts.format.encodeHTML(String(text)); }

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
function short(value) { // for axes
  const size = Math.abs(value);
  if (size >= 1e6) return Number((value / 1e6).toPrecision(3)) + "M";
  if (size >= 1e4) return Number((value / 1e3).toPrecision(3)) + "k";
  return String(Number(value.toPrecision(4)));
}
function elapsed(seconds) {
  const s = Math.round(seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60, rest = s % 60;
  return [h ? h + "h" : "", m ? m + "m" : "", rest || s === 0 ? rest + "s" : ""].join("");
}
function clock(seconds) { // of the day on which the scenario plays
  const day = new Date(DATA.start + seconds * 1000).toISOString();
  return day.slice(11, 19) + (DATA.end > 86400 ? " " + day.slice(0, 10) : "");
}

// The value that a line has at a time: it keeps each until the next.
function valueAt(line, seconds) {
  let low = 0, high = line.t.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line.t[middle] <= seconds) low = middle + 1; else high = middle;
  }
  return low ? line.v[low - 1] : null;
}

function textStyle() { return { color: css("text"), fontFamily: "inherit" }; }
function axisStyle() {
  return {
    axisLine: { lineStyle: { color: css("line") } },
    axisTick: { lineStyle: { color: css("line") } },
    axisLabel: { color: css("quiet"), fontSize: 11 },
    nameTextStyle: { color: css("quiet") },
    splitLine: { lineStyle: { color: css("line"), opacity: 0.6 } },
  };
}
function timeAxis() {
  return {
    type: "time", min: 0, max: DATA.end * 1000, ...axisStyle(),
    splitLine: { show: true, lineStyle: { color: css("line"), opacity: 0.4 } },
  };
}
function tooltip(more) {
  return {
    confine: true, transitionDuration: 0, backgroundColor: css("ground"), borderColor: css("line"),
    textStyle: { color: css("text"), fontSize: 12 }, extraCssText: "max-width: 34em; white-space: normal;",
    ...more,
  };
}

// A picture in the element of that id, if the page has it; `draw` gets a new chart and the element.
function picture(id, draw) {
  const element = document.getElementById(id);
  if (element) pictures.push({ element, draw, chart: null });
}
function drawOne(p) {
  if (p.chart) p.chart.dispose();
  p.element.replaceChildren();
  // Heights depend on what is drawn: the picture sets them before it fills the chart.
  p.chart = null;
  p.draw({
    element: p.element,
    open(height) {
      p.element.style.height = height + "px";
      p.chart = echarts.init(p.element, null, {
        renderer: "canvas", useDirtyRect: false, devicePixelRatio: look.print ? 3 : undefined,
      });
      return p.chart;
    },
  });
}
function drawAll() { pictures.forEach(drawOne); }

function setTheme(dark) {
  look.dark = dark;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
