// What a query found: series as a plot with a table, or lines of a log. All texts of tenants become text nodes.
const COLORS = ["#3f83d6", "#d9622b", "#2f9e5b", "#b55fc4", "#b07d12", "#1d9aa5", "#d6517d", "#7a8636", "#8b6fd1", "#858b94"];
const HEIGHT = 260; // pixels
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 6, notation: "standard" });
const part = (name) => document.getElementById(name);
let plot;

// Show a result, and return it in words.
export function showResult(result) {
  const { error, notices = [], series = [], lines = [] } = result;
  part("error").textContent = error ?? "";
  part("error").hidden = !error;
  part("notices").replaceChildren(...notices.map((text) => element("p", { className: "quiet" }, text)));
  plot?.destroy();
  plot = undefined;
  for (const name of ["plot", "series", "lines"]) part(name).replaceChildren();
  part("plot").hidden = part("series").hidden = series.length === 0;
  part("lines").hidden = lines.length === 0;
  if (error) return "";
  if (series.length) showSeries(result);
  if (lines.length) part("lines").replaceChildren(element("ol", { className: "lines" }, ...lines.map(lineOf)));
  if (lines.length) return `${lines.length} ${lines.length === 1 ? "line" : "lines"}, the newest first.`;
  return series.length ? `${series.length} series.` : "Nothing was found in this time.";
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function nameOf({ __name__: metric = "", ...labels }) {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return metric + (pairs.length || !metric ? `{${pairs.join(", ")}}` : "");
}

const shown = (value) => (value === null || value === undefined ? "–" : number.format(value));
const clock = (seconds) => `${new Date(seconds * 1000).toISOString().slice(11, 19)} UTC`;

function showSeries({ times, series, start, end }) {
  const cells = series.map(({ values }) => element("td", {}, shown(values.at(-1))));
  const heading = element("th", { scope: "col" }, "Last value");
  part("series").append(tableOf(series, cells, heading));
  const show = (index) => {
    heading.textContent = index === null ? "Last value" : `Value at ${clock(times[index])}`;
    series.forEach(({ values }, row) => (cells[row].textContent = shown(values.at(index ?? -1))));
  };
  const options = optionsOf(series, [start, end], show);
  plot = new uPlot(options, [times, ...series.map(({ values }) => values)], part("plot"));
  plot.root.tabIndex = 0;
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `Plot of ${series.length} series. Arrow keys move the time of the table below.`);
  plot.root.addEventListener("keydown", (event) => moveCursor(event, times));
}

function tableOf(series, cells, heading) {
  const rows = series.map(({ labels }, row) => {
    const mark = element("span", { className: "mark", ariaHidden: "true" }, "");
    mark.style.backgroundColor = COLORS[row % COLORS.length];
    return element("tr", {}, element("th", { scope: "row" }, mark, element("code", {}, nameOf(labels))), cells[row]);
  });
  const head = element("tr", {}, element("th", { scope: "col" }, "Series"), heading);
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function optionsOf(series, [start, end], show) {
  const color = () => getComputedStyle(document.body).color;
  const axis = { stroke: color, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8884" } };
  return {
    width: part("plot").clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { range: () => [start, end] } },
    axes: [axis, { ...axis, size: 70, values: (_, values) => values.map(shown) }],
    series: [
      {},
      ...series.map((_, row) => ({ stroke: COLORS[row % COLORS.length], width: 1.5, spanGaps: false, points: { size: 4 } })),
    ],
    hooks: { setCursor: [(self) => show(self.cursor.idx ?? null)] },
  };
}

function moveCursor(event, times) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const index = Math.max(0, Math.min(times.length - 1, (plot.cursor.idx ?? times.length) + step));
  plot.setCursor({ left: plot.valToPos(times[index], "x"), top: 0 });
}

function lineOf({ milliseconds, text, labels }) {
  const instant = new Date(milliseconds).toISOString();
  const time = element("time", { dateTime: instant }, `${instant.slice(0, 10)} ${instant.slice(11, 23)} UTC`);
  return element("li", {}, time, " ", element("code", {}, text), element("small", {}, nameOf(labels)));
}

new ResizeObserver(() => {
  const width = part("plot").clientWidth;
  if (plot && width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
}).observe(part("plot"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot?.redraw());
