// Units of a site: what each costs downstream, which are changed together, which are pinned.
function buildUnits() {
  const site = h("select", { onchange: (event) => { view.site = event.target.value; const edit = editAt(view.site); if (edit) { view.how = edit.how; view.factor = edit.factor; } buildUnits(); changed({ units: true }); } },
    ...facts.sites.map(({ name, units, shape }) => h("option", { value: name, selected: name === view.site }, `${name} (${units} units, ${shape})`)));
  const how = h("select", { "data-field": "how", onchange: (event) => { view.how = event.target.value; adapt(); buildUnits(); changed({ units: true }); } },
    ...Object.entries(HOWS).map(([name, text]) => h("option", { value: name, selected: name === view.how }, text)));
  const factor = h("input", { type: "number", step: "any", value: view.factor, onchange: (event) => {
    const value = Number(event.target.value);
    if (event.target.value === "" || !Number.isFinite(value)) return;
    view.factor = value; adapt(); changed({ units: true }); } });
  find('[data-tab="units"]').replaceChildren(
    h("div", { class: "vx-form" }, h("label", {}, "Site", site), h("label", {}, "What is done", how),
      view.how === "scale" ? h("label", {}, "Times", factor) : null,
      h("button", { type: "button", onclick: () => { view.edits = view.edits.filter((edit) => edit.site !== view.site); changed({ units: true }); } }, "Undo at this site")),
    h("p", { class: "vx-quiet" }, `Each unit changed by itself: how far that moves the ${facts.one}, and how far towards the source. Tick units to change them together.`),
    h("div", { class: "vx-units", tabindex: "0", role: "group", "aria-label": "units of the site" }));
}

const editAt = (site) => view.edits.find((edit) => edit.site === site);

function adapt() {
  const edit = editAt(view.site);
  if (edit) { edit.how = view.how; edit.factor = view.factor; }
}

function setUnits(site, units, how = view.how) {
  view.alone = "";
  const edit = editAt(site);
  if (!units.length) view.edits = view.edits.filter((other) => other !== edit);
  else if (edit) Object.assign(edit, { units, how, factor: view.factor });
  else view.edits.push({ site, units, how, factor: view.factor });
}

function drawUnits(answer) {
  const list = find(".vx-units");
  if (!list || answer.site !== view.site) return;
  const top = list.scrollTop, largest = Math.max(...answer.units.map(({ change }) => change), 1e-12);
  const titles = h("div", { class: "vx-unit vx-titles" }, h("span"), h("span", {}, "unit"), h("span", {}, `moves the ${facts.one} by`), h("span", { class: "vx-num" }, ""), h("span", { class: "vx-num vx-share" }, "to source"), h("span", {}, "pin"));
  const rows = answer.units.map(({ index, change, way }) => {
    const unit = [answer.site, index], on = (editAt(answer.site)?.units || []).includes(index);
    const box = h("input", { type: "checkbox", checked: on, "aria-label": `change ${labelOf(unit)}`, onchange: (event) => {
      const units = editAt(view.site)?.units || [];
      setUnits(view.site, event.target.checked ? [...units, index].sort((a, b) => a - b) : units.filter((other) => other !== index));
      event.target.closest(".vx-unit").dataset.on = String(event.target.checked);
      show();
    } });
    return h("div", { class: "vx-unit", "data-on": String(on), "data-unit": index }, box, h("span", {}, nameOf(unit) || String(index)),
      h("div", { class: "vx-track" }, h("div", { class: "vx-bar", style: `width:${100 * change / largest}%` })),
      h("span", { class: "vx-num" }, digits(change)), h("span", { class: "vx-num vx-share" }, percent(way)), star(unit));
  });
  const more = answer.units.length < answer.of ? [h("p", { class: "vx-quiet" }, `The ${answer.units.length} of largest effect, of ${answer.of}.`)] : [];
  list.replaceChildren(titles, ...rows, ...more);
  list.scrollTop = top;
  root.dataset.measured = `${answer.site} ${answer.how}`;
}

function star(unit) {
  const pinned = () => view.pins.some((pin) => same(pin, unit));
  const button = h("button", { type: "button", class: "vx-star", "aria-label": `pin ${labelOf(unit)}`, "aria-pressed": String(pinned()), onclick: () => {
    togglePin(unit);
    button.setAttribute("aria-pressed", String(pinned()));
    button.textContent = pinned() ? "★" : "☆";
  } }, pinned() ? "★" : "☆");
  return button;
}

function togglePin(unit) {
  if (!facts.inner.includes(unit[0])) return complain("the output's units are the image itself, and can't be pinned; pin units of other sites");
  view.pins = view.pins.some((pin) => same(pin, unit)) ? view.pins.filter((pin) => !same(pin, unit)) : [...view.pins, unit];
  if (!view.pins.length && view.alone === "pins") view.alone = "";
  changed({ circuit: true });
}
