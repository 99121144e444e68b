"use strict";
(() => {
  const AT_A_TIME = 40;
  const HASH = "#all-pictures?";
  const get = (id) => document.getElementById(id);
  const { names, labels, then, pictures } = JSON.parse(get("pictures-data").textContent);
  const controls = ["find", "within", "sort", "order", "most", "differ"].map(get).filter(Boolean);
  // Not what they hold now: some browsers fill in what they held before the page was loaded again.
  const usual = new Map(controls.map((control) =>
    [control.id, control.type === "checkbox" ? "false" : control.defaultValue ?? control.options[0].value]));
  let thumbnails = null;
  let found = [];

  function told(control) {
    return control.type === "checkbox" ? String(control.checked) : control.value;
  }

  // Words stand between blanks, so that " dog" finds dog and dogs, and no hotdog.
  function words(...texts) {
    return " " + texts.join(" ").normalize("NFC").toLowerCase().replace(/[^\p{L}\p{M}\p{N}]+/gu, " ");
  }

  function textsOf(picture) {
    picture.texts ??= {
      said: words(picture.said, picture.before ?? ""),
      people: words(...picture.people),
      file: picture.file.toLowerCase(),
    };
    return picture.texts;
  }

  function holds(text, word) {
    // Thai, Chinese and Japanese set no blanks between words.
    return text.includes(/[\u0e00-\uffff]/.test(word) ? word : " " + word);
  }

  function matcher() {
    const wanted = words(get("find").value).trim().split(" ").filter(Boolean);
    const name = get("find").value.trim().toLowerCase();
    const within = get("within").value;
    const most = get("most").value === "" ? 100 : Number(get("most").value);
    const differ = get("differ")?.checked;
    return (picture) => {
      if (picture.shared > most || (differ && picture.said === picture.before)) return false;
      if (!name) return true;
      const texts = textsOf(picture);
      const own = within === "all" ? texts.said + texts.people : texts[within];
      if (within === "all" && texts.file.includes(name)) return true;
      return wanted.length > 0 && wanted.every((word) => holds(own, word));
    };
  }

  function valueOf(key) {
    if (key === "file") return (picture) => picture.file;
    if (key === "shared") return (picture) => picture.shared;
    if (key === "length") return (picture) => words(picture.said).trim().split(" ").filter(Boolean).length;
    const place = names.indexOf(key.replace("change:", ""));
    if (key === names[place]) return (picture) => picture.has[place];
    return (picture) => {
      const [has, had] = [picture.has[place], picture.had?.[place]];
      return has == null || had == null ? null : has - had;
    };
  }

  // What has no value comes last, whichever end comes first; equals stay in the order of the data.
  function sorted(chosen) {
    const value = valueOf(get("sort").value);
    const turn = get("order").value === "down" ? -1 : 1;
    const rows = chosen.map((picture) => [value(picture), picture]);
    rows.sort(([a], [b]) => {
      if (a == null || b == null) return (a == null) - (b == null);
      return a < b ? -turn : a > b ? turn : 0;
    });
    return rows.map(([, picture]) => picture);
  }

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function caption(text, alone) {
    const parts = text.split(/([\p{L}\p{M}\p{N}_]+(?:['\u2019][\p{L}\p{M}\p{N}_]+)*)/u);
    const shown = parts.map((part) =>
      alone.has(part.toLowerCase()) ? make("span", { className: "alone" }, part) : part);
    return make("p", { className: "caption", dir: "auto" }, ...(text.trim() ? shown : ["(no words)"]));
  }

  function badges(scores) {
    const items = scores.map((score, place) =>
      score == null ? null : make("li", {}, `${labels[place]} ${score.toFixed(2)}`));
    return make("ul", { className: "badges" }, ...items.filter(Boolean));
  }

  function said(heading, text, scores, alone) {
    const title = heading ? [make("h3", {}, heading)] : [];
    return make("div", {}, ...title, caption(text, alone), badges(scores));
  }

  function thumbnail(picture) {
    thumbnails ??= get("thumbnails").textContent.split("\n");
    const code = thumbnails[picture.place];
    if (!code) return make("div", { className: "picture" }, "no picture");
    return make("img", {
      className: "picture", alt: "", decoding: "async", src: `data:image/webp;base64,${code}`,
    });
  }

  function item(picture) {
    const compared = picture.before !== undefined;
    const runs = [said(compared ? "this run" : "", picture.said, picture.has, new Set(picture.alone))];
    if (compared) runs.push(said(then, picture.before, picture.had, new Set(picture.stray)));
    const people = picture.people.map((text) => make("li", { dir: "auto" }, text));
    const list = make("ul", { className: "people" }, ...people);
    list.setAttribute("aria-label", "Human captions");
    const file = make("p", { className: "file" }, picture.file);
    return make("li", { tabIndex: -1 }, thumbnail(picture),
      make("div", { className: "beside" }, make("div", { className: "runs" }, ...runs), list, file));
  }

  function showMore() {
    const list = get("found");
    const next = found.slice(list.children.length, list.children.length + AT_A_TIME).map(item);
    list.append(...next);
    get("more").hidden = list.children.length >= found.length;
    return next[0];
  }

  function show() {
    found = sorted(pictures.filter(matcher()));
    get("found").replaceChildren();
    get("count").textContent = `${found.length.toLocaleString("en")} of ${pictures.length.toLocaleString("en")} pictures`;
    showMore();
  }

  // The address has what was chosen, so that a view can be kept and sent.
  function remember() {
    const state = new URLSearchParams();
    for (const control of controls) {
      if (told(control) !== usual.get(control.id)) state.set(control.id, told(control));
    }
    try {
      history.replaceState(null, "", state.size ? HASH + state : "#all-pictures");
    } catch {
      // A frame that shows the page to others, such as MLflow's, may forbid it.
    }
  }

  function recall() {
    const asked = location.hash.startsWith(HASH);
    const state = new URLSearchParams(asked ? location.hash.slice(HASH.length) : "");
    for (const control of controls) {
      const value = state.get(control.id) ?? usual.get(control.id);
      if (control.type === "checkbox") control.checked = value === "true";
      else control.value = value;
      // A choice that is not among the options would leave none chosen.
      if (control.selectedIndex === -1) control.value = usual.get(control.id);
    }
    if (asked) get("all-pictures").scrollIntoView();
    show();
  }

  pictures.forEach((picture, place) => { picture.place = place; });
  for (const control of controls) {
    control.addEventListener("input", () => { remember(); show(); });
  }
  get("more").addEventListener("click", () => showMore()?.focus());
  window.addEventListener("hashchange", () => { if (location.hash.startsWith(HASH)) recall(); });
  document.querySelector(".controls").hidden = false;
  recall();
})();
