// The melody of a song, to be looked at and drawn over. `value` is the job whose melody it is, and what was drawn:
// strokes of [second, Hz], 0 Hz for a pause; `heard` when all earlier corrections are to be forgotten.
const canvas = element.querySelector("canvas");
const place = element.querySelector("input[type=range]");
const said = element.querySelector("[role=status]");
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const LEAST_SECONDS = 1;
let melody = { job: "", seconds: [], hz: [] };
let drawn = { job: "", strokes: [], heard: false };
let view = { from: 0, span: 20 };
let deed = "draw"; // what the pointer does
let stroke = null;

const length = () => melody.seconds.at(-1) || 0;
const low = () => Math.min(...bounds());
const high = () => Math.max(...bounds());
const bounds = () => {
  let [least, most] = [Infinity, 0];
  for (const hz of melody.hz) if (hz) [least, most] = [Math.min(least, hz), Math.max(most, hz)];
  return most ? [least / 1.5, most * 1.5] : [80, 800];
};

const keep = () => {
  props.value = JSON.stringify(drawn);
  paint();
};

const paint = () => {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const [least, most] = [Math.log2(low()), Math.log2(high())];
  const x = (seconds) => ((seconds - view.from) / view.span) * width;
  const y = (hz) => height - ((Math.log2(hz) - least) / (most - least)) * height;
  pen.font = "11px sans-serif";
  for (let note = 12; note < 120; note++) {
    const hz = 440 * 2 ** ((note - 69) / 12);
    if (hz < low() || hz > high()) continue;
    const white = ![1, 3, 6, 8, 10].includes(note % 12);
    pen.fillStyle = colour("--border-color-primary");
    if (white) pen.fillRect(0, y(hz), width, note % 12 ? 0.5 : 1.5);
    pen.fillStyle = colour("--body-text-color-subdued");
    if ([0, 4, 7].includes(note % 12)) pen.fillText(`${NOTES[note % 12]}${Math.floor(note / 12) - 1}`, 2, y(hz) - 2);
  }
  const step = [0.1, 0.5, 1, 2, 5, 10, 30, 60].find((each) => (each / view.span) * width > 60) || 120;
  for (let at = Math.ceil(view.from / step) * step; at < view.from + view.span; at += step)
    pen.fillText(`${+at.toFixed(1)} s`, x(at) + 2, height - 3);
  const line = (points, paintbrush, broad) => {
    pen.strokeStyle = pen.fillStyle = paintbrush;
    pen.lineWidth = broad;
    pen.beginPath();
    let before = null;
    for (const [at, hz] of points) {
      if (at < view.from - 1 || at > view.from + view.span + 1) continue;
      if (!hz) {
        before = null;
        continue;
      }
      if (before !== null && at - before < 0.1) pen.lineTo(x(at), y(hz));
      else pen.moveTo(x(at), y(hz));
      before = at;
    }
    pen.stroke();
  };
  line(melody.seconds.map((at, frame) => [at, melody.hz[frame]]), colour("--body-text-color-subdued"), 1.5);
  for (const each of [...drawn.strokes, ...(stroke ? [stroke] : [])]) {
    const ends = each.map(([at]) => at);
    const [from, to] = [Math.min(...ends), Math.max(...ends)];
    if (each[0][1]) line(filled(each), colour("--color-accent"), 3);
    else {
      pen.fillStyle = colour("--color-accent");
      pen.globalAlpha = 0.25;
      pen.fillRect(x(from), 0, Math.max(2, x(to) - x(from)), height);
      pen.globalAlpha = 1;
    }
  }
  place.max = Math.max(0, length() - view.span);
  place.value = view.from;
  place.disabled = view.span >= length();
};

const filled = (points) => {
  // Between two places of the pointer, as the server will fill it: evenly in octaves.
  const sorted = [...points].sort((one, other) => one[0] - other[0]);
  const dense = [];
  for (const [index, [at, hz]] of sorted.entries()) {
    dense.push([at, hz]);
    const [next, then] = sorted[index + 1] || [at, hz];
    for (let more = at + 0.05; more < next; more += 0.05)
      dense.push([more, hz * 2 ** (Math.log2(then / hz) * ((more - at) / (next - at)))]);
  }
  return dense;
};

const look = (from, span) => {
  view.span = Math.min(Math.max(LEAST_SECONDS, span), Math.max(LEAST_SECONDS, length()));
  view.from = Math.max(0, Math.min(from, length() - view.span));
  paint();
};

const under = (event) => {
  const box = canvas.getBoundingClientRect();
  const [across, up] = [(event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height];
  const octaves = Math.log2(low()) + Math.min(1, Math.max(0, up)) * (Math.log2(high()) - Math.log2(low()));
  const at = Math.min(length(), Math.max(0, view.from + across * view.span));
  return [+at.toFixed(3), deed === "pause" ? 0 : +(2 ** octaves).toFixed(2)];
};

canvas.addEventListener("pointerdown", (event) => {
  if (!melody.job || event.button) return;
  canvas.setPointerCapture(event.pointerId);
  stroke = [under(event)];
  paint();
});
canvas.addEventListener("pointermove", (event) => {
  if (!stroke) return;
  stroke.push(under(event));
  paint();
});
canvas.addEventListener("pointerup", () => {
  if (!stroke) return;
  if (stroke.length > 1) drawn.strokes.push(stroke);
  stroke = null;
  keep();
});
canvas.addEventListener("pointercancel", () => {
  stroke = null;
  paint();
});
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.shiftKey) return; // else the page scrolls
  event.preventDefault();
  const at = view.from + (event.offsetX / canvas.clientWidth) * view.span;
  const span = view.span * (event.deltaY + event.deltaX > 0 ? 1.25 : 0.8);
  look(at - (event.offsetX / canvas.clientWidth) * span, span);
}, { passive: false });
place.addEventListener("input", () => look(+place.value, view.span));
new ResizeObserver(paint).observe(canvas);

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-deed]");
  if (!button) return;
  const what = button.dataset.deed;
  const middle = view.from + view.span / 2;
  if (what === "closer") look(middle - view.span / 4, view.span / 2);
  if (what === "farther") look(middle - view.span, view.span * 2);
  if (what === "undo") {
    drawn.strokes.pop();
    keep();
  }
  if (what === "heard") {
    drawn = { ...drawn, strokes: [], heard: true };
    said.textContent = said.dataset.heard;
    keep();
  }
  if (what === "draw" || what === "pause") {
    deed = what;
    for (const each of element.querySelectorAll("[aria-pressed]"))
      each.setAttribute("aria-pressed", String(each.dataset.deed === deed));
  }
});

const load = async () => {
  drawn = { job: "", strokes: [], heard: false, ...JSON.parse(props.value || "{}") };
  if (drawn.job && drawn.job !== melody.job) {
    const answer = await fetch(`/v1/jobs/${encodeURIComponent(drawn.job)}/result?name=melody`);
    if (!answer.ok) return;
    const rows = (await answer.text()).trim().split(/\r?\n/).slice(1).map((row) => row.split(","));
    melody = { job: drawn.job, seconds: rows.map((row) => +row[0]), hz: rows.map((row) => +row[1]) };
    said.textContent = "";
    look(0, 20);
  }
  paint();
};
watch("value", load);
load();
