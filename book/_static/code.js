/* Code whose output is the lesson is folded by MyST-NB. Readers see these folds when they press "All code"; without this
   script they see them at once. The fold of the parameters is always there. The rules that hide are in book.css. */
(() => {
  "use strict";
  const KEY = "all-code";
  const root = document.documentElement;

  // Browsers that keep nothing for pages from the disk, or for anybody, raise an error here.
  const remembered = () => {
    try {
      return localStorage.getItem(KEY) === "shown";
    } catch {
      return false;
    }
  };
  const remember = (shown) => {
    try {
      localStorage.setItem(KEY, shown ? "shown" : "hidden");
    } catch {
      /* then the next page begins without code */
    }
  };

  const show = (shown) => {
    root.dataset.code = shown ? "shown" : "hidden";
    document.querySelectorAll(".cell:not(.tag_parameters, .tag_injected-parameters) > details.above-input").forEach((fold) => {
      fold.open = shown;
    });
  };

  const addSwitch = () => {
    const place = document.querySelector(".article-header-buttons");
    if (!place || !document.querySelector(".cell details.above-input")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm code-switch";
    button.title = "Show the code of every cell, or only the code that is the lesson";
    button.textContent = "All code";
    const press = (shown) => {
      button.setAttribute("aria-pressed", String(shown));
      show(shown);
    };
    button.addEventListener("click", () => {
      const shown = root.dataset.code === "hidden";
      remember(shown);
      press(shown);
    });
    press(remembered());
    place.prepend(button);
  };

  root.dataset.code = remembered() ? "shown" : "hidden"; // before the page is drawn, so that nothing jumps
  document.addEventListener("DOMContentLoaded", addSwitch);
})();
