"use strict";
(() => {
  const content = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const colour = (slot) => css(typeof slot === "number" ? `c${slot}` : slot);
  const narrow = () => window.innerWidth < 640;

  // ---- charts -------------------------------------------------------------------------------------------------
  const axis = () => ({ gridcolor: css("rule"), linecolor: css("faint"), zerolinecolor: css("faint"), automargin: true,
    title: { standoff: 12 }, fixedrange: false });
  const base = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif", size: 13, color: css("ink") },
    hoverlabel: { bgcolor: css("panel"), bordercolor: css("faint"), font: { color: css("ink") } },
    margin: { l: 8, r: 18, t: 10, b: 8 }, hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
  });
  const settings = { displaylogo: false, responsive: true, displayModeBar: false };

  const painted = (trace) => {
    const { slot, slots, ...rest } = trace;
    const tone = slots ? slots.map(colour) : colour(slot ?? 0);
    const out = { ...rest, marker: { ...rest.marker, color: tone } };
    if (rest.error_x) out.error_x = { ...rest.error_x, color: css("ink") };
    if (rest.mode && rest.mode.includes("lines")) out.line = { width: 1.8, ...rest.line, color: tone };
    if (rest.textposition === "inside") {
      out.insidetextfont = { color: (slots || []).map((s) => (s === 0 ? css("paper") : css("ink"))) };
      out.outsidetextfont = { color: css("ink") };
    }
    return out;
  };
  const arranged = (layout) => {
    const out = { ...base(), ...layout };
    out.xaxis = { ...axis(), ...layout.xaxis };
    const { kind, ...y } = layout.yaxis || {};
    out.yaxis = { ...axis(), ...y };
    if (kind === "names") {
      out.yaxis.ticklabelstandoff = 6;
      if (narrow()) out.yaxis.tickfont = { size: 11 };
    }
    out.shapes = (layout.shapes || []).map(({ slot, ...shape }) => ({ ...shape, line: { color: colour(slot), width: 1.2, dash: "dash" } }));
    return out;
  };
  const draw = (element, figure) => window.Plotly.react(element, figure.data.map(painted), arranged(figure.layout), settings);

  const plots = [...document.querySelectorAll("[data-plot]")];
  const drawPlots = () => plots.forEach((element) => draw(element, content.plots[element.dataset.plot]));

  const stage = document.getElementById("stage");
  const log = document.getElementById("log");
  const grid = document.getElementById("curve-grid");
  const drawCurves = () => {
    if (!stage) return;
    [...grid.children].forEach((child) => window.Plotly.purge(child));
    grid.replaceChildren();
    for (const { name, x, y } of content.curves[stage.value]) {
      const element = document.createElement("div");
      element.className = "plot";
      element.setAttribute("role", "img");
      element.setAttribute("aria-label", `${name} in stage ${stage.value}`);
      grid.append(element);
      draw(element, {
        data: [{ type: "scatter", mode: x.length > 1 ? "lines" : "markers", x, y, slot: 0, hovertemplate: "step %{x}: %{y:.4g}<extra></extra>" }],
        layout: {
          title: { text: name.replaceAll("<", "&lt;"), font: { size: 13 }, x: 0, xanchor: "left", y: 0.98, yanchor: "top" }, margin: { l: 8, r: 12, t: 30, b: 8 },
          xaxis: { nticks: 5 }, yaxis: { type: log.checked && y.every((v) => v > 0) ? "log" : "linear", nticks: 5, exponentformat: "power" },
          showlegend: false,
        },
      });
    }
  };
  if (stage) {
    const stages = [...stage.options].map((option) => option.value);
    stage.value = stages.findLast((name) => name.includes("adapt")) ?? stages[0];
    stage.addEventListener("change", drawCurves);
    log.addEventListener("change", drawCurves);
  }
  const drawCharts = () => { if (window.Plotly) { drawPlots(); drawCurves(); } };

  // ---- skeletons ----------------------------------------------------------------------------------------------
  // Camera frame: x right, y down, z away; the canvas has y down too, so people stand upright without any flip.
  const scenes = content.scenes;
  const HOME = { yaw: -0.6, pitch: 0.2 };
  const view = { ...HOME };
  const shown = { truth: true, rows: scenes ? scenes.rows.map((row) => row.shown) : [] };
  const cards = scenes ? [...document.querySelectorAll("[data-scene]")].map((card) => {
    const sample = scenes.samples[Number(card.dataset.scene)];
    const axes = [0, 1, 2].map((k) => sample.truth.map((joint) => joint[k]));
    const centre = axes.map((values) => (Math.min(...values) + Math.max(...values)) / 2);
    const radius = Math.max(0.3, ...sample.truth.map((joint) => Math.hypot(...joint.map((c, k) => c - centre[k]))));
    return { card, sample, centre, radius, floor: Math.max(...axes[1]), canvas: card.querySelector("canvas") };
  }) : [];

  const turned = (point, centre) => {
    const [x, y, z] = point.map((c, k) => c - centre[k]);
    const across = x * Math.cos(view.yaw) + z * Math.sin(view.yaw);
    const depth = -x * Math.sin(view.yaw) + z * Math.cos(view.yaw);
    return [across, y * Math.cos(view.pitch) - depth * Math.sin(view.pitch), y * Math.sin(view.pitch) + depth * Math.cos(view.pitch)];
  };

  const paint = ({ sample, centre, radius, floor, canvas }) => {
    const size = canvas.clientWidth;
    if (!size) return;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size, size);
    const scale = (0.43 * size) / radius;
    const screen = ([x, y]) => [size / 2 + x * scale, size / 2 + y * scale];
    pen.strokeStyle = css("faint");
    pen.lineWidth = 1;
    pen.setLineDash([]);
    for (const part of [0.35, 0.7]) {
      pen.beginPath();
      for (let k = 0; k <= 48; k++) {
        const angle = (k / 48) * 2 * Math.PI;
        const around = [centre[0] + part * radius * Math.cos(angle), floor, centre[2] + part * radius * Math.sin(angle)];
        pen.lineTo(...screen(turned(around, centre)));
      }
      pen.stroke();
    }
    const strokes = [];
    const add = (pose, tone, weight) => {
      const joints = pose.map((joint) => turned(joint, centre));
      for (const [child, parent] of scenes.bones) {
        strokes.push({ from: joints[parent], to: joints[child], tone, weight, left: scenes.left[child], depth: (joints[parent][2] + joints[child][2]) / 2 });
      }
    };
    if (shown.truth) add(sample.truth, css("ink"), 1.25);
    shown.rows.forEach((on, k) => { if (on) add(sample.predictions[k], colour(scenes.rows[k].slot), 1); });
    strokes.sort((a, b) => b.depth - a.depth);
    pen.lineCap = "round";
    for (const { from, to, tone, weight, left, depth } of strokes) {
      const near = Math.min(1, Math.max(0, 0.5 - depth / (2 * radius)));
      pen.globalAlpha = 0.6 + 0.4 * near;
      pen.strokeStyle = pen.fillStyle = tone;
      pen.lineWidth = weight * (1.6 + 2 * near);
      pen.setLineDash(left ? [1.6 * pen.lineWidth, 1.7 * pen.lineWidth] : []);
      pen.beginPath();
      pen.moveTo(...screen(from));
      pen.lineTo(...screen(to));
      pen.stroke();
      pen.beginPath();
      pen.arc(...screen(to), 0.75 * pen.lineWidth, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
  };

  let pending = false;
  const paintAll = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; cards.forEach(paint); });
  };
  const captions = () => cards.forEach(({ card, sample }) => {
    const parts = scenes.rows.flatMap((row, k) => {
      if (!shown.rows[k]) return [];
      const part = document.createElement("span");
      const value = document.createElement("b");
      value.textContent = sample.errors[k] === null ? "–" : `${sample.errors[k].toFixed(0)} mm`;
      value.style.color = colour(row.slot);
      part.append(`${row.name} `, value);
      return [part];
    });
    card.querySelector("figcaption").replaceChildren(...parts);
  });

  const button = (text, act) => {
    const element = document.createElement("button");
    element.type = "button";
    element.append(text);
    element.addEventListener("click", () => act(element));
    return element;
  };
  const toggle = (text, slot, get, set) => {
    const element = button(text, () => { set(!get()); element.setAttribute("aria-pressed", String(get())); captions(); paintAll(); });
    const swatch = document.createElement("i");
    element.prepend(swatch);
    element.style.setProperty("--swatch", typeof slot === "number" ? `var(--c${slot})` : `var(--${slot})`);
    element.setAttribute("aria-pressed", String(get()));
    return element;
  };
  const look = (text, yaw, pitch) => button(text, () => { view.yaw = yaw; view.pitch = pitch; paintAll(); });

  if (cards.length) {
    let spinning = false;
    const spin = button("Spin", (element) => {
      spinning = !spinning;
      element.setAttribute("aria-pressed", String(spinning));
      const step = () => { if (spinning) { view.yaw += 0.012; cards.forEach(paint); requestAnimationFrame(step); } };
      step();
    });
    spin.setAttribute("aria-pressed", "false");
    const gap = document.createElement("span");
    gap.className = "gap";
    document.getElementById("scene-controls").append(
      toggle("truth", "ink", () => shown.truth, (on) => { shown.truth = on; }),
      ...scenes.rows.map((row, k) => toggle(row.name, row.slot, () => shown.rows[k], (on) => { shown.rows[k] = on; })),
      gap,
      look("Camera's view", 0, 0), look("From the side", -Math.PI / 2, 0), look("From above", 0, 1.45), look("Oblique", HOME.yaw, HOME.pitch), spin,
    );
    const turn = (across, down) => {
      view.yaw -= across;
      view.pitch = Math.min(1.5, Math.max(-1.5, view.pitch + down));
      paintAll();
    };
    for (const { canvas } of cards) {
      let last = null;
      canvas.addEventListener("pointerdown", (event) => { last = event; canvas.setPointerCapture(event.pointerId); });
      canvas.addEventListener("pointermove", (event) => {
        if (!last) return;
        turn((event.clientX - last.clientX) * 0.01, (event.clientY - last.clientY) * 0.01);
        last = event;
      });
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
        if (step) { event.preventDefault(); turn(...step); }
      });
    }
    captions();
    paintAll();
    new ResizeObserver(paintAll).observe(document.querySelector(".scenes"));
  }

  drawCharts();
  dark.addEventListener("change", () => { drawCharts(); if (cards.length) { captions(); paintAll(); } });
})();
