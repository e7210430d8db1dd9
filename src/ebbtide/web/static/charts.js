"use strict";
/* Charts of findings and entities. The numbers are those of the API, column by column; nothing is computed here but
   places on the canvas. `element.plot.data` holds what is drawn, in the order of `element.columns`. */
(() => {
  const root = document.documentElement;
  const DAY = 86400000;
  const PREFIXES = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const two = (number) => String(number).padStart(2, "0");
  const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const full = new Intl.DateTimeFormat(undefined,
    { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" });

  function si(value, unit) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const rounded = Number(value.toPrecision(3));
    const [size, prefix] = PREFIXES.find(([size]) => Math.abs(rounded) >= size) || [1, ""];
    const number = String(Number((rounded / size).toPrecision(3))).replace("-", "−");
    return unit === "bytes" ? `${number}\u00a0${prefix}B` : [number, prefix].filter(Boolean).join("\u00a0");
  }

  const level = (value, count) => new Array(count).fill(value);

  /* Columns of a chart: [name, values, style]. */
  function columnsOf(chart) {
    const count = chart.time.length;
    const isLevel = typeof chart.lower === "number";
    const band = (name) => (isLevel ? level(chart[name], count) : chart[name] || level(null, count));
    const found = [["upper", band("upper"), null], ["lower", band("lower"), null]];
    (chart.ghosts || []).forEach((one) => found.push([`ghost-${one.weeks}`, one.sent, ["ghost", 1]]));
    if (chart.received) found.push(["received", chart.received, ["received", 1.2, [2, 3]]]);
    if (typeof chart.mean === "number") found.push(["mean", level(chart.mean, count), ["mean", 1, [5, 4]]]);
    if (typeof chart.line === "number") found.push(["line", level(chart.line, count), ["line", 1.5, [8, 4]]]);
    found.push(["sent", chart.sent, ["sent", 1.6]]);
    return found;
  }

  function ticks(_, splits, axis, space, step) {
    let last = "";
    return splits.map((ms) => {
      const at = new Date(ms);
      const day = short.format(at);
      if (step >= DAY) return day;
      const text = `${two(at.getHours())}:${two(at.getMinutes())}` + (day === last ? "" : "\n" + day);
      last = day;
      return text;
    });
  }

  function spans(plot, list, least, paint) {
    const px = devicePixelRatio;
    const { left, width } = plot.bbox;
    plot.ctx.beginPath();
    for (const [start, end] of list) {
      const from = plot.valToPos(start, "x", true);
      const to = Math.max(plot.valToPos(end, "x", true), from + least * px);
      if (to > left && from < left + width) paint(Math.max(from, left), Math.min(to, left + width));
    }
  }

  function drawBehind(plot, chart) {
    const { ctx, bbox } = plot;
    ctx.save();
    const list = chart.marks || (chart.findings || []).map((one) => [one[1], one[2]]);
    spans(plot, list, 2, (from, to) => ctx.rect(from, bbox.top, to - from, bbox.height));
    ctx.fillStyle = color("mark-fill");
    ctx.fill();
    ctx.restore();
  }

  function drawOver(plot, chart) {
    const { ctx, bbox } = plot;
    const px = devicePixelRatio;
    const time = plot.data[0];
    const sent = plot.data[plot.data.length - 1];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 4 * px, bbox.width, bbox.height + 8 * px);
    ctx.clip();
    ctx.fillStyle = color("mark");
    const step = (chart.step_s || 3600) * 1000;
    let last = -1;
    for (const [start] of chart.marks || []) {
      const at = Math.floor((start - time[0]) / step);
      if (at === last || at < 0 || at >= time.length || sent[at] === null) continue;
      last = at;
      ctx.beginPath();
      ctx.arc(plot.valToPos(time[at], "x", true), plot.valToPos(sent[at], "y", true), 2.6 * px, 0, 2 * Math.PI);
      ctx.fill();
    }
    ctx.strokeStyle = color("version");
    ctx.setLineDash([2 * px, 3 * px]);
    for (const [, start] of chart.versions || []) {
      const x = plot.valToPos(start, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function tell(readout, plot, chart, columns) {
    const at = plot.cursor.idx;
    readout.replaceChildren();
    const add = (name, value, title) => {
      const part = document.createElement("span");
      const strong = document.createElement("b");
      strong.textContent = value;
      part.append(name ? name + " " : "", strong);
      if (title) part.title = title;
      readout.append(part);
    };
    if (at === null || at === undefined) {
      readout.textContent = chart.sent.every((one) => one === null) ? "Nothing is stored of this time." :
        "Point at the chart, or focus it and use the arrow keys, to read values. Drag to zoom, double-click to go back.";
      return;
    }
    const when = new Date(plot.data[0][at]);
    add("", full.format(when), when.toISOString().slice(0, 16).replace("T", " ") + " UTC");
    const value = Object.fromEntries(columns.map(([name, values]) => [name, values[at]]));
    add("sent", si(value.sent, chart.unit));
    if ("received" in value) add("received", si(value.received, chart.unit));
    if (value.lower !== null && value.upper !== null) add("usual", `${si(value.lower, chart.unit)} to ${si(value.upper, chart.unit)}`);
    if ("line" in value) add("line", si(value.line, chart.unit));
    columns.filter(([name]) => name.startsWith("ghost-")).forEach(([name, values]) =>
      add(`${name.slice(6)} wk before`, si(values[at], chart.unit)));
  }

  function options(chart, columns, size, readout) {
    const axis = { stroke: color("ink-2"), font: "12px system-ui, sans-serif", lineGap: 1.25, gap: 4,
      grid: { stroke: color("grid"), width: 1 }, ticks: { show: false } };
    const series = columns.map(([name, , style]) => ({
      label: name, spanGaps: false, points: { show: false }, width: style ? style[1] : 0,
      stroke: style ? color(style[0]) : "transparent", dash: style ? style[2] : undefined,
    }));
    return {
      ...size, ms: 1, legend: { show: false }, padding: [12, 16, 0, 0],
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, dist: 6 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.06 : 1] } },
      axes: [{ ...axis, values: ticks, space: 64, size: 36 },
        { ...axis, size: 62, space: 32, values: (_, splits) => splits.map((one) => si(one, chart.unit)) }],
      series: [{}, ...series],
      bands: [{ series: [1, 2], fill: color("band") }],
      hooks: {
        drawClear: [(plot) => drawBehind(plot, chart)],
        draw: [(plot) => drawOver(plot, chart)],
        setCursor: [(plot) => tell(readout, plot, chart, columns)],
      },
    };
  }

  function draw(place) {
    const { chart } = place;
    const readout = place.parentElement.querySelector(".readout");
    const columns = columnsOf(chart);
    const size = { width: Math.max(place.clientWidth, 120), height: place.clientHeight };
    if (place.plot) place.plot.destroy();
    place.columns = columns.map(([name]) => name);
    place.plot = new uPlot(options(chart, columns, size, readout), [chart.time, ...columns.map(([, values]) => values)], place);
    tell(readout, place.plot, chart, columns);
    for (const item of place.parentElement.querySelectorAll("[data-shows]")) {
      item.hidden = !columns.some(([name, values]) => name.startsWith(item.dataset.shows) && values.some((one) => one !== null));
    }
    for (const item of place.parentElement.querySelectorAll("[data-has]")) item.hidden = !(chart[item.dataset.has] || []).length;
    place.dataset.drawn = "yes";
  }

  function move(plot, by) {
    const time = plot.data[0];
    const sent = plot.data[plot.data.length - 1];
    const next = Math.min(Math.max((plot.cursor.idx ?? 0) + by, 0), time.length - 1);
    plot.setCursor({ left: plot.valToPos(time[next], "x"), top: sent[next] === null ? 0 : plot.valToPos(sent[next], "y") });
  }

  function onKey(event) {
    const { plot } = event.currentTarget;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 1;
    const actions = { ArrowLeft: () => move(plot, -step), ArrowRight: () => move(plot, step) };
    if (actions[event.key]) { actions[event.key](); event.preventDefault(); }
  }

  async function load(place) {
    const readout = place.parentElement.querySelector(".readout");
    try {
      const answer = await fetch(place.dataset.src, { headers: { accept: "application/json" } });
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.message || answer.statusText);
      place.chart = body;
      draw(place);
    } catch (error) {
      readout.textContent = `The chart could not be loaded: ${error.message}`;
      place.dataset.drawn = "failed";
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const places = [...document.querySelectorAll(".plot[data-src]")];
    const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => {
      if (target.plot && target.clientWidth) target.plot.setSize({ width: target.clientWidth, height: target.clientHeight });
    }));
    places.forEach((place) => {
      load(place);
      resized.observe(place);
      place.addEventListener("keydown", onKey);
    });
    const again = () => places.filter((place) => place.chart).forEach(draw);
    document.addEventListener("ebbtide:theme", again);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  });
})();
