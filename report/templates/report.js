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

  // What a reader has chosen is in the address: #anchor&lang=…&open=…&sort=…&filter=…
  const parts = location.hash.slice(1).split("&");
  const choices = new URLSearchParams(parts.filter((part) => part.includes("=")).join("&"));
  let anchor = parts[0].includes("=") ? "" : parts[0];
  const choose = (name, value) => {
    if (value) choices.set(name, value); else choices.delete(name);
    const address = [anchor, choices.toString()].filter(Boolean).join("&");
    try { history.replaceState(null, "", "#" + address); } catch (error) { /* a page inside another one */ }
  };
  const pairs = (name) => (choices.get(name) || "").split(";").filter(Boolean).map((pair) => pair.split("~"));
  const choosePair = (name, key, ...values) => {
    const others = pairs(name).filter((pair) => pair[0] !== key).map((pair) => pair.join("~"));
    choose(name, (values[0] ? [...others, [key, ...values.map((value) => value.replace(/[;~]/g, " "))].join("~")] : others).join(";"));
  };

  // Collapsed parts: all at once, or those that contain the target of a link.
  const expand = document.getElementById("expand");
  if (expand) expand.hidden = false;
  expand?.addEventListener("click", () => {
    const open = expand.getAttribute("aria-pressed") !== "true";
    all("details.collapsed").forEach((part) => { part.open = open; });
    expand.setAttribute("aria-pressed", String(open));
  });
  const details = all("details.collapsed");
  details.forEach((part) => part.addEventListener("toggle", () => {
    const open = details.flatMap((one, place) => (one.open ? [place] : []));
    choose("open", open.length === details.length ? "all" : open.join("."));
  }));
  const reveal = () => {
    const target = anchor && document.getElementById(decodeURIComponent(anchor));
    for (let part = target && target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target && anchor !== "main") target.scrollIntoView();
  };
  // On paper, the short answers are there in full.
  const answers = all("details.answer");
  addEventListener("beforeprint", () => answers.forEach((part) => { part.dataset.closed = String(!part.open); part.open = true; }));
  addEventListener("afterprint", () => answers.forEach((part) => { part.open = part.dataset.closed !== "true"; }));
  addEventListener("hashchange", () => {
    anchor = location.hash.slice(1).split("&").filter((part) => !part.includes("="))[0] || "";
    choose("lang", choices.get("lang"));
    reveal();
  });

  // Contents follow the scroll, and close after a choice where they cover the page.
  const contents = document.querySelector(".contents details");
  const narrow = matchMedia("(max-width: 60rem)");
  const settle = () => { contents.open = !narrow.matches; };
  if (contents) { narrow.addEventListener("change", settle); settle(); }
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
  const asMade = new Map();
  // Up, down, and back to the order in which the table was made.
  const sort = (table, place, header, way) => {
    const next = { null: "ascending", ascending: "descending", descending: "" };
    const order = way ?? next[header.getAttribute("aria-sort")];
    const body = table.tBodies[0], up = order === "ascending";
    if (!asMade.has(table)) asMade.set(table, Array.from(body.rows));
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    choosePair("sort", table.dataset.name, order && header.dataset.key, order);
    if (!order) return body.append(...asMade.get(table));
    header.setAttribute("aria-sort", order);
    const rows = Array.from(body.rows).map((row) => [value(row.cells[place]), row]);
    const empty = ([key]) => key === "" || key === "–";
    // Settings such as reg are kept as text, and ordered as the numbers that they are.
    const numeric = header.classList.contains("number") || rows.every((row) => empty(row) || !Number.isNaN(sized(row[0])));
    rows.sort((a, b) => empty(a) - empty(b) || (up ? 1 : -1) * compare(a[0], b[0], numeric));
    body.append(...rows.map((pair) => pair[1]));
  };
  const quoted = (field, separator) => (separator === "," ? (/[",\r\n]/.test(field) ? '"' + field.replaceAll('"', '""') + '"' : field) : field.replace(/[\t\r\n]+/g, " "));
  // A spreadsheet would compute a text that begins as a formula; numbers are left as they are.
  const harmless = (field) => (/^"*[=+\-@＝＋－＠]/.test(field) && Number.isNaN(sized(field)) ? "'" + field : field);
  const saved = (cell, kind) => (value(cell) === "–" ? "" : "value" in cell.dataset ? value(cell) : harmless(text(cell)));
  const save = (content, kind, name) => {
    const types = { csv: "text/csv", tsv: "text/tab-separated-values", tex: "application/x-tex" };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: types[kind] }));
    link.download = name + "." + kind;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    return content;
  };
  // A table as LaTeX: what is shown, as it is written. pdfTeX writes Latin letters; others are in a macro that it leaves out.
  const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "[": "{[}", "]": "{]}", "*": "{*}", "−": "$-$", "λ": "$\\lambda$", "μ": "$\\mu$", "α": "$\\alpha$", "Δ": "$\\Delta$", "ω": "$\\omega$", "η": "$\\eta$", "ε": "$\\varepsilon$", "χ": "$\\chi$", "τ": "$\\tau$", "∞": "$\\infty$", "≤": "$\\le$", "≥": "$\\ge$", "<": "$<$", ">": "$>$", "|": "$|$", "‖": "$\\|$", "\u202f": "\\,", "\u00a0": "~" };
  for (const sign of "&%$#_{}") special[sign] = "\\" + sign;
  const signs = Object.keys(special).map((sign) => "\\u" + sign.charCodeAt().toString(16).padStart(4, "0")).join("");
  const latin = " -~¡-ª¬-º¼-ÏÑ-Ýß-ïñ-ýÿ-ăĆ-ďĒ-ėĚ-ĥĨ-ĭİ-ķĹ-ľŁ-ňŌ-ťŨ-űŴ-ž‐-―‘’“”†‡…€™";
  const beyond = new RegExp("[" + signs + "]|[^" + signs + latin + "]+", "gu");
  const other = (letters) => {
    const plain = letters.normalize("NFKD").replace(/\p{M}/gu, "");
    return "\\cfmfunicode" + (/^[a-z0-9]+$/i.test(plain) ? "[" + plain + "]" : "") + "{" + letters + "}";
  };
  const tex = (words) => words.normalize("NFC").replace(/[\u0000-\u0020\u007f-\u009f]+/g, " ").trim()
    .replace(beyond, (part) => special[part] ?? other(part)).replace(/([-,'`?!])(?=[-,'`])/g, "$1{}");
  const latex = (table) => {
    const shown = (row) => Array.from(row.cells).filter((cell) => !cell.hidden);
    const written = (cell) => (cell.classList.contains("best") ? "\\textbf{" + tex(text(cell)) + "}" : tex(text(cell)));
    const line = (row) => shown(row).map(written).join(" & ") + " \\\\";
    const rows = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden);
    const heads = shown(table.tHead.rows[0]), kind = rows.length > 40 ? "longtable" : "tabular";
    const prose = (place) => rows.some((row) => shown(row)[place].classList.contains("prose"));
    const form = heads.map((head, place) => (head.classList.contains("number") ? "r" : prose(place) ? "p{" + (0.9 / heads.length).toFixed(2) + "\\linewidth}" : "l"));
    const lines = ["\\begin{" + kind + "}{" + form.join("") + "}", "\\toprule", line(table.tHead.rows[0]), "\\midrule", ...(kind === "longtable" ? ["\\endhead"] : []), ...rows.map(line), "\\bottomrule", "\\end{" + kind + "}", ""];
    const macro = ["% Letters that pdfTeX lacks: compile with xelatex or lualatex, Chinese with \\usepackage{ctex}.", "\\providecommand{\\cfmfunicode}[2][{[}\\ldots{]}]{\\ifdefined\\Umathcode#2\\else#1\\fi}"];
    return ["% \\usepackage{booktabs" + (kind === "longtable" ? ",longtable" : "") + "}", ...(lines.some((one) => one.includes("\\cfmfunicode")) ? macro : []), ...lines].join("\n");
  };
  const download = (table, kind) => {
    if (kind === "tex") return save(latex(table), kind, table.dataset.name);
    const separator = kind === "csv" ? "," : "\t";
    const lines = [all("thead th", table).map((header) => header.dataset.key)];
    for (const row of table.tBodies[0].rows) if (!row.hidden) lines.push(Array.from(row.cells).map((cell) => saved(cell, kind)));
    const content = lines.map((line) => line.map((field) => quoted(field, separator)).join(separator)).join("\n") + "\n";
    return save(content, kind, table.dataset.name);
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
    pairs("sort").filter((pair) => pair[0] === table.dataset.name).forEach(([, key, way]) => {
      const place = all("thead th", table).findIndex((header) => header.dataset.key === key);
      if (place >= 0) sort(table, place, table.tHead.rows[0].cells[place], way);
    });
    const box = holder.querySelector(".scroll"), cue = holder.querySelector(".cue");
    const edges = () => {
      const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
      box.classList.toggle("more-right", right);
      box.classList.toggle("more-left", box.scrollLeft > 1);
      cue.hidden = !right;
    };
    box.addEventListener("scroll", edges, { passive: true });
    const watch = new ResizeObserver(edges);
    watch.observe(box);
    watch.observe(table);
    const downloads = holder.querySelector(".downloads");
    downloads.hidden = false;
    all("[data-download]", holder).forEach((button) => button.addEventListener("click", () => download(table, button.dataset.download)));
    const field = holder.querySelector("[data-filter]");
    if (!field) return;
    const status = holder.querySelector(".status");
    pairs("filter").filter((pair) => pair[0] === table.dataset.name).forEach((pair) => { field.value = pair[1]; });
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = Array.from(table.tBodies[0].rows);
      rows.forEach((row) => {
        const content = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => content.includes(word));
      });
      choosePair("filter", table.dataset.name, wanted.join(" "));
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
    all("[data-filter]").forEach((field) => { if (field.value) field.dispatchEvent(new Event("input")); });
    buttons.forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
      if (button.dataset.language === language) root.lang = button.lang;
    });
    translators.forEach((translate) => translate());
    linkMethods();
  };
  // The name of a method leads to its card, whose first words are its tooltip.
  const cards = new Map(all("details[id^=method-]").map((card) => [card.id.slice(7), card.querySelector("summary")]));
  const linkMethods = () => {
    all("main code, main tbody th, main tbody td").forEach((holder) => {
      const name = text(holder);
      if (!cards.has(name) || holder.closest("summary, a, button") || holder.querySelector("code")) return;
      const link = holder.querySelector("a") || document.createElement("a");
      link.className = "method";
      link.href = "#method-" + name;
      link.title = text(cards.get(name));
      if (!link.parentElement) { link.textContent = name; holder.replaceChildren(link); }
    });
  };
  // A text of a figure in the language of the page.
  const translated = (figure, value) => (JSON.parse(figure.dataset.words)[root.dataset.language] || {})[value] ?? value;
  all(".languages").forEach((group) => { group.hidden = false; });
  buttons.forEach((button) => button.addEventListener("click", () => {
    speak(button.dataset.language);
    choose("lang", button.dataset.language === first ? "" : button.dataset.language);
  }));

  // Static figures: words are text of the drawing.
  all(".still text").forEach((letters) => {
    const before = letters.textContent;
    translators.push(() => { letters.textContent = translated(letters.closest("figure"), before); });
  });

  // Highlighted methods stand out in every figure; the others fade.
  const boxes = all(".highlight input");
  const marked = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const opacity = (trace) => {
    const methods = trace.meta ? [].concat(trace.meta) : [], wanted = marked();
    return !wanted.length || !methods.length || methods.some((name) => wanted.includes(name)) ? 1 : 0.15;
  };
  const fade = () => {
    drawn.forEach((source, holder) => Plotly.restyle(holder, { opacity: holder.data.map(opacity) }));
    choose("highlight", marked().join(","));
  };
  boxes.forEach((box) => box.addEventListener("change", fade));
  all(".highlight button").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach((box) => { box.checked = false; });
    fade();
  }));
  all(".highlight").forEach((holder) => {
    const wanted = (choices.get("highlight") || "").split(",");
    boxes.forEach((box) => { box.checked = wanted.includes(box.value); });
    holder.open = boxes.some((box) => box.checked);
    holder.hidden = !window.Plotly;
  });

  // Figures are drawn when they come near the window, or all at once for print.
  const pending = new Map();
  const drawn = new Map();
  // A trace is about what its meta names, one or several methods, in no language.
  const figure = (holder, source) => {
    const found = JSON.parse(source.textContent, (key, value) => (typeof value === "string" && key !== "meta" ? translated(holder.closest("figure"), value) : value));
    found.data.forEach((trace) => { trace.opacity = opacity(trace); });
    if (holder.clientWidth < 500) narrowed(found.data, found.layout);
    return found;
  };
  // Where there is little room, a pair of names takes two lines, numbers keep their distance, and
  // a legend that is a column takes no room from the lines.
  const narrowed = (data, layout) => {
    const names = layout.yaxis.ticktext || [];
    if (!layout.xaxis.tickvals) layout.xaxis.nticks = 5;
    if (layout.xaxis.title) layout.xaxis.title.font = { size: 11 };
    const listed = layout.showlegend === false ? 0 : data.filter((trace) => trace.name && trace.showlegend !== false).length;
    layout.height += 22 * Math.max(0, listed - 6);
    if (!names.some((name) => name.includes(" − "))) return;
    layout.yaxis.ticktext = names.map((name) => name.replace(" − ", " −<br>"));
    layout.height += 14 * names.length;
  };
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
      drawn.forEach((source, holder) => { if (holder.offsetParent) Plotly.relayout(holder, { width: 870 }); });
    });
    addEventListener("afterprint", () => drawn.forEach((source, holder) => Plotly.relayout(holder, { width: null, autosize: true })));
  }
  // A figure as a picture on white, or its numbers.
  const picture = async (holder, kind) => {
    const { data, layout } = figure(holder, pending.get(holder) || drawn.get(holder));
    const name = holder.id.replace("plot-", "");
    if (kind === "csv") return save(figureData(data), kind, name);
    const paper = { paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", font: { color: "#1d2329", family: "sans-serif" } };
    const address = await Plotly.toImage({ data, layout: { ...layout, ...paper } }, { format: kind, width: 1000, height: layout.height || 400, scale: kind === "png" ? 2 : 1 });
    const link = document.createElement("a");
    link.href = address;
    link.download = name + "." + kind;
    link.click();
    return address;
  };
  const figureData = (data) => {
    const plain = (values, place) => { const found = (values || [])[place]; return found === undefined || found === null ? "" : String(found); };
    const lines = [["trace", "x", "y", "low", "high"]];
    data.forEach((trace) => {
      if (!trace.x || trace.z) return;
      const bars = trace.error_x || trace.error_y, middle = trace.error_x ? trace.x : trace.y;
      trace.x.forEach((x, place) => {
        const wide = bars && bars.array && (bars.array[place] || (bars.arrayminus || bars.array)[place]);
        const ends = wide ? [middle[place] - (bars.arrayminus || bars.array)[place], middle[place] + bars.array[place]] : ["", ""];
        lines.push([trace.name || "", plain(trace.x, place), plain(trace.y, place), ...ends.map(String)]);
      });
    });
    data.filter((trace) => trace.z).forEach((trace) => trace.z.forEach((row, at) => row.forEach((value, place) => lines.push([plain(trace.y, at), plain(trace.x, place), value === null ? "" : String(value), "", ""]))));
    return lines.map((line) => line.map((field) => quoted(harmless(field), ",")).join(",")).join("\n") + "\n";
  };
  if (window.Plotly) {
    all(".saves").forEach((tools) => { tools.hidden = false; });
    all("[data-save]").forEach((button) => button.addEventListener("click", () => picture(button.closest("figure").querySelector(".plot"), button.dataset.save)));
  }

  const wanted = known.includes(anchor) ? anchor : choices.get("lang");
  if (known.includes(anchor)) anchor = "";
  linkMethods();
  if (known.includes(wanted) && wanted !== first) { speak(wanted); choose("lang", wanted); }
  if (choices.get("open") === "all") expand?.click();
  (choices.get("open") || "").split(".").forEach((place) => { if (place && details[place]) details[place].open = true; });
  all("[data-filter]").forEach((field) => { if (field.value) field.dispatchEvent(new Event("input")); });
  reveal();
  window.report = { drawAll: drawAll, download: download, picture: picture };
})();
