// What the socket sends, before htmx swaps it: a fragment whose target is not on this page is dropped, a new row that is
// already here is not inserted twice, and a price that moved flashes in its direction. The swap style "morph" changes what
// differs and keeps focus, scroll and open menus (Idiomorph's own htmx extension would claim all other styles too).
(() => {
  const targetOf = (part) => {
    const how = part.getAttribute("hx-swap-oob") || "";
    const at = how.indexOf(":");
    return at < 0 ? document.getElementById(part.id) : document.querySelector(how.slice(at + 1));
  };

  const flash = (part, old) => {
    if (!part.dataset.flash || !old.dataset.flash) return;
    const change = Number(part.dataset.flash) - Number(old.dataset.flash);
    if (change) part.classList.add(change > 0 ? "flash-up" : "flash-down");
  };

  htmx.defineExtension("fragments", {
    transformResponse(text, xhr) {
      if (xhr) return text;
      const box = document.createElement("template");
      box.innerHTML = text;
      for (const part of [...box.content.children]) {
        const target = targetOf(part);
        if (!target || (part.dataset.new && document.getElementById(part.dataset.new))) part.remove();
        else flash(part, target);
      }
      return box.innerHTML;
    },
    isInlineSwap: (style) => style === "morph",
    handleSwap(style, target, fragment) {
      return style === "morph" && Idiomorph.morph(target, fragment.children, { morphStyle: "outerHTML" });
    },
  });
})();
