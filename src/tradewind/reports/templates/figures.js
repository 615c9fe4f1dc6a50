(() => {
  const root = document.documentElement;
  const token = name => getComputedStyle(root).getPropertyValue(name).trim();
  let library = null;
  const loaded = () => library ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), c => c.charCodeAt(0));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
  })();
  const look = () => {
    const axis = {gridcolor: token("--line"), zerolinecolor: token("--line"), linecolor: token("--line"), automargin: true};
    return {layout: {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: axis, yaxis: axis,
      hoverlabel: {bgcolor: token("--sheet"), font: {color: token("--ink")}, bordercolor: token("--line")}}};
  };
  // Ink and paper are the reader's: charts are written with those of the light page.
  const content = place => JSON.parse(place.querySelector("script").textContent
    .replaceAll("#1b1f24", token("--ink")).replaceAll("#ffffff", token("--sheet")));
  const draw = (place, width) => {
    const figure = content(place), plot = place.querySelector(".plot");
    figure.layout.template = look();
    figure.layout.font = {...figure.layout.font, color: token("--ink")};
    const least = figure.layout.meta?.least_width;
    if (least && !width && place.clientWidth < least) { width = least; place.style.overflowX = "auto"; }
    // On paper two charts of the tear sheet share a page.
    if (width && place.closest("#tear")) figure.layout.height = Math.min(figure.layout.height, 340);
    if (place.clientWidth < 560 && !width) {
      figure.layout.annotations?.forEach(note => { note.font = {...note.font, size: 11}; });
      // Buttons stand above the legend, not on it.
      const menus = figure.layout.updatemenus ?? [];
      menus.forEach(menu => { menu.x = 0; menu.xanchor = "left"; menu.y = 1.42; });
      if (menus.length) figure.layout.margin = {...figure.layout.margin, t: 120};
      figure.layout.font.size = 11;
      figure.layout.margin = {...figure.layout.margin, l: 44, r: 8};
    }
    if (width) { figure.layout.width = width; figure.layout.autosize = false; }
    plot.style.height = place.style.minHeight = `${figure.layout.height}px`;
    Plotly.react(plot, figure.data, figure.layout, {displayModeBar: false, responsive: !width});
    place.dataset.drawn = "yes";
  };
  const every = () => [...document.querySelectorAll(".figure")];
  const seen = new IntersectionObserver(entries => entries.filter(one => one.isIntersecting).forEach(async one => {
    seen.unobserve(one.target);
    await loaded();
    draw(one.target);
  }), {rootMargin: "300px"});
  const again = () => every().filter(place => place.dataset.drawn).forEach(place => draw(place));
  const themed = name => { name ? root.dataset.theme = name : delete root.dataset.theme; again(); };
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target) { const part = target.closest("details"); if (part) { part.open = true; target.scrollIntoView(); } }
  };
  const start = () => {
    every().forEach(place => seen.observe(place));
    document.querySelector("button.theme")?.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      themed(dark ? "light" : "dark");
    });
    document.querySelector("button.unfold")?.addEventListener("click", () =>
      document.querySelectorAll("details").forEach(part => part.open = true));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    open();
    if (!every().length) return;
    const soon = window.requestIdleCallback ?? (work => setTimeout(work, 200));
    soon(loaded);
  };
  // On paper everything is unfolded, light, and as wide as the sheet.
  addEventListener("beforeprint", () => {
    root.dataset.before = root.dataset.theme ?? "";
    document.querySelectorAll("details").forEach(part => part.open = true);
    root.dataset.theme = "light";
    if (!window.Plotly) return;
    every().forEach(place => {
      const pair = place.closest(".two");
      draw(place, pair && !pair.querySelector("table") ? 340 : 690);
    });
  });
  addEventListener("afterprint", () => { themed(root.dataset.before); });
  addEventListener("hashchange", open);
  document.readyState === "loading" ? addEventListener("DOMContentLoaded", start) : start();
})();
