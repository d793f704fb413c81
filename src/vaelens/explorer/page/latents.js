// Latents: a slider each, with the codes of the base and of what came out.
function buildLatents() {
  const panel = find('[data-tab="latents"]');
  const order = facts.latents.slice();
  if (order.length > 24) order.sort((one, other) => other.spread - one.spread);
  const shown = everyLatent ? order : order.slice(0, 24);
  const rows = shown.map(({ index, low, high, step }) => {
    const set = (text) => {
      const value = Number(text);
      if (text === "" || !Number.isFinite(value)) return;
      view.latents[index] = value;
      view.alone = "";
      changed();
    };
    return h("div", { class: "vx-latent", "data-latent": index },
      h("label", { for: `vx-z${index}` }, `z${index}`),
      h("div", { class: "vx-slide" },
        h("input", { id: `vx-z${index}`, type: "range", min: low, max: high, step: "any", "data-step": step, oninput: (event) => set(event.target.value),
          onkeydown: (event) => arrow(event, step, set) }),
        h("span", { class: "vx-tick", hidden: true }), h("span", { class: "vx-tick vx-re", hidden: true })),
      h("input", { type: "number", step: "any", "aria-label": `value of latent ${index}`, onchange: (event) => set(event.target.value) }),
      h("span", { class: "vx-recoded vx-num" }),
      h("button", { type: "button", class: "vx-small", "aria-label": `undo latent ${index}`, title: "undo", onclick: () => { delete view.latents[index]; changed(); } }, "↺"));
  });
  const what = facts.spatial ? "What is added to a latent at every position; ticks are means over positions." : "What a latent is set to.";
  panel.replaceChildren(
    h("p", { class: "vx-key" }, h("span", {}, what), h("span", {}, h("i", { class: "vx-grey" }), `code of the base ${facts.one}`),
      h("span", {}, h("i", {}), `code of what came out, encoded again`)),
    ...rows,
    h("p", {}, h("button", { type: "button", "data-do": "still", onclick: () => { view.latents = {}; changed(); } }, "Undo all"), " ",
      order.length > 24 ? h("button", { type: "button", onclick: () => { everyLatent = !everyLatent; buildLatents(); drawLatents(); } },
        everyLatent ? "Show 24" : `Show all ${order.length}`) : null));
}

function arrow(event, step, set) {
  const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
  if (!way) return;
  event.preventDefault();
  set(String(Number((Number(event.target.value) + way * step).toPrecision(6))));
}

function drawLatents() {
  if (!told) return;
  for (const row of root.querySelectorAll(".vx-latent")) {
    const index = Number(row.dataset.latent), [base, , recoded] = told.code[index];
    const { low, high } = facts.latents[index];
    const isSet = String(index) in view.latents;
    const value = isSet ? view.latents[index] : facts.spatial ? 0 : base;
    row.dataset.set = String(isSet);
    const [range, number] = row.querySelectorAll("input");
    range.value = value;
    if (document.activeElement !== number) number.value = plain(value, 3);
    range.setAttribute("aria-valuetext", digits(value));
    const place = (tick, at) => {
      tick.hidden = at === null || at < low || at > high;
      tick.style.left = `calc(8px + (100% - 16px) * ${(at - low) / (high - low)})`;
    };
    const ticks = row.querySelectorAll(".vx-tick");
    place(ticks[0], facts.spatial ? null : base);
    place(ticks[1], facts.spatial ? null : recoded);
    row.querySelector(".vx-recoded").textContent = `→ ${digits(recoded)}`;
    row.querySelector("button").disabled = !isSet;
  }
}
