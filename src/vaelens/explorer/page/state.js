// The page of the explorer. What is chosen is `view`; whatever is shown is an answer of the server to it.
// One question is asked at a time; of those that come up meanwhile only the latest is asked.

const root = element.querySelector(".vx");
const find = (selector) => root.querySelector(selector);
const TABS = [["latents", "Latents"], ["units", "Units"], ["circuit", "Circuit"], ["python", "Python"]];
const HOWS = { patch: "patch from the source", zero: "set to zero", mean: "set to the mean", scale: "scale" };
const SHORT = { patch: "patch", zero: "zero", mean: "mean", scale: "scale" };
let facts = null, view = null, told = null, slot = "base", tab = "latents", everyLatent = false;

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
const digits = (value, most = 3) => {
  if (value === null) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace("e-", "e−");
  return Number(value.toPrecision(most)).toString().replace("-", "−");
};
const plain = (value, most) => Number(value.toPrecision(most)).toString();
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(value !== 0 && Math.abs(value) < 0.1 ? 1 : 0).replace("-", "−")} %`);
const same = (one, other) => one[0] === other[0] && one[1] === other[1];
const nameOf = (unit) => (view.names.find((named) => same(named.unit, unit)) || {}).name;
const labelOf = (unit) => nameOf(unit) || `${unit[0]} · ${unit[1]}`;
const circuitOf = () => facts.circuits.find((circuit) => circuit.factor === view.circuit);

function complain(sentence) {
  const box = find(".vx-error");
  box.hidden = !sentence;
  box.textContent = sentence || "";
}

function latest(ask, take) {
  let busy = false, waiting = false;
  return async () => {
    waiting = true;
    if (busy) return;
    busy = true;
    root.dataset.idle = "false";
    while (waiting) {
      waiting = false;
      const begun = performance.now();
      let answer;
      try {
        answer = await ask();
      } catch (problem) {
        answer = { error: "the explorer no longer answers; start it again, and reload this page" };
      }
      take(answer, performance.now() - begun);
    }
    busy = false;
    root.dataset.idle = "true";
  };
}

const show = latest(
  () => server.show(view),
  (answer, milliseconds) => {
    root.dataset.ms = milliseconds.toFixed(1);
    root.dataset.asked = String(Number(root.dataset.asked || 0) + 1);
    complain(answer.error);
    if (answer.error) return;
    told = answer;
    const kept = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__"));
    const more = kept.map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("");
    history.replaceState(null, "", `?${answer.query}${more}`);
    drawStage();
    drawLatents();
    drawForce();
    find('[data-tab="python"] pre').textContent = answer.python;
  },
);
const measure = latest(
  () => server.units(view),
  (answer) => {
    if (answer.error) return complain(answer.error);
    drawUnits(answer);
  },
);

function changed({ units = false, circuit = false } = {}) {
  if (units && tab === "units") measure();
  if (circuit) drawCircuit();
  show();
}
