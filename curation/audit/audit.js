"use strict";
// Lets a reader move a threshold along its histogram and see what it would keep. The counts are exact at the
// edges of the bars, which is where the slider stops. Nothing is loaded, nothing is sent.
for (const box of document.querySelectorAll(".try")) {
  const data = JSON.parse(box.dataset.histogram);
  const least = box.dataset.side === "min";
  const now = Number(box.dataset.value);
  const marks = box.parentElement.querySelectorAll(".mark");
  const mark = marks[Number(box.dataset.mark)];
  const last = data.edges.length - 1;
  const nearest = data.edges.reduce((best, edge, place) =>
    Math.abs(edge - now) < Math.abs(data.edges[best] - now) ? place : best, 0);
  if (!mark || now < data.edges[0] || now > data.edges[last]) continue;

  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: 0, max: last, step: 1, value: nearest });
  const label = document.createElement("label");
  const said = document.createElement("output");
  const invitation = "Drag to try another " + (least ? "minimum" : "maximum");
  label.append(input);
  input.setAttribute("aria-label", invitation);
  box.append(label, said);
  said.textContent = invitation;

  const ghost = mark.cloneNode(true);
  ghost.classList.add("moving");
  ghost.setAttribute("visibility", "hidden");
  mark.after(ghost);

  const count = (name, from, to) => data[name].slice(from, to).reduce((sum, n) => sum + n, 0);
  const plain = (n) => n.toLocaleString("en");
  const short = (x) => String(Number(x.toPrecision(4)));

  input.addEventListener("input", () => {
    const place = Number(input.value);
    const value = data.edges[place];
    const tighter = least ? place > nearest : place < nearest;
    const [from, to] = [Math.min(place, nearest), Math.max(place, nearest)];
    const x = (100 * place / last) + "%";
    for (const line of ghost.querySelectorAll("line")) { line.setAttribute("x1", x); line.setAttribute("x2", x); }
    for (const text of ghost.querySelectorAll("text")) {
      const left = place > 0.6 * last;
      text.setAttribute("x", x);
      text.setAttribute("y", 12);
      text.setAttribute("dx", left ? -5 : 5);
      text.setAttribute("text-anchor", left ? "end" : "start");
      text.textContent = short(value);
    }
    ghost.setAttribute("visibility", place === nearest ? "hidden" : "visible");
    said.textContent = invitation;
    if (place === nearest) return;
    const kept = Number(box.dataset.kept);
    const change = tighter ? -count("kept", from, to) : count("rejected", from, to);
    const number = document.createElement("b");
    number.textContent = (tighter ? "" : "up to ") + plain(kept + change);
    const command = document.createElement("code");
    command.textContent = "omnivideo whatif " + box.dataset.dataset + " " + box.dataset.key + "=" + short(value);
    said.replaceChildren("At " + short(value) + " it would keep ", number,
      " (" + (change < 0 ? "−" : "+") + plain(Math.abs(change)) + "). ", command);
  });
}
