"""Directives of the teacher's kit: a question with several answers to choose from, and a place to write."""

from html import escape

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

LETTERS = "abcdef"


class Quiz(SphinxDirective):
    """A question, and a list of answers, in each of which a first paragraph is the answer and the rest says why.

    The option `right` counts from 1. Choosing works with the keyboard and without scripts; quiz.js then tells at once
    what the fold at the end tells a reader without scripts.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"right": directives.positive_int}

    def run(self):
        """Write the question as a group of radio buttons, with the reasons in a fold."""
        number = 1 + self.env.new_serialno("quiz")
        words, _ = self.state.inline_text(self.arguments[0], self.lineno)
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        answers = [item.children for found in body.findall(nodes.bullet_list) for item in found.children]
        right = self.options.get("right", 0)
        if not (1 < len(answers) <= len(LETTERS) and 1 <= right <= len(answers)):
            raise self.error("A quiz needs a list of two answers or more, and the option right, one of them.")
        parts = [_html(f'<fieldset class="quiz" data-right="{LETTERS[right - 1]}"><legend>{number}. ')]
        parts += [nodes.inline("", "", *words), _html("</legend>")]
        for letter, (answer, *_) in zip(LETTERS, answers):
            place = f"quiz-{number}-{letter}"
            button = f'<input type="radio" name="quiz-{number}" id="{place}" value="{letter}">'
            parts += [_html(f'<div class="answer">{button}<label for="{place}">{letter}) ')]
            parts += [nodes.inline("", "", *answer.deepcopy().children), _html("</label></div>")]
        parts += [_html('<div class="told" role="status"></div><details><summary>Answer</summary>')]
        for letter, (_, *reasons) in zip(LETTERS, answers):
            kind = "right" if letter == LETTERS[right - 1] else "wrong"
            parts += [_html(f'<div class="reason" data-answer="{letter}"><p><strong>{letter} is {kind}.</strong></p>')]
            parts += [*reasons, _html("</div>")]
        return [*parts, _html("</details></fieldset>")]


class Write(SphinxDirective):
    """A place to write, on the screen or on paper, under a few words."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"rows": directives.positive_int}

    def run(self):
        """Write a labelled field of some rows."""
        rows = self.options.get("rows", 2)
        words = escape(self.arguments[0])
        return [_html(f'<label class="write"><span>{words}</span><textarea rows="{rows}"></textarea></label>')]


def _html(text):
    return nodes.raw("", text, format="html")


def setup(app):
    """Add the directives."""
    app.add_directive("quiz", Quiz)
    app.add_directive("write", Write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
