/* Tells at once whether a chosen answer is right, and why, in the words of the fold below the question; and counts.
   Without this script the answers are in the folds. */
(() => {
  "use strict";
  const count = (questions, counter) => {
    const chosen = questions.filter((question) => question.querySelector("input:checked"));
    const right = chosen.filter((question) => question.querySelector("input:checked").value === question.dataset.right);
    counter.textContent = `${right.length} right of ${chosen.length} answered, of ${questions.length} questions.`;
  };

  const tell = (question, letter) => {
    const told = question.querySelector(".told");
    const reason = question.querySelector(`.reason[data-answer="${letter}"]`);
    const kind = letter === question.dataset.right ? "right" : "wrong";
    question.dataset.told = kind;
    told.replaceChildren(...[...reason.children].map((part) => part.cloneNode(true)));
  };

  document.addEventListener("DOMContentLoaded", () => {
    const questions = [...document.querySelectorAll("fieldset.quiz")];
    if (!questions.length) return;
    const counter = document.createElement("p");
    counter.className = "quiz-count";
    counter.setAttribute("role", "status");
    questions.at(-1).after(counter);
    questions.forEach((question) => {
      question.addEventListener("change", (event) => {
        tell(question, event.target.value);
        count(questions, counter);
      });
    });
    count(questions, counter);
  });
})();
