// Draws what the page has places for, and draws it again for another theme, width or printer.

picture("forest", drawForest);
picture("tradeoff", drawTradeoff);
picture("pairs", drawPairs);
picture("front", drawFront);
picture("flapping", drawFlapping);
picture("timeline", drawTimeline);
picture("bands", drawBands);
picture("map", drawMap);

function redraw() { moment.followers = []; drawAll(); }

setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
startChoices();
if (DATA.map) moment.seconds = firstFault();
redraw();
startPlayer();

function firstFault() {
  const fault = (DATA.marks || []).find((m) => m.lane === "faults");
  return fault ? fault.at : DATA.end / 2;
}

document.getElementById("theme").addEventListener("click", () => { setTheme(!look.dark); redraw(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => { setTheme(event.matches); redraw(); });

let width = document.body.clientWidth;
addEventListener("resize", () => {
  if (look.print || document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  redraw();
});

let wasDark = false;
addEventListener("beforeprint", () => {
  wasDark = look.dark;
  look.print = true;
  setTheme(false);
  document.body.style.width = "190mm"; // of A4, so that pictures get the width of the paper
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  redraw();
});
addEventListener("afterprint", () => {
  look.print = false;
  document.body.style.width = "";
  setTheme(wasDark);
  redraw();
});
