"use strict";
(() => {
  const root = document.documentElement;
  const DAY = 86400000;
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const PREFIXES = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const drawn = new Map();

  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const two = (number) => String(number).padStart(2, "0");

  function si(value, unit) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const rounded = Number(value.toPrecision(3));
    const [size, prefix] = PREFIXES.find(([size]) => Math.abs(rounded) >= size) || [1, ""];
    const number = String(Number((rounded / size).toPrecision(3))).replace("-", "−");
    if (unit === "bytes") return number + "\u00a0" + prefix + "B";
    return [number, prefix, unit].filter(Boolean).join("\u00a0");
  }

  function utc(ms) {
    const at = new Date(ms);
    const seconds = at.getUTCSeconds() ? ":" + two(at.getUTCSeconds()) : "";
    return `${DAYS[at.getUTCDay()]} ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ` +
      `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${seconds}`;
  }

  function local(ms) {
    const parts = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Intl.DateTimeFormat(undefined, { ...parts, timeZoneName: "short" }).format(new Date(ms));
  }

  function ticks(_, splits, axis, space, step) {
    let last = "";
    return splits.map((ms) => {
      const at = new Date(ms);
      const day = `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
      if (step >= DAY) return day;
      const seconds = step < 60000 ? ":" + two(at.getUTCSeconds()) : "";
      const text = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${seconds}` + (day === last ? "" : "\n" + day);
      last = day;
      return text;
    });
  }

  const spread = (level, count) => (typeof level === "number" ? new Array(count).fill(level) : level);

  function columns(chart) {
    const time = chart.even
      ? Array.from({ length: chart.time[2] }, (_, i) => chart.time[0] + i * chart.time[1])
      : chart.time;
    const rest = ["upper", "lower", "received", "mean", "line", "sent"];
    const all = rest.map((name) => spread(chart[name], time.length) || new Array(time.length).fill(null));
    /* A deviation below the mean may lie below nothing at all; the readout and the axis end at nothing. */
    all[1] = all[1].map((value) => (value === null ? null : Math.max(0, value)));
    return [time, ...all];
  }

  function series(chart) {
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    const drawn = (name, width, dash) => ({
      stroke: color(name), width, dash, show: chart[name] !== null, spanGaps: false,
      points: { show: name === "sent" ? undefined : false, size: 4 },
    });
    return [{}, hidden, hidden, drawn("received", 1, [2, 3]), drawn("mean", 1, [5, 4]), drawn("line", 1.5, [8, 4]),
      drawn("sent", 1.5)];
  }

  /* Where a span of time lies on the canvas, at least `least` pixels wide; null when out of sight. */
  function place(plot, start, end, least) {
    const left = plot.valToPos(start, "x", true);
    const right = plot.valToPos(end, "x", true);
    const width = Math.max(right - left, least * devicePixelRatio);
    const x = right - left < width ? (left + right - width) / 2 : left;
    const from = Math.max(x, plot.bbox.left);
    const to = Math.min(x + width, plot.bbox.left + plot.bbox.width);
    return to > from ? { x: from, width: to - from } : null;
  }

  function drawBehind(plot, chart) {
    const { ctx, bbox } = plot;
    const px = devicePixelRatio;
    ctx.save();
    chart.labels.forEach(([start, end], index) => {
      const at = place(plot, start, end, 3);
      if (!at) return;
      ctx.fillStyle = color("label-fill");
      ctx.fillRect(at.x, bbox.top, at.width, bbox.height);
      ctx.fillStyle = color("label");
      ctx.fillRect(at.x, bbox.top, at.width, 4 * px);
      if (chart.labels.length > 1) {
        ctx.font = `600 ${10 * px}px sans-serif`;
        ctx.textAlign = "center";
        ctx.fillText(String(index + 1), at.x + at.width / 2, bbox.top - 3 * px);
      }
    });
    /* One path: where marks are narrower than a pixel they would add up to a solid block. */
    ctx.beginPath();
    for (const [start, end] of chart.marks) {
      const at = place(plot, start, end, 2);
      if (at) ctx.rect(at.x, bbox.top, at.width, bbox.height);
    }
    ctx.fillStyle = color("mark-fill");
    ctx.fill();
    ctx.restore();
  }

  function drawMarks(plot, chart) {
    const { ctx, bbox } = plot;
    const px = devicePixelRatio;
    const [time, sent] = [plot.data[0], plot.data[6]];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 4 * px, bbox.width, bbox.height + 8 * px);
    ctx.clip();
    ctx.fillStyle = color("mark");
    for (const [start, end] of chart.marks) {
      for (let i = firstAt(time, start); i < time.length && time[i] < end; i++) {
        if (sent[i] === null) continue;
        ctx.beginPath();
        ctx.arc(plot.valToPos(time[i], "x", true), plot.valToPos(sent[i], "y", true), 2.75 * px, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  function firstAt(time, value) {
    let [low, high] = [0, time.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (time[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  }

  function tell(readout, plot, chart) {
    const at = plot.cursor.idx;
    const [time] = plot.data;
    readout.replaceChildren();
    const add = (name, value) => {
      const part = document.createElement("span");
      const strong = document.createElement("b");
      strong.textContent = value;
      part.append(name + " ", strong);
      readout.append(part);
    };
    if (at === null || at === undefined) {
      const { min, max } = plot.scales.x;
      if (!time.length) readout.textContent = "No samples.";
      else if (Number.isFinite(min)) readout.textContent = `${utc(min)} to ${utc(max)} UTC`;
      return;
    }
    add("", `${utc(time[at])} UTC`);
    readout.firstChild.title = local(time[at]);
    const value = (name) => (Array.isArray(chart[name]) ? chart[name][at] : chart[name]);
    const unit = chart.unit === "bytes" ? "bytes" : "";
    add("sent", si(value("sent"), unit));
    if (chart.received) add("received", si(value("received"), unit));
    if (chart.lower !== null && value("lower") !== null) {
      add("usual", `${si(Math.max(0, value("lower")), unit)} to ${si(value("upper"), unit)}`);
    }
    if (chart.line !== null) add("line", si(value("line"), unit));
  }

  function options(chart, size, readout) {
    const axis = { stroke: color("ink-2"), font: "12px system-ui, sans-serif", lineGap: 1.25, gap: 4,
      grid: { stroke: color("grid"), width: 1 }, ticks: { show: false } };
    return {
      ...size, ms: 1, legend: { show: false }, padding: [12, 22, 0, 0],
      tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC"),
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, dist: 6 } },
      scales: {
        x: { time: true, range: (_, low, high) => (low === high && low !== null ? [low - 60000, low + 60000] : [low, high]) },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.06 : 1] },
      },
      axes: [
        { ...axis, values: ticks, space: 64, size: 36 },
        { ...axis, size: 54, values: (_, splits) => splits.map((v) => si(v, chart.unit === "bytes" ? "bytes" : "")), space: 32 },
      ],
      series: series(chart),
      bands: [{ series: [1, 2], fill: color("band") }],
      hooks: {
        drawClear: [(plot) => drawBehind(plot, chart)],
        draw: [(plot) => drawMarks(plot, chart)],
        setCursor: [(plot) => tell(readout, plot, chart)],
        setScale: [(plot) => tell(readout, plot, chart)],
      },
    };
  }

  const sizeOf = (place) => ({ width: Math.max(place.clientWidth, 120), height: place.clientHeight });

  function draw(place, force) {
    const known = drawn.get(place);
    if (known && !force) return;
    const figure = place.closest("figure");
    const chart = known ? known.chart : JSON.parse(figure.querySelector("script").textContent);
    if (known) known.plot.destroy();
    const plot = new uPlot(options(chart, sizeOf(place), figure.querySelector(".readout")), columns(chart), place);
    drawn.set(place, { chart, plot });
    tell(figure.querySelector(".readout"), plot, chart);
  }

  function move(plot, by) {
    const time = plot.data[0];
    const first = firstAt(time, plot.scales.x.min);
    const now = plot.cursor.idx ?? first - Math.sign(by);
    const next = Math.min(Math.max(now + by, 0), time.length - 1);
    const value = plot.data[6][next];
    plot.setCursor({ left: plot.valToPos(time[next], "x"), top: value === null ? 0 : plot.valToPos(value, "y") });
  }

  function zoom(plot, factor) {
    const time = plot.data[0];
    const { min, max } = plot.scales.x;
    const idx = plot.cursor.idx;
    const center = idx === null || idx === undefined ? (min + max) / 2 : time[idx];
    plot.setScale("x", {
      min: Math.max(center - (center - min) * factor, time[0]),
      max: Math.min(center + (max - center) * factor, time[time.length - 1]),
    });
  }

  function onKey(event) {
    const known = drawn.get(event.currentTarget);
    if (!known || event.ctrlKey || event.metaKey || event.altKey) return;
    const { plot } = known;
    const time = plot.data[0];
    const step = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowLeft: () => move(plot, -step), ArrowRight: () => move(plot, step),
      "+": () => zoom(plot, 0.5), "=": () => zoom(plot, 0.5), "-": () => zoom(plot, 2),
      0: () => plot.setScale("x", { min: time[0], max: time[time.length - 1] }),
      Escape: () => plot.setCursor({ left: -10, top: -10 }),
    };
    if (time.length && actions[event.key]) {
      actions[event.key]();
      event.preventDefault();
    }
  }

  function watchCharts() {
    const places = [...document.querySelectorAll(".plot")];
    const near = new IntersectionObserver((entries) => entries.filter((one) => one.isIntersecting)
      .forEach((one) => draw(one.target)), { rootMargin: "600px" });
    const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => {
      const known = drawn.get(target);
      if (known && target.clientWidth) known.plot.setSize(sizeOf(target));
    }));
    places.forEach((place) => {
      near.observe(place);
      resized.observe(place);
      place.addEventListener("keydown", onKey);
    });
    const again = () => [...drawn.keys()].forEach((place) => draw(place, true));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    let open = [];
    addEventListener("beforeprint", () => {
      root.classList.add("printing");
      open = [...document.querySelectorAll("details:not([open])")];
      open.forEach((one) => { one.open = true; });
      places.forEach((place) => draw(place, true));
    });
    addEventListener("afterprint", () => {
      root.classList.remove("printing");
      open.forEach((one) => { one.open = false; });
      again();
    });
  }

  function watchFilter() {
    const filter = document.querySelector(".filter");
    if (!filter) return;
    filter.hidden = false;
    const buttons = [...filter.querySelectorAll("button")];
    const show = (wanted) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.show === wanted)));
      document.querySelectorAll(".card").forEach((card) => {
        card.hidden = wanted !== "" && card.dataset.verdict !== wanted;
      });
    };
    buttons.forEach((button) => button.addEventListener("click", () => show(button.dataset.show)));
    const reveal = () => {
      const target = document.getElementById(location.hash.slice(1));
      if (target && target.hidden) {
        show("");
        target.scrollIntoView();
      }
    };
    addEventListener("hashchange", reveal);
  }

  function watchCopy(button) {
    const code = button.parentElement.querySelector("code");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  document.querySelectorAll("time[datetime]").forEach((one) => { one.title = local(Date.parse(one.dateTime)); });
  document.querySelectorAll(".copy").forEach(watchCopy);
  watchFilter();
  watchCharts();
})();
