/** Charts over time, drawn by uPlot. */

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { clock } from "./format.js";
import { html } from "./ui.js";

/** Seconds that charts show, at least and at most. */
const MIN_SPAN = 60;
const MAX_SPAN = 600;

/** The height of a chart, from its width. */
const heightOf = (width) => Math.round(Math.min(280, Math.max(120, width * .36)));

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Returns a colour of the style sheet as the browser computes it. */
function colorOf(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function faded(color) {
  const [, r, g, b] = color.match(/(\d+)[ ,]+(\d+)[ ,]+(\d+)/) ?? [];
  return r === undefined ? color : `rgba(${r},${g},${b},.12)`;
}

function options({ lines, format, hovered, width }) {
  const [quiet, line] = [colorOf("--quiet"), colorOf("--line")];
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: quiet, font, ticks: { show: false } };
  return {
    width,
    height: heightOf(width),
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, sync: { key: "time" }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 22,
        space: 90,
        values: labels,
      },
      {
        ...axis,
        grid: { stroke: line, width: 1 },
        size: 64,
        space: 34,
        values: (_, ticks) => ticks.map(format),
      },
    ],
    series: [
      {},
      ...lines.map(({ color }) => {
        const stroke = colorOf(color);
        return { stroke, width: 1.5, points: { show: false }, fill: faded(stroke) };
      }),
    ],
    hooks: { setCursor: [({ cursor: { idx } }) => hovered.value = idx] },
  };
}

/** Half the width of a label, and what is left and right of the lines, in pixels. */
const HALF_LABEL = 24;
const BESIDE = 68;

/** Times with seconds only where minutes would repeat. None where the edge would cut it off. */
function labels({ scales: { x }, width }, ticks) {
  const short = ticks.length < 2 || ticks[1] - ticks[0] >= 60;
  const last = x.max - HALF_LABEL * (x.max - x.min) / (width - BESIDE);
  return ticks.map((tick) => tick > last ? null : clock(tick * 1_000).slice(0, short ? 5 : 8));
}

/** A chart of one or two lines. `points` are the figures; each line takes one of them. */
export function Chart({ title, points, lines, format, note }) {
  const place = useRef();
  const plot = useRef();
  const hovered = useSignal(undefined);
  const times = points.map(({ time }) => time / 1_000);
  const data = [times, ...lines.map(({ name }) => points.map((point) => point[name]))];
  const latest = useRef(data);
  latest.current = data;
  const at = points[hovered.value] ?? points.at(-1);

  useLayoutEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      const width = Math.max(120, place.current.clientWidth);
      plot.current = new globalThis.uPlot(
        options({ lines, format, hovered, width }),
        latest.current,
        place.current,
      );
      setRange(plot.current, latest.current[0]);
    };
    draw();
    const resized = new ResizeObserver(() => {
      const width = Math.max(120, place.current.clientWidth);
      if (width !== plot.current.width) plot.current.setSize({ width, height: heightOf(width) });
    });
    resized.observe(place.current);
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      plot.current.destroy();
    };
  }, []);

  useLayoutEffect(() => {
    plot.current.setData(data, false);
    setRange(plot.current, times);
  });

  const values = lines.map(({ label, name, color }) =>
    html`<span class="value"><i class="dot" style=${`background: var(${color})`}></i>${label}
      <b>${at === undefined ? "–" : format(at[name])}</b></span>`
  );
  const spoken = lines.map(({ label, name }) => {
    const peak = points.reduce((max, point) => Math.max(max, point[name]), 0);
    return `${label}: ${at === undefined ? "nothing yet" : format(at[name])}, at most ${format(peak)}`;
  });
  return html`
    <section class="card chart" aria-label=${title}>
      <header><h2>${title}</h2><span class="quiet">${hovered.value === null ||
          points[hovered.value] === undefined
        ? note
        : clock(at.time)}</span></header>
      <p class="values">${values}</p>
      <div class="plot" role="img" aria-label=${`${title} in the last ten minutes. ${
        spoken.join(". ")
      }`} ref=${place}></div>
    </section>
  `;
}

function setRange(plot, times) {
  const end = times.at(-1) ?? Date.now() / 1_000;
  const span = Math.min(MAX_SPAN, Math.max(MIN_SPAN, end - (times[0] ?? end)));
  plot.setScale("x", { min: end - span, max: end });
}
