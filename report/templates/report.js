"use strict";
(function () {
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));

  // Light and dark: the system's choice until the reader makes one.
  const root = document.documentElement;
  const remember = {
    get: () => { try { return localStorage.getItem("cfmf-theme"); } catch (error) { return null; } },
    set: (value) => { try { localStorage.setItem("cfmf-theme", value); } catch (error) { /* a page without storage */ } },
  };
  if (remember.get()) root.dataset.theme = remember.get();
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember.set(root.dataset.theme);
  });

  // Collapsed parts: all at once, or those that contain the target of a link.
  const expand = document.getElementById("expand");
  expand.hidden = false;
  expand.addEventListener("click", () => {
    const open = expand.getAttribute("aria-pressed") !== "true";
    all("details.collapsed").forEach((part) => { part.open = open; });
    expand.setAttribute("aria-pressed", String(open));
  });
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target && target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target && location.hash !== "#main") target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);

  // Contents follow the scroll, and close after a choice where they cover the page.
  const contents = document.querySelector(".contents details");
  const narrow = matchMedia("(max-width: 60rem)");
  const settle = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", settle);
  settle();
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  links.forEach((link) => link.addEventListener("click", () => { if (narrow.matches) contents.open = false; }));
  const sections = all("main > section");
  const follow = () => {
    const line = innerHeight * 0.3;
    let current = sections[0];
    for (const section of sections) if (section.getBoundingClientRect().top <= line) current = section;
    if (innerHeight + scrollY >= document.body.scrollHeight - 2) current = sections[sections.length - 1];
    links.forEach((link, name) => {
      if (current && name === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  addEventListener("scroll", follow, { passive: true });
  follow();

  // Tables: sort by a heading, filter by words, download what is shown.
  const text = (cell) => cell.textContent.trim();
  const value = (cell) => ("value" in cell.dataset ? cell.dataset.value : text(cell));
  const sized = (word) => Number(word.replace(/^(-?)inf$/, "$1Infinity"));
  const compare = (a, b, numeric) => {
    if (!numeric) return a.localeCompare(b, undefined, { numeric: true });
    const x = sized(a), y = sized(b);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : x - y;
  };
  const sort = (table, place, header) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [value(row.cells[place]), row]);
    const empty = ([key]) => key === "" || key === "–";
    // Settings such as reg are kept as text, and ordered as the numbers that they are.
    const numeric = header.classList.contains("number") || rows.every((row) => empty(row) || !Number.isNaN(sized(row[0])));
    rows.sort((a, b) => empty(a) - empty(b) || (up ? 1 : -1) * compare(a[0], b[0], numeric));
    body.append(...rows.map((pair) => pair[1]));
  };
  const quoted = (field, separator) => (separator === "," ? (/[",\r\n]/.test(field) ? '"' + field.replaceAll('"', '""') + '"' : field) : field.replace(/[\t\r\n]+/g, " "));
  // A spreadsheet would compute a text that begins as a formula; numbers are left as they are.
  const harmless = (field) => (/^[=+\-@]/.test(field) && Number.isNaN(sized(field)) ? "'" + field : field);
  const saved = (cell, kind) => (value(cell) === "–" ? "" : kind === "csv" && !("value" in cell.dataset) ? harmless(text(cell)) : value(cell));
  const download = (table, kind) => {
    const separator = kind === "csv" ? "," : "\t";
    const lines = [all("thead th", table).map((header) => header.dataset.key)];
    for (const row of table.tBodies[0].rows) if (!row.hidden) lines.push(Array.from(row.cells).map((cell) => saved(cell, kind)));
    const content = lines.map((line) => line.map((field) => quoted(field, separator)).join(separator)).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: kind === "csv" ? "text/csv" : "text/tab-separated-values" }));
    link.download = table.dataset.name + "." + kind;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    return content;
  };
  all(".table").forEach((holder) => {
    const table = holder.querySelector("table");
    all("thead th", table).forEach((header, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, place, header));
    });
    const downloads = holder.querySelector(".downloads");
    downloads.hidden = false;
    all("[data-download]", holder).forEach((button) => button.addEventListener("click", () => download(table, button.dataset.download)));
    const field = holder.querySelector("[data-filter]");
    if (!field) return;
    const status = holder.querySelector(".status");
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = Array.from(table.tBodies[0].rows);
      rows.forEach((row) => {
        const content = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => content.includes(word));
      });
      const left = rows.filter((row) => !row.hidden).length;
      status.textContent = wanted.length ? document.getElementById("shown").textContent.replace("%1", left).replace("%2", rows.length) : "";
    });
  });

  // Languages: every text has those of the other languages in attributes.
  const first = root.dataset.language;
  const buttons = all(".languages button");
  const known = buttons.map((button) => button.dataset.language);
  const paired = all(known.map((name) => "span[data-" + name + "]").join() || "none");
  paired.forEach((text) => text.setAttribute("data-" + first, text.innerHTML));
  const translators = [];
  const speak = (language) => {
    paired.forEach((text) => { text.innerHTML = text.getAttribute("data-" + language) ?? text.getAttribute("data-" + first); });
    root.dataset.language = language;
    document.title = document.getElementById("title").textContent;
    all("table.cards").forEach((table) => {
      const headings = all("thead th", table).map(text);
      for (const row of table.tBodies[0].rows) Array.from(row.cells).forEach((cell, place) => { cell.dataset.label = headings[place]; });
    });
    all("[data-filter]").forEach((field) => field.dispatchEvent(new Event("input")));
    buttons.forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
      if (button.dataset.language === language) root.lang = button.lang;
    });
    translators.forEach((translate) => translate());
  };
  // A text of a figure in the language of the page.
  const translated = (figure, value) => (JSON.parse(figure.dataset.words)[root.dataset.language] || {})[value] ?? value;
  all(".languages").forEach((group) => { group.hidden = false; });
  buttons.forEach((button) => button.addEventListener("click", () => {
    speak(button.dataset.language);
    try { history.replaceState(null, "", "#" + button.dataset.language); } catch (error) { /* a page inside another one */ }
  }));

  // Static figures: words are text of the drawing.
  all(".still text").forEach((letters) => {
    const before = letters.textContent;
    translators.push(() => { letters.textContent = translated(letters.closest("figure"), before); });
  });

  // Figures are drawn when they come near the window, or all at once for print.
  const pending = new Map();
  const drawn = new Map();
  const figure = (holder, source) => JSON.parse(source.textContent, (key, value) => (typeof value === "string" ? translated(holder.closest("figure"), value) : value));
  const draw = (holder) => {
    const source = pending.get(holder);
    if (!source || !holder.offsetParent) return;
    pending.delete(holder);
    const { data, layout } = figure(holder, source);
    Plotly.newPlot(holder, data, layout, { responsive: true, displayModeBar: false, doubleClick: "reset" });
    drawn.set(holder, source);
  };
  // What waits in a legend is shown by a button too, which a keyboard reaches.
  all("[data-show-all]").forEach((button) => {
    const holder = document.getElementById(button.dataset.showAll);
    let waiting;
    button.hidden = false;
    button.addEventListener("click", () => {
      draw(holder);
      waiting ??= holder.data.flatMap((trace, place) => (trace.visible === "legendonly" ? [place] : []));
      const show = button.getAttribute("aria-pressed") !== "true";
      Plotly.restyle(holder, { visible: show ? true : "legendonly" }, waiting);
      button.setAttribute("aria-pressed", String(show));
    });
  });
  const drawAll = () => Array.from(pending.keys()).forEach(draw);
  if (window.Plotly) {
    all("script[data-plot]").forEach((source) => pending.set(document.getElementById(source.dataset.plot), source));
    const near = new IntersectionObserver((entries) => entries.forEach((entry) => { if (entry.isIntersecting) draw(entry.target); }), { rootMargin: "800px" });
    pending.forEach((source, holder) => near.observe(holder));
    translators.push(() => drawn.forEach((source, holder) => {
      const { data, layout } = figure(holder, source);
      data.forEach((trace, place) => { trace.visible = holder.data[place].visible; });
      Plotly.react(holder, data, layout);
    }));
    addEventListener("beforeprint", () => {
      drawAll();
      drawn.forEach((source, holder) => { if (holder.offsetParent) Plotly.relayout(holder, { width: 660 }); });
    });
    addEventListener("afterprint", () => drawn.forEach((source, holder) => Plotly.relayout(holder, { width: null, autosize: true })));
  }
  if (known.includes(location.hash.slice(1))) speak(location.hash.slice(1));
  reveal();
  window.report = { drawAll: drawAll, download: download };
})();
