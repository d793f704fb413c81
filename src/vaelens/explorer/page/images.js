// The images to choose from: base and source, by a click, by number, or a picture of one's own.
function drawSlots() {
  const slots = ["base", "source"].map((name) => {
    const packed = view[name].startsWith("png:");
    const number = h("input", {
      type: "number", min: 0, max: facts.count - 1, step: 1, value: packed ? "" : view[name],
      "aria-label": `number of the ${name} ${facts.one}`,
      onchange: (event) => event.target.value !== "" && choose(name, String(Math.trunc(Number(event.target.value)))),
    });
    const file = h("label", { class: "vx-file" }, packed ? "another picture" : "own picture",
      h("input", { type: "file", accept: "image/*", "aria-label": `a picture of your own as ${name}`, onchange: (event) => upload(name, event.target) }));
    const radio = h("input", { type: "radio", name: "vx-slot", checked: slot === name, onchange: () => { slot = name; drawSlots(); } });
    return h("div", { class: "vx-slot", "data-on": String(slot === name) },
      h("label", {}, radio, name === "base" ? "Base" : "Source"),
      h("div", { class: "vx-row" }, h("img", { alt: "", "data-input": name, src: told ? told.inputs[name] : null }), number),
      facts.takes_pictures ? file : null,
      packed ? h("span", { class: "vx-quiet" }, "a picture of yours") : null);
  });
  find(".vx-slots").replaceChildren(...slots);
  for (const button of root.querySelectorAll(".vx-strip button")) {
    const marks = ["base", "source"].filter((name) => view[name] === button.dataset.key);
    if (marks.length) button.dataset.mark = marks.map((name) => (name === "base" ? "B" : "S")).join(" ");
    else delete button.dataset.mark;
  }
}

function drawStrip() {
  const buttons = facts.images.map(({ index, picture }) =>
    h("button", { type: "button", "data-key": String(index), "aria-label": `${facts.one} ${index}`, title: `${facts.one} ${index}`,
      onclick: () => choose(slot, String(index)) }, h("img", { src: picture, alt: "" })));
  find(".vx-strip").replaceChildren(...buttons);
}

function choose(name, key) {
  view[name] = key;
  if (name === "base") view.latents = {};
  drawSlots();
  changed({ units: true });
}

async function upload(name, input) {
  const file = input.files[0];
  input.value = "";
  if (!file) return;
  if (file.size > facts.largest) {
    return complain(`the picture has ${file.size.toLocaleString("en")} bytes; expected at most ${facts.largest.toLocaleString("en")}: make it smaller`);
  }
  const address = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(file);
  });
  const answer = await server.upload({ content: address.slice(address.indexOf(",") + 1) });
  complain(answer.error);
  if (!answer.error) choose(name, answer.key);
}
