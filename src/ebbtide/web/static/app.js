"use strict";
/* Everything on the pages works without this file but charts, previews and keys. No state is kept here: it is in the URL. */
(() => {
  const root = document.documentElement;
  const rows = () => [...document.querySelectorAll("tr.row")];
  const VERDICTS = { a: "attack", b: "benign", e: "expected", u: "unsure" };

  function tellTimes(within) {
    const day = { year: "numeric", month: "short", day: "numeric" };
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const whole = new Intl.DateTimeFormat(undefined, { ...day, ...clock });
    const zoned = new Intl.DateTimeFormat(undefined, { ...clock, timeZoneName: "short" });
    for (const one of within.querySelectorAll("time[datetime]")) {
      const at = new Date(one.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const zone = zoned.formatToParts(at).find((part) => part.type === "timeZoneName");
      one.title = at.toISOString().slice(0, 16).replace("T", " ") + " UTC";
      one.textContent = whole.format(at);
      one.dataset.zone = zone ? zone.value : "";
    }
  }

  function watchTheme() {
    const button = document.getElementById("theme");
    const names = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
    const show = () => { button.textContent = names[root.dataset.theme]; };
    button.hidden = false;
    show();
    button.addEventListener("click", () => {
      const order = Object.keys(names);
      root.dataset.theme = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
      document.cookie = `ebbtide_theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax`;
      show();
      document.dispatchEvent(new Event("ebbtide:theme"));
    });
  }

  function watchCopy(within) {
    for (const button of within.querySelectorAll("button.copy")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const text = button.parentElement.querySelector("pre, code");
        try {
          await navigator.clipboard.writeText(text.textContent);
          button.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(text);
          button.textContent = "Selected";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
    }
  }

  function go(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("current"));
    const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
    all.forEach((row) => row.classList.remove("current"));
    next.classList.add("current");
    next.querySelector(".what a").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  const current = () => document.querySelector("tr.row.current");

  function countChosen() {
    const bulk = document.querySelector(".bulk");
    if (!bulk) return;
    const many = document.querySelectorAll('tr.row input[type="checkbox"]:checked').length;
    bulk.dataset.many = many || "";
    bulk.querySelector("[data-count]").textContent = many ? `${many} chosen` : "Choose findings, then say what they are";
    bulk.querySelectorAll("button").forEach((button) => { button.disabled = !many; });
  }

  function decide(letter) {
    const single = document.querySelector(`form.verdicts button[value="${VERDICTS[letter]}"]`);
    if (single) { single.click(); return; }
    if (!document.querySelector('tr.row input[type="checkbox"]:checked') && current()) {
      current().querySelector('input[type="checkbox"]').checked = true;
    }
    countChosen();
    const button = document.querySelector(`.bulk button[value="${VERDICTS[letter]}"]`);
    if (button && !button.disabled) button.click();
  }

  function toggle() {
    const box = current() && current().querySelector('input[type="checkbox"]');
    if (box) { box.checked = !box.checked; countChosen(); }
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const open = document.querySelector("dialog[open]");
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, .plot");
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing || open) return;
    const help = document.getElementById("help");
    const search = document.querySelector('input[type="search"]');
    const actions = {
      j: () => go(1), k: () => go(-1), x: toggle,
      a: () => decide("a"), b: () => decide("b"), e: () => decide("e"), u: () => decide("u"),
      "/": () => search && (search.focus(), search.select()),
      "?": () => help && help.showModal(),
    };
    if (actions[event.key]) { actions[event.key](); event.preventDefault(); }
  }

  function watchList() {
    countChosen();
    document.addEventListener("change", (event) => {
      if (event.target.id === "choose-all") {
        rows().forEach((row) => { row.querySelector('input[type="checkbox"]').checked = event.target.checked; });
      }
      countChosen();
      if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
    });
  }

  /* A slider beside a number: its stops are values that make a difference, not even steps. */
  function watchSliders() {
    for (const number of document.querySelectorAll("input[data-slider]")) {
      const stops = number.dataset.slider.split(" ").map(Number);
      const slider = document.createElement("input");
      const nearest = () => stops.reduce((best, stop, at) =>
        (Math.abs(Math.log(stop / number.value)) < Math.abs(Math.log(stops[best] / number.value)) ? at : best), 0);
      Object.assign(slider, { type: "range", min: 0, max: stops.length - 1, step: 1, value: nearest() });
      slider.setAttribute("aria-label", number.name.slice(2));
      slider.addEventListener("input", () => { number.value = stops[slider.value]; });
      number.addEventListener("input", () => { slider.value = nearest(); });
      number.after(slider);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    watchSliders();
    const facets = document.querySelector(".facets details");
    if (facets && matchMedia("(max-width: 1000px)").matches) facets.open = false;
    tellTimes(document);
    watchTheme();
    watchCopy(document);
    watchList();
    document.addEventListener("keydown", onKey);
    document.querySelectorAll("[data-help]").forEach((one) => {
      one.hidden = false;
      one.addEventListener("click", () => document.getElementById("help").showModal());
    });
    document.body.addEventListener("htmx:afterSwap", (event) => {
      tellTimes(event.target);
      watchCopy(event.target);
    });
    document.body.dataset.ready = "yes";
  });
})();
