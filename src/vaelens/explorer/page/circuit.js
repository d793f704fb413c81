// Circuits: units by site, edges between them, pins, groups and names.
const FEW = 10, EDGES = 80; // units of a site, and edges, that are shown at first
const unfolded = new Set();

function drawCircuit() {
  const panel = find('[data-tab="circuit"]'), circuit = circuitOf();
  const parts = [];
  if (!circuit) {
    parts.push(h("p", {}, "No circuit was given. ", h("code", {}, "vaelens circuits MODEL --dataset NAME"), " finds one of each factor beside the model, where the explorer looks for them; ", h("code", {}, "--circuit FILE"), " gives others. Units pinned under Units can be grouped here all the same."));
  } else {
    const count = circuit.sites.reduce((sum, { units }) => sum + units.length, 0);
    parts.push(h("div", { class: "vx-form" },
      h("label", {}, "Circuit of", h("select", { onchange: (event) => { view.circuit = event.target.value; view.unit = null; changed({ circuit: true }); } },
        ...facts.circuits.map(({ factor }) => h("option", { value: factor, selected: factor === view.circuit }, factor)))),
      h("p", { class: "vx-quiet" }, `${count} units carry ${percent(circuit.faithfulness)} of its effect.`)));
  }
  const sets = [["", "the changes in force"]];
  if (circuit) sets.push(["circuit", "the circuit alone"]);
  if (view.pins.length) sets.push(["pins", "the pinned units alone"]);
  for (const { name } of view.groups) sets.push([name, `${name} alone`]);
  if (sets.length > 1) {
    parts.push(h("fieldset", { class: "vx-choice" }, h("legend", {}, "What is run: alone, the source passes through these units and all others are held at the base's values"),
      ...sets.map(([name, text]) => h("label", {}, h("input", { type: "radio", name: "vx-alone", value: name, checked: view.alone === name, onchange: () => { view.alone = name; changed(); } }), text))));
  }
  if (circuit) parts.push(map(circuit), place(circuit));
  parts.push(pins(), groups());
  const left = find(".vx-map")?.scrollLeft || 0, top = find(".vx-map")?.scrollTop || 0;
  panel.replaceChildren(...parts);
  const box = find(".vx-map"), chosen = find('.vx-node[aria-pressed="true"]');
  if (box) {
    box.scrollTo(left, top);
    if (chosen && tab === "circuit") {
      const [inner, outer] = [chosen.getBoundingClientRect(), box.getBoundingClientRect()];
      if (inner.left < outer.left || inner.right > outer.right) box.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
    }
  }
  drawEdges();
}

// The units of a site that are worth most, and always the one that is chosen.
function listed(site, units) {
  const order = units.slice().sort((a, b) => (b.loss || 0) - (a.loss || 0));
  if (unfolded.has(site)) return order;
  const few = order.slice(0, FEW), chosen = view.unit && view.unit[0] === site && order.find(({ index }) => index === view.unit[1]);
  return chosen && !few.includes(chosen) ? [...few.slice(0, FEW - 1), chosen] : few;
}

function map(circuit) {
  const near = new Set(neighbours(circuit).map(({ unit }) => unit.join("·")));
  const columns = circuit.sites.filter(({ units }) => units.length).map(({ site, units }) =>
    h("div", { class: "vx-column" }, h("h3", {}, site), ...listed(site, units).map((node) => {
      const unit = [site, node.index];
      return h("button", { type: "button", class: "vx-node", "data-node": unit.join("·"), "aria-pressed": String(Boolean(view.unit && same(view.unit, unit))),
        "data-near": near.has(unit.join("·")) ? "true" : null, "data-pin": view.pins.some((pin) => same(pin, unit)) ? "true" : null,
        "aria-label": `${labelOf(unit)}, without it ${percent(node.loss)} is lost`, onclick: () => walkTo(unit) },
        node.map ? h("img", { src: node.map, alt: "" }) : null, nameOf(unit) || String(node.index));
    }), units.length > FEW ? h("button", { type: "button", class: "vx-small", "aria-label": `${unfolded.has(site) ? "fewer" : "all"} units of ${site}`,
      onclick: () => { if (!unfolded.delete(site)) unfolded.add(site); drawCircuit(); } }, unfolded.has(site) ? "fewer" : `+ ${units.length - FEW}`) : null));
  const edges = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  edges.setAttribute("class", "vx-edges");
  edges.setAttribute("aria-hidden", "true");
  return h("div", { class: "vx-map", tabindex: "0", role: "group", "aria-label": `the circuit of ${circuit.factor}` }, h("div", { class: "vx-columns" }, edges, ...columns));
}

function drawEdges() {
  const circuit = circuitOf(), box = find(".vx-columns");
  if (!circuit || !box || tab !== "circuit") return;
  const svg = find(".vx-edges"), origin = box.getBoundingClientRect();
  svg.setAttribute("width", box.scrollWidth);
  svg.setAttribute("height", box.scrollHeight);
  const at = {};
  for (const node of root.querySelectorAll(".vx-node")) {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    at[node.dataset.node] = { left: left - origin.left, right: right - origin.left, middle: (top + bottom) / 2 - origin.top };
  }
  const key = (end) => (Array.isArray(end) ? end.join("·") : null), chosen = view.unit && view.unit.join("·");
  const touches = ({ from, to }) => chosen && (key(from) === chosen || key(to) === chosen);
  const seen = circuit.edges.filter(({ from, to }) => at[key(from)] && at[key(to)]);
  svg.replaceChildren(...seen.filter((edge, rank) => rank < EDGES || touches(edge)).map(({ from, to, weight }) => {
    const start = at[key(from)], end = at[key(to)];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path"), bend = (end.left - start.right) / 2;
    path.setAttribute("d", `M${start.right} ${start.middle}C${start.right + bend} ${start.middle} ${end.left - bend} ${end.middle} ${end.left} ${end.middle}`);
    path.setAttribute("stroke-width", Math.max(0.6, Math.min(6, 6 * Math.abs(weight))));
    if (weight < 0) path.setAttribute("stroke-dasharray", "4 3");
    if (touches({ from, to })) path.setAttribute("data-near", "true");
    return path;
  }));
}

function neighbours(circuit) {
  if (!view.unit) return [];
  const ends = [];
  for (const { from, to, weight } of circuit.edges) {
    if (Array.isArray(to) && same(to, view.unit) && Array.isArray(from)) ends.push({ way: "from", unit: from, weight });
    if (Array.isArray(from) && same(from, view.unit) && Array.isArray(to)) ends.push({ way: "to", unit: to, weight });
  }
  return ends;
}

function walkTo(unit) {
  view.unit = unit;
  changed({ circuit: true });
  find(`[data-node="${CSS.escape(unit.join("·"))}"]`)?.focus();
}

function place(circuit) {
  if (!view.unit) return h("p", { class: "vx-quiet" }, "Choose a unit to walk the circuit from it.");
  const unit = view.unit, node = (circuit.sites.find(({ site }) => site === unit[0])?.units || []).find(({ index }) => index === unit[1]);
  const side = (way, title) => h("div", {}, h("h2", {}, title), h("div", { class: "vx-list" },
    ...neighbours(circuit).filter((end) => end.way === way).slice(0, 12).map((end) =>
      h("button", { type: "button", class: "vx-small", "data-walk": way, onclick: () => walkTo(end.unit) }, `${labelOf(end.unit)} (${digits(end.weight, 2)})`))));
  return h("div", {}, h("h2", {}, labelOf(unit)),
    h("div", { class: "vx-group" },
      h("input", { type: "text", maxlength: 60, value: nameOf(unit) || "", placeholder: "a name for it", "aria-label": "name of the unit", onchange: (event) => rename(unit, event.target.value) }),
      h("button", { type: "button", "data-do": "pin", onclick: () => togglePin(unit) }, view.pins.some((pin) => same(pin, unit)) ? "Unpin" : "Pin"),
      ...["patch", "zero"].map((how) => h("button", { type: "button", onclick: () => {
        setUnits(unit[0], [...new Set([...(editAt(unit[0])?.units || []), unit[1]])].sort((a, b) => a - b), how); changed({ circuit: true }); } }, how === "patch" ? "Patch it" : "Zero it")),
      node ? h("span", { class: "vx-quiet" }, `without it ${percent(node.loss)} of the effect is lost`) : null),
    h("div", { class: "vx-place" }, side("from", "Driven by"), side("to", "Drives")));
}

function rename(unit, text) {
  const name = text.replaceAll("|", " ").trim().slice(0, 60);
  view.names = view.names.filter((named) => !same(named.unit, unit));
  if (name) view.names.push({ unit, name });
  changed({ circuit: true, units: true });
}

function pins() {
  const inner = view.pins.map((unit) => h("span", { class: "vx-chip" }, labelOf(unit), h("button", { type: "button", "aria-label": `unpin ${labelOf(unit)}`, onclick: () => togglePin(unit) }, "✕")));
  const name = h("input", { type: "text", maxlength: 60, placeholder: "name of the group", "aria-label": "name of a new group" });
  const group = () => {
    const label = name.value.replaceAll("|", " ").trim();
    if (!label || ["circuit", "pins"].includes(label) || view.groups.some((other) => other.name === label)) return complain("give the group a name that no other has");
    view.groups.push({ name: label, units: view.pins });
    view.pins = [];
    if (view.alone === "pins") view.alone = label;
    changed({ circuit: true, units: true });
  };
  return h("div", {}, h("h2", {}, "Pinned units"), h("div", { class: "vx-list" },
    ...(inner.length ? inner : [h("span", { class: "vx-quiet" }, "None. Pin units here or under Units.")]),
    ...(inner.length ? [name, h("button", { type: "button", "data-do": "group", onclick: group }, "Group them")] : [])));
}

function groups() {
  if (!view.groups.length) return h("div");
  const rows = view.groups.map((group) => {
    const edit = (how) => {
      for (const site of new Set(group.units.map((unit) => unit[0]))) {
        const units = new Set([...(editAt(site)?.units || []), ...group.units.filter((unit) => unit[0] === site).map((unit) => unit[1])]);
        setUnits(site, [...units].sort((a, b) => a - b), how);
      }
      changed({ circuit: true });
    };
    return h("div", { class: "vx-group" },
      h("input", { type: "text", maxlength: 60, value: group.name, "aria-label": `name of the group ${group.name}`, onchange: (event) => {
        const label = event.target.value.replaceAll("|", " ").trim();
        if (!label || ["circuit", "pins"].includes(label) || view.groups.some((other) => other !== group && other.name === label)) { event.target.value = group.name; return complain("give the group a name that no other has"); }
        if (view.alone === group.name) view.alone = label;
        group.name = label; changed({ circuit: true });
      } }),
      h("span", { class: "vx-quiet" }, group.units.map(labelOf).join(", ")),
      ...["patch", "zero"].map((how) => h("button", { type: "button", class: "vx-small", onclick: () => edit(how) }, how === "patch" ? "Patch" : "Zero")),
      h("button", { type: "button", class: "vx-small", onclick: () => { view.alone = group.name; changed({ circuit: true }); } }, "Alone"),
      h("button", { type: "button", class: "vx-small", "aria-label": `dissolve the group ${group.name}`, onclick: () => {
        view.groups = view.groups.filter((other) => other !== group);
        if (view.alone === group.name) view.alone = "";
        changed({ circuit: true });
      } }, "✕"));
  });
  return h("div", {}, h("h2", {}, "Groups"), ...rows);
}
