"use strict";
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const FIRST = 4; // name, state, has a page, has a picture; then the values
  const columns = [
    {key: "name", heading: "galaxy", unit: "", at: 0},
    {key: "state", heading: "state", unit: "", at: 1},
    ...facts.columns.map((column, i) => ({...column, at: FIRST + i})),
  ];
  const by_key = new Map(columns.map((column) => [column.key, column]));
  const CONDITION = /^([a-z_][\w.-]*)(>=|<=|>|<|=)(-?[\d.]+(?:e-?\d+)?)$/i;
  const shown_columns = columns.filter((column) => !column.is_error);
  shown_columns.forEach((column) => {
    const next = columns[columns.indexOf(column) + 1];
    column.error = next && next.is_error ? next : null;
  });
  const get = (id) => document.getElementById(id);
  let sorted = null, down = false, page = 0, shown = rows;

  function tests(text) {
    return text.trim().split(/\s+/).filter(Boolean).map((word) => {
      const found = CONDITION.exec(word), column = found && by_key.get(found[1]);
      if (!column || column.at < FIRST) {
        const part = word.toLowerCase();
        return (row) => row[0].toLowerCase().includes(part);
      }
      const limit = Number(found[3]), at = column.at;
      const compare = {
        ">": (a) => a > limit, "<": (a) => a < limit, "=": (a) => a === limit,
        ">=": (a) => a >= limit, "<=": (a) => a <= limit,
      }[found[2]];
      return (row) => row[at] !== null && compare(row[at]);
    });
  }

  function choose() {
    const state = get("state").value, wanted = tests(get("filter").value);
    shown = rows.filter((row) =>
      (!state || row[1] === state) && wanted.every((test) => test(row)));
    if (sorted !== null) {
      const at = shown_columns[sorted].at, sign = down ? -1 : 1;
      const words = new Intl.Collator(undefined, {numeric: true});
      shown.sort((a, b) => {
        const [x, y] = [a[at], b[at]];
        if (x === null || y === null) return (x === null) - (y === null); // none: always last
        return sign * (typeof x === "string" ? words.compare(x, y) : x - y);
      });
    }
    page = 0;
    draw();
  }

  function text(value, digits) {
    return value === null ? "–" : value.toFixed(digits).replace("-", "−");
  }

  function cell(row, column) {
    const box = document.createElement(column.at === 0 ? "th" : "td"), value = row[column.at];
    if (column.at === 0) {
      box.scope = "row";
      box.className = "word";
      if (row[2]) {
        const link = document.createElement("a");
        link.href = `${facts.pages}/${encodeURIComponent(value)}.html`;
        link.textContent = value;
        box.append(link);
      } else box.textContent = value;
    } else if (column.at === 1) {
      box.textContent = value;
      box.className = value;
      box.classList.add("word");
    } else {
      const error = column.error && value !== null ? row[column.error.at] : null;
      box.textContent = text(value, column.digits)
        + (error === null ? "" : ` ± ${text(error, column.error.digits)}`);
    }
    return box;
  }

  function picture(row) {
    const box = document.createElement("td");
    if (!row[3]) { box.className = "none"; return box; }
    const image = document.createElement("img");
    image.loading = "lazy";
    image.width = image.height = 64;
    image.alt = `colour image of ${row[0]}`;
    image.src = `${facts.thumbnails}/${encodeURIComponent(row[0])}.png`;
    box.append(image);
    return box;
  }

  function draw() {
    const size = facts.rows_per_page, pages = Math.max(1, Math.ceil(shown.length / size));
    page = Math.min(page, pages - 1);
    const body = document.querySelector("#galaxies tbody");
    body.replaceChildren(...shown.slice(page * size, (page + 1) * size).map((row) => {
      const line = document.createElement("tr");
      line.append(picture(row), ...shown_columns.map((column) => cell(row, column)));
      return line;
    }));
    document.querySelectorAll("#galaxies th[data-at]").forEach((head, i) => {
      head.setAttribute("aria-sort", i !== sorted ? "none" : down ? "descending" : "ascending");
    });
    get("shown").textContent = `${shown.length} of ${rows.length} galaxies`;
    get("where").textContent = `page ${page + 1} of ${pages}`;
    get("first").disabled = get("before").disabled = page === 0;
    get("last").disabled = get("after").disabled = page === pages - 1;
  }

  function turn(to) {
    page = to;
    draw();
    document.querySelector("#galaxies").scrollIntoView({block: "start"});
  }

  const heads = document.querySelector("#galaxies thead tr");
  const blank = document.createElement("th");
  blank.scope = "col";
  blank.textContent = "image";
  heads.append(blank, ...shown_columns.map((column, i) => {
    const head = document.createElement("th"), button = document.createElement("button");
    head.scope = "col";
    if (column.at < FIRST) head.className = "word";
    head.dataset.at = String(i);
    button.type = "button";
    button.textContent = column.heading;
    if (column.unit) {
      const unit = document.createElement("small");
      unit.textContent = `[${column.unit}]`;
      button.append(unit);
    }
    button.addEventListener("click", () => {
      down = sorted === i ? !down : false;
      sorted = i;
      choose();
    });
    head.append(button);
    return head;
  }));
  let waiting = 0;
  get("filter").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(choose, 120);
  });
  get("state").addEventListener("change", choose);
  get("first").addEventListener("click", () => turn(0));
  get("before").addEventListener("click", () => turn(page - 1));
  get("after").addEventListener("click", () => turn(page + 1));
  get("last").addEventListener("click", () => turn(Infinity));
  draw();
})();
