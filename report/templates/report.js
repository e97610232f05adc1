"use strict";
(function () {
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));

  const main = document.getElementById("main");

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

  // Folds: all at once, or the ones that hold what a link points at.
  const unfold = document.getElementById("unfold");
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    all("details.fold").forEach((fold) => { fold.open = open; });
    unfold.setAttribute("aria-pressed", String(open));
  });
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
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
      status.textContent = wanted.length ? main.dataset.shown.replace("%1", left).replace("%2", rows.length) : "";
    });
  });

  // Languages: each element that reads otherwise in another one has a number there.
  const twins = JSON.parse(document.getElementById("twins").textContent);
  const worded = all("[data-words]").map((element) => {
    const first = {};
    for (const twin of Object.values(twins)) {
      const said = twin.words[element.dataset.words];
      if ("html" in said) first.html = element.innerHTML;
      for (const name in said.attributes) (first.attributes ??= {})[name] = element.getAttribute(name);
    }
    return [element, first];
  });
  const retell = [];
  const speak = (language) => {
    const twin = twins[language];
    for (const [element, first] of worded) {
      const said = twin ? twin.words[element.dataset.words] : first;
      if ("html" in first) element.innerHTML = "html" in said ? said.html : first.html;
      for (const [name, text] of Object.entries({ ...first.attributes, ...said.attributes })) {
        if (text === null) element.removeAttribute(name);
        else element.setAttribute(name, text);
      }
    }
    root.dataset.language = language;
    all("[data-filter]").forEach((field) => field.dispatchEvent(new Event("input")));
    all(".languages button").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.language === language)));
    retell.forEach((tell) => tell(twin ? twin.figures : {}));
  };
  all(".languages").forEach((group) => { group.hidden = false; });
  all(".languages button").forEach((button) => button.addEventListener("click", () => {
    speak(button.dataset.language);
    try { history.replaceState(null, "", "#" + button.dataset.language); } catch (error) { /* a page inside another one */ }
  }));

  // Still figures: words are text of the drawing.
  all(".still text").forEach((letters) => {
    const first = letters.textContent;
    const name = letters.closest("figure").id.slice("figure-".length);
    retell.push((figures) => { letters.textContent = (figures[name] || {})[first] || first; });
  });

  // Figures are drawn when they come near the window, or all at once for print.
  const pending = new Map();
  const drawn = [];
  const figures = new Map();
  // The words of a figure in the language of the page; how they read first is kept.
  const told = (holder, figure) => {
    figure.first ??= [];
    figure.first.forEach(([path, text]) => put(figure, path, text));
    figure.first = ((twins[root.dataset.language] || { figures: {} }).figures[holder.id.slice("plot-".length)] || [])
      .map(([path, text]) => [path, put(figure, path, text)]);
    figure.layout.datarevision = root.dataset.language; // lists of words change in place
  };
  const put = (figure, path, text) => {
    const last = path[path.length - 1];
    const place = path.slice(0, -1).reduce((inner, step) => inner[step], figure);
    const before = place[last];
    place[last] = text;
    return before;
  };
  const draw = (holder) => {
    const source = pending.get(holder);
    if (!source || !holder.offsetParent) return;
    pending.delete(holder);
    const figure = JSON.parse(source.textContent);
    figures.set(holder, figure);
    told(holder, figure);
    Plotly.newPlot(holder, figure.data, figure.layout, { responsive: true, displayModeBar: false, doubleClick: "reset" });
    drawn.push(holder);
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
    retell.push(() => figures.forEach((figure, holder) => {
      told(holder, figure);
      Plotly.react(holder, figure.data, figure.layout);
    }));
    addEventListener("beforeprint", () => {
      drawAll();
      drawn.forEach((holder) => { if (holder.offsetParent) Plotly.relayout(holder, { width: 660 }); });
    });
    addEventListener("afterprint", () => drawn.forEach((holder) => Plotly.relayout(holder, { width: null, autosize: true })));
  }
  if (location.hash.slice(1) in twins) speak(location.hash.slice(1));
  reveal();
  window.report = { drawAll: drawAll, download: download };
})();
