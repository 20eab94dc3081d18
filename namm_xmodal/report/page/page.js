"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (mark) => {
    tip.textContent = mark.dataset.value;
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2), window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(8, at.top - tip.offsetHeight - 8)}px`;
    const drawing = mark.closest(".drawing");
    if (mark.dataset.arm) {
      drawing.classList.add("choosing");
      for (const each of drawing.querySelectorAll("[data-arm]")) {
        each.classList.toggle("chosen", each.dataset.arm === mark.dataset.arm);
      }
    }
  };
  const hide = () => {
    tip.hidden = true;
    for (const drawing of document.querySelectorAll(".choosing")) drawing.classList.remove("choosing");
  };
  for (const mark of document.querySelectorAll("[data-value]")) {
    mark.addEventListener("pointerenter", () => show(mark));
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("focus", () => show(mark));
    mark.addEventListener("blur", hide);
  }

  const texts = JSON.parse(document.getElementById("texts").textContent);
  for (const figure of document.querySelectorAll("figure.text")) {
    const { fates } = texts[Number(figure.dataset.text)];
    const spans = figure.querySelectorAll(".tokens span");
    const [layer, head] = ["layer", "head"].map((name) => figure.querySelector(`select.${name}`));
    const shade = () => {
      const layers = layer.value === "" ? fates : [fates[Number(layer.value)]];
      const chosen = layers.flatMap((heads) => (head.value === "" ? heads : [heads[Number(head.value)]]));
      spans.forEach((span, place) => {
        const share = chosen.reduce((sum, fate) => sum + (fate[place] === "."), 0) / chosen.length;
        span.style.backgroundColor = `rgb(var(--held) / ${(0.75 * share).toFixed(3)})`;
        span.title = `token ${place}: kept by ${Math.round(100 * share)}% of ${chosen.length}`;
      });
    };
    layer.addEventListener("change", shade);
    head.addEventListener("change", shade);
    shade();
  }

  const theme = document.getElementById("theme");
  const dark = () => (document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(dark()));
  };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  name();
})();
