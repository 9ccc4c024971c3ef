// The search of a shop without a server: reads the prebuilt index, folds words as site/search.py does, shows tiles.

const LETTERS = { "œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l" };
const PAGE = 60;

function fold(text) {
  return text.toLowerCase().normalize("NFD").replace(/\p{M}+/gu, "").replace(/[œæßøł]/g, (letter) => LETTERS[letter]);
}

function words(text) {
  return fold(text).match(/[\p{L}\p{N}]+/gu) ?? [];
}

// "tasses" finds "tasse": the ending of a plural is left off a longer word.
function stem(word) {
  return word.length > 3 && /[sx]$/.test(word) ? word.slice(0, -1) : word;
}

// Every asked word must begin some word of the row; words of the title, and whole words, count more.
function score(row, asked) {
  let sum = 0;
  for (const word of asked) {
    const start = ` ${word}`;
    if (!row.words.includes(start)) return 0;
    sum += 1 + (row.title.includes(start) ? 4 : 0) + (row.title.includes(`${start} `) ? 2 : 0);
  }
  return sum;
}

class Search {
  constructor(box, field) {
    this.box = box;
    this.field = field;
    this.status = box.querySelector("[role=status]");
    this.list = box.querySelector("ul");
    this.template = box.querySelector("template");
    this.stop = new Set(box.dataset.stop.split(" "));
    this.rows = null;
    this.turn = 0;
  }

  load() {
    this.rows ??= Promise.all(Array.from({ length: Number(this.box.dataset.files) }, (_, n) => this.file(n)))
      .then((files) => files.flat())
      .catch((error) => { this.rows = null; throw error; });
    return this.rows;
  }

  async file(number) {
    const answer = await fetch(new URL(`search/${number}.json`, document.baseURI));
    if (!answer.ok) throw new Error(`search/${number}.json: ${answer.status}`);
    return (await answer.json()).map(([title, page, picture, price, remark, known]) => {
      const folded = ` ${words(title).join(" ")} `;
      return { name: title, page, picture, price, remark, title: folded, words: `${folded}${known} ` };
    });
  }

  async show() {
    const turn = ++this.turn;
    const said = words(this.field.value);
    const telling = said.filter((word) => !this.stop.has(word));
    const asked = [...new Set((telling.length ? telling : said).map(stem))];
    if (!asked.length) {
      this.list.replaceChildren();
      this.status.textContent = this.box.dataset.ask;
      return;
    }
    try {
      const rows = await this.load();
      if (turn !== this.turn) return;
      const found = rows.map((row) => [score(row, asked), row]).filter(([sum]) => sum > 0);
      found.sort(([a, one], [b, other]) => b - a || (one.title < other.title ? -1 : 1));
      this.status.textContent = this.count(found.length);
      this.fill(found.map(([, row]) => row), PAGE);
    } catch {
      this.status.textContent = this.box.dataset.fail;
    }
  }

  count(number) {
    const { none, one, many } = this.box.dataset;
    return number === 0 ? none : number === 1 ? one : many.replace("{count}", number);
  }

  fill(rows, most) {
    this.list.replaceChildren(...rows.slice(0, most).map((row) => this.tile(row)));
    this.box.querySelector(".more-found")?.remove();
    if (rows.length <= most) return;
    const more = document.createElement("button");
    more.className = "button more-found gap-top";
    more.textContent = this.box.dataset.more;
    more.addEventListener("click", () => {
      this.fill(rows, most + PAGE);
      this.list.children[most].querySelector("a").focus();
    });
    this.box.append(more);
  }

  tile(row) {
    const tile = this.template.content.firstElementChild.cloneNode(true);
    const link = tile.querySelector("a");
    link.textContent = row.name;
    link.href = this.box.dataset.root + row.page;
    tile.querySelector(".price").textContent = row.price;
    tile.querySelector(".from").textContent = row.remark;
    if (row.picture) {
      const picture = new Image(480, 480);
      picture.loading = "lazy";
      picture.alt = row.name;
      picture.src = this.box.dataset.root + row.picture;
      tile.querySelector(".pic").replaceChildren(picture);
    }
    return tile;
  }
}

// "/" goes to the search field, unless somebody is typing.
const field = document.querySelector("[data-search]");
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  field.focus();
  field.select();
});

const box = document.querySelector("[data-results]");
if (box) {
  const search = new Search(box, field);
  let waiting = 0;
  field.value = new URLSearchParams(location.search).get("q") ?? "";
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const here = new URL(location.href);
      here.searchParams.set("q", field.value);
      history.replaceState(null, "", here);
      search.show();
    }, 120);
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search.show();
  });
  // The other language shows the same search.
  for (const link of document.querySelectorAll("footer a[hreflang]")) {
    link.addEventListener("click", () => { link.search = new URLSearchParams({ q: field.value }).toString(); });
  }
  search.show();
  if (!field.value) field.focus();
}
