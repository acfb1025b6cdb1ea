/* Shows the sections of the page of slides one a screen. Without this script they are below each other.
   Keys while slides are shown: arrows, page keys and space to move, F for the full screen, N for the notes, Escape. */
(() => {
  "use strict";
  const root = document.documentElement;
  const FORWARD = ["ArrowRight", "ArrowDown", "PageDown", " "];
  const BACK = ["ArrowLeft", "ArrowUp", "PageUp"];
  let slides = [];
  let at = 0;
  let said = null;

  const show = (number) => {
    at = Math.min(Math.max(number, 0), slides.length - 1);
    slides.forEach((slide, i) => slide.classList.toggle("shown", i === at));
    window.scrollTo(0, 0);
    history.replaceState(null, "", `#${slides[at].id}`);
    said.textContent = `Slide ${at + 1} of ${slides.length}: ${slides[at].querySelector("h2").firstChild.textContent}`;
  };

  const begin = () => {
    const named = slides.findIndex((slide) => `#${slide.id}` === location.hash);
    root.classList.add("presenting");
    show(Math.max(named, 0));
  };

  const end = () => {
    root.classList.remove("presenting");
    if (document.fullscreenElement) document.exitFullscreen();
    slides[at].scrollIntoView();
  };

  const fullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.();
  };

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "f" || event.key === "F") {
      if (!root.classList.contains("presenting")) begin();
      fullScreen();
    } else if (!root.classList.contains("presenting")) return;
    else if (event.key === " " && event.target.closest("button, a, summary")) return;
    else if (FORWARD.includes(event.key)) show(at + 1);
    else if (BACK.includes(event.key)) show(at - 1);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(slides.length - 1);
    else if (event.key === "n" || event.key === "N") root.classList.toggle("with-notes");
    else if (event.key === "Escape") end();
    else return;
    event.preventDefault();
  };

  const button = (words, title, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "btn btn-sm";
    made.textContent = words;
    made.title = title;
    made.addEventListener("click", act);
    return made;
  };

  const addButtons = (before) => {
    const start = document.createElement("p");
    start.className = "slides-start";
    start.append(button("Present", "Show one slide at a time", begin), button("Full screen", "F", () => { begin(); fullScreen(); }));
    before.before(start);
    const bar = document.createElement("div");
    bar.className = "slides-bar";
    bar.append(
      button("Previous", "Left arrow", () => show(at - 1)),
      button("Next", "Right arrow", () => show(at + 1)),
      button("Notes", "N", () => root.classList.toggle("with-notes")),
      button("End", "Escape", end),
    );
    said = document.createElement("p");
    said.className = "slides-said";
    said.setAttribute("role", "status");
    bar.append(said);
    before.before(bar);
  };

  document.addEventListener("DOMContentLoaded", () => {
    slides = [...document.querySelectorAll("article section > section")];
    if (!slides.length) return;
    slides.forEach((slide, i) => { slide.dataset.page = `${i + 1} / ${slides.length}`; });
    addButtons(slides[0]);
    document.addEventListener("keydown", press);
  });
})();
