// Small comforts on top of pages that work without any script.

// "/" goes to the search field, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector("[data-search]");
  if (field) { event.preventDefault(); field.focus(); field.select(); }
});

// A form is sent once: a second press while the first is on its way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Leaving a long form with unsaved words asks first.
let unsaved = false;
document.addEventListener("input", (event) => { if (event.target.closest("form[data-guard]")) unsaved = true; });
document.addEventListener("submit", () => { unsaved = false; });
window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

// Chosen photos are shown before they are sent.
document.addEventListener("change", (event) => {
  const input = event.target;
  if (!(input instanceof HTMLInputElement) || input.type !== "file" || !input.dataset.preview) return;
  const place = document.getElementById(input.dataset.preview);
  place.replaceChildren();
  for (const file of input.files) {
    const picture = document.createElement("img");
    picture.alt = file.name;
    picture.src = URL.createObjectURL(file);
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
    const item = document.createElement("li");
    item.append(picture);
    place.append(item);
  }
});

// A saved answer is put where the cursor is.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-fill]");
  if (!button) return;
  const field = document.getElementById(button.dataset.fill);
  field.setRangeText(button.dataset.text, field.selectionStart, field.selectionEnd, "end");
  field.focus();
});

// Menus that choose something apply at once; their button stays for readers without script.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form) form.requestSubmit();
});
for (const button of document.querySelectorAll("form[data-auto] button[data-plain]")) button.hidden = true;

// On a wide screen there is room for the filters.
if (matchMedia("(min-width: 60rem)").matches) for (const box of document.querySelectorAll("details.filters")) box.open = true;
