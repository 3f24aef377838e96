// Puts rows of the list in place. The server sends those that this page does not show, and the ids of the others. A cell that is
// equal stays, with focus and selection, and the browser lays out few cells anew.
const mark = () => document.querySelector("#count [data-mark]")?.dataset.mark;

function update(old, row) {
  [...row.cells].forEach((cell, place) => {
    if (!old.cells[place].isEqualNode(cell)) old.cells[place].replaceWith(cell);
  });
}

function move(body, row, next) {
  if (row.isConnected && body.moveBefore) body.moveBefore(row, next); // it keeps the focus
  else body.insertBefore(row, next);
}

function put(body, rows) {
  const wanted = new Set(rows.map((row) => row.id));
  for (const old of [...body.rows]) if (!wanted.has(old.id)) old.remove();
  let next = body.firstElementChild;
  for (const row of rows) {
    const old = document.getElementById(row.id);
    if (old && !("shown" in row.dataset)) update(old, row);
    if (old && old === next) next = next.nextElementSibling;
    else move(body, old ?? row, next);
  }
}

// In the place of the list. An answer without the number of tenants is an error, in plain text.
function say(body, fragment) {
  body.replaceChildren();
  const cell = body.insertRow().insertCell();
  cell.colSpan = 11;
  cell.className = "error";
  cell.setAttribute("role", "alert");
  cell.append(fragment);
}

htmx.registerExtension("rows", {
  htmx_before_request(_, { ctx }) {
    // A request may have waited for another one, whose rows the page shows by now.
    if (ctx.swap === "rows") ctx.request.headers["Rows-Shown"] = mark() ?? "";
  },
  handle_swap(style, body, fragment) {
    if (style !== "rows") return false;
    if (fragment.querySelector("#count")) put(body, [...fragment.children]);
    else say(body, fragment);
    return []; // no row has attributes of htmx
  },
});
