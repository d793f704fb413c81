// What is shown: pictures, how far each site moved, what is in force.
function buildStage() {
  const figures = [["base", "Base"], ["image", "Now"], ["difference", "Difference"], ["source", "Source"]].map(([name, title]) =>
    h("figure", { "data-picture": name, class: name === "image" ? "vx-now" : null },
      h("img", { alt: name === "image" ? "what comes of the changes" : `${title.toLowerCase()}` }),
      h("figcaption", {}, h("b", {}, title), h("span", {}))));
  find(".vx-pictures").replaceChildren(...figures);
  const caption = { base: "reconstructed", source: "reconstructed", image: "", difference: "" };
  for (const [name, text] of Object.entries(caption)) find(`[data-picture="${name}"] span`).textContent = text;
  find(".vx-moved").replaceChildren(...facts.sites.flatMap(({ name }) => [
    h("span", {}, name), h("div", { class: "vx-track" }, h("div", { class: "vx-bar", "data-site": name })),
    h("span", { class: "vx-num", "data-share": name })]));
}

function drawStage() {
  for (const [name, address] of Object.entries(told.pictures)) {
    const image = find(`[data-picture="${name}"] img`);
    if (image.getAttribute("src") !== address) image.src = address;
  }
  for (const name of ["base", "source"]) {
    const image = find(`[data-input="${name}"]`);
    if (image.getAttribute("src") !== told.inputs[name]) image.src = told.inputs[name];
  }
  find('[data-picture="difference"] span').textContent = `±${digits(told.most, 2)}`;
  find('[data-picture="image"] span').textContent = view.alone ? "held, but for a set" : "";
  const way = told.way === null ? "" : `, ${percent(told.way)} of the way to the source`;
  find(".vx-readout").textContent = `Moved by ${digits(told.changed)} (${facts.distance})${way}. Answered in ${Math.round(root.dataset.ms)} ms.`;
  const largest = Math.max(...told.moved.map(({ share }) => share || 0), 1e-12);
  for (const { site, share } of told.moved) {
    find(`[data-site="${CSS.escape(site)}"]`).style.width = `${100 * (share || 0) / Math.max(largest, 0.05)}%`;
    find(`[data-share="${CSS.escape(site)}"]`).textContent = percent(share);
  }
  const notes = [told.note, facts.caption].filter(Boolean);
  find(".vx-note").textContent = notes.length ? `${notes.join(". ")}.` : "";
}

function drawForce() {
  const chips = [];
  if (view.alone) {
    chips.push(chip(view.alone === "circuit" ? `the circuit of ${view.circuit} alone` : view.alone === "pins" ? "pinned units alone" : `${view.alone} alone`,
      () => { view.alone = ""; changed({ circuit: true }); }));
  } else {
    const moved = Object.keys(view.latents);
    if (moved.length) chips.push(chip(`latents ${moved.join(", ")}`, () => { view.latents = {}; changed(); }));
    for (const edit of view.edits) {
      const how = edit.how === "scale" ? `scale × ${digits(edit.factor)}` : SHORT[edit.how];
      const units = edit.units.length > 8 ? `${edit.units.length} units` : edit.units.join(", ");
      chips.push(chip(`${edit.site}: ${how} ${units}`, () => { view.edits = view.edits.filter((other) => other !== edit); changed({ units: true }); }));
    }
  }
  find(".vx-force").replaceChildren(h("span", { class: "vx-quiet" }, chips.length ? "In force:" : "Nothing is changed yet."), ...chips);
}

function chip(text, remove) {
  return h("span", { class: "vx-chip" }, text, h("button", { type: "button", "aria-label": `undo ${text}`, onclick: remove }, "✕"));
}
