"""Text to tokens, in one pass over the characters: no regular expression that could backtrack.

A token keeps its raw spelling (case tells "Go" from "go") beside a folded form in which case, accents, hyphens,
plurals and British spelling make no difference. Aliases of the taxonomy pass through the same code, so both sides
fold alike.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from app.parsing.words import words

MAX_CHARACTERS = 20_000
MAX_TOKEN = 40

_CLAUSE_ENDS = frozenset(".;:!?\n\r()[]{}|•–—")
_DOTTED_ENDINGS = frozenset({"js", "net", "com", "io", "ai", "py"})
_NOT_PLURAL = words(
    "analysis sales business css ios js aws sas dns canvas process basis gis access cms cpanel news series rails"
    " always this is was has its us yes less focus status address previous virus bus plus keys ops devops saas"
    " business wireless seamless express class success wordpress pandas redis kubernetes dbs gas sms"
)
_BRITISH = (("isation", "ization"), ("yse", "yze"), ("ysing", "yzing"))
_SPELLINGS = {
    "colour": "color",
    "catalogue": "catalog",
    "programme": "program",
    "modelling": "modeling",
    "labelling": "labeling",
    "cheque": "check",
    "analyzing": "analyze",
    "analyzed": "analyze",
    "optimise": "optimize",
    "localise": "localize",
    "summarise": "summarize",
    "organise": "organize",
    "visualise": "visualize",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `before` holds the separators that stand between it and the token before it."""

    raw: str
    folded: str
    before: str
    clause: int

    @property
    def is_number(self) -> bool:
        return self.raw[0].isdigit()


def fold(word: str) -> str:
    """The form in which two spellings of a word are equal."""
    if "." in word:
        return word
    word = _singular(_SPELLINGS.get(word, word))
    for british, american in _BRITISH:
        if word.endswith(british) and len(word) > len(british) + 2:
            word = word[: -len(british)] + american
            break
    return _SPELLINGS.get(word, word)


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word in _NOT_PLURAL or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word if word in {"movies", "cookies"} else word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1]


def tokenize(text: str) -> list[Token]:
    """The tokens of the first `MAX_CHARACTERS` characters of `text`, in order. Time is linear in its length."""
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])[: 2 * MAX_CHARACTERS]
    tokens: list[Token] = []
    clause = 0
    before: list[str] = []
    position = 0
    while position < len(plain):
        character = plain[position]
        if not _starts_word(plain, position):
            before.append(character)
            clause += character in _CLAUSE_ENDS
            position += 1
            continue
        end = _word_end(plain, position)
        raw = plain[position:end]
        separators = "".join(before[:8])
        tokens.append(Token(raw=raw, folded=_folded(raw), before=separators, clause=clause))
        before = []
        position = end
    return tokens


def _starts_word(text: str, position: int) -> bool:
    character = text[position]
    if character.isalnum():
        return True
    following = text[position + 1 : position + 4].lower()
    return character == "." and following == "net"


def _word_end(text: str, start: int) -> int:
    """Where the word that starts at `start` ends; an inner mark counts only when it belongs to the word."""
    end = start + 1
    limit = min(len(text), start + MAX_TOKEN)
    while end < limit:
        character = text[end]
        if character.isalnum() or unicodedata.combining(character) or _joins(text, end):
            end += 1
        else:
            break
    return end


def _joins(text: str, place: int) -> bool:
    """Whether the mark at `place` is part of the word around it: C++, don't, node.js, 1,500."""
    character = text[place]
    joined = place + 1 < len(text) and text[place + 1].isalnum()
    if character in "+#":
        return not joined
    if character == ",":
        return joined and text[place - 1].isdigit() and text[place + 1 : place + 4].isdigit()
    return joined and character in ".'’" and _dot_belongs(text, place)


def _dot_belongs(text: str, dot: int) -> bool:
    """A dot is part of "2.5" and of names such as "node.js"; in "done.next" it ends a sentence."""
    if text[dot] != ".":
        return True
    if text[dot - 1].isdigit() and text[dot + 1].isdigit():
        return True
    end = dot + 1
    while end < len(text) and end - dot <= 4 and text[end].isalnum():
        end += 1
    return text[dot + 1 : end].lower() in _DOTTED_ENDINGS


def _folded(raw: str) -> str:
    lowered = raw.casefold().replace("’", "'")
    if not lowered.isascii():
        decomposed = unicodedata.normalize("NFKD", lowered)
        lowered = "".join(mark for mark in decomposed if not unicodedata.combining(mark)) or lowered
    lowered = lowered.removesuffix("'s")
    return lowered if lowered[0].isdigit() else fold(lowered)
