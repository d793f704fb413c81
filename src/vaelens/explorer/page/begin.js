// Tabs, copying, and how the page begins.
function buildTabs() {
  const buttons = TABS.map(([name, text]) => h("button", { type: "button", role: "tab", id: `vx-tab-${name}`, "aria-controls": `vx-panel-${name}`, "data-name": name,
    onclick: () => openTab(name), onkeydown: (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return;
      const next = TABS[(TABS.findIndex(([other]) => other === name) + way + TABS.length) % TABS.length][0];
      openTab(next);
      find(`#vx-tab-${next}`).focus();
    } }, text));
  find(".vx-tabs").replaceChildren(...buttons);
  for (const panel of root.querySelectorAll(".vx-tab")) {
    panel.id = `vx-panel-${panel.dataset.tab}`;
    panel.setAttribute("aria-labelledby", `vx-tab-${panel.dataset.tab}`);
  }
  find('[data-tab="python"]').replaceChildren(h("p", { class: "vx-quiet" }, "The call that computes what is shown, to the bit."), h("pre", { tabindex: "0", "aria-label": "the call in Python" }));
}

function openTab(name) {
  tab = name;
  for (const button of root.querySelectorAll(".vx-tabs button")) {
    const chosen = button.dataset.name === name;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  for (const panel of root.querySelectorAll(".vx-tab")) panel.hidden = panel.dataset.tab !== name;
  if (name === "units") { buildUnits(); measure(); }
  if (name === "circuit") drawCircuit();
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch (problem) {
    const box = h("textarea", { style: "position:fixed;opacity:0" });
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  const status = find(".vx-copied");
  status.textContent = "copied";
  setTimeout(() => { status.textContent = ""; }, 1500);
}

async function begin() {
  const query = new URLSearchParams(location.search);
  for (const name of [...query.keys()]) if (name.startsWith("__")) query.delete(name);
  facts = await server.open(query.toString());
  view = facts.view;
  find(".vx-title").textContent = facts.title;
  find('[data-do="link"]').addEventListener("click", () => copy(location.href));
  find('[data-do="python"]').addEventListener("click", () => told && copy(told.python));
  drawStrip();
  drawSlots();
  buildStage();
  buildLatents();
  buildTabs();
  buildUnits();
  openTab(view.unit || view.alone === "circuit" ? "circuit" : view.edits.length && !Object.keys(view.latents).length ? "units" : "latents");
  addEventListener("resize", drawEdges);
  const problem = facts.error;
  await show();
  if (problem) complain(problem);
  root.dataset.state = "ready";
}

begin().catch((problem) => complain(`the page could not be built (${problem.message}); reload it`));
