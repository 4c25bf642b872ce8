"""Where a text speaks of skills: whole phrases, longest first, with misleading words and negations sorted out.

Every step looks a fixed number of tokens around, so time is linear in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.parsing import lexicon
from app.parsing.text import Token
from app.skills.taxonomy import BY_SLUG

_NEGATION_REACH = 4
_NEGATION_LIST = 24  # the longest list that one negation governs
_CUE_REACH = 6
_ACT_REACH = 6
_CONJUNCTIONS = frozenset({"and", "or"})


@dataclass(frozen=True, slots=True)
class Mention:
    """One skill named in tokens [start, end). `strength` is 0 to 1."""

    slug: str
    start: int
    end: int
    strength: float
    negated: bool = False


def find_mentions(tokens: Sequence[Token]) -> list[Mention]:
    """Every mention in order, negated ones marked rather than dropped, so that they can mask what they imply."""
    spans = _spans(tokens)
    sure = [span for span in spans if not _is_guarded(tokens, span)]
    technical = {
        place
        for span in sure
        if BY_SLUG[span.slug].category in lexicon.TECHNICAL_CATEGORIES
        for place in range(span.start, span.end)
    }
    kept: list[Mention] = []
    for span in spans:
        guarded = _is_guarded(tokens, span)
        if _is_figurative(tokens, span) or _tells_how_to_apply(tokens, span):
            continue
        if guarded and not _passes_guard(tokens, span, technical):
            continue
        if guarded and BY_SLUG[span.slug].category in lexicon.TECHNICAL_CATEGORIES:
            technical.update(range(span.start, span.end))
        kept.append(span)
    mentions = [_weighed(tokens, span) for span in kept]
    negated = _negated_places(tokens, mentions)
    named = [replace(mention, negated=mention.start in negated) for mention in mentions]
    return sorted(named + _acts(tokens, negated), key=lambda mention: (mention.start, mention.slug))


def _spans(tokens: Sequence[Token]) -> list[Mention]:
    found: list[Mention] = []
    place = 0
    while place < len(tokens):
        span = _longest_at(tokens, place)
        if span is None:
            place += 1
        else:
            found.append(span)
            place = span.end
    return found


def _longest_at(tokens: Sequence[Token], place: int) -> Mention | None:
    for phrase, slug in lexicon.PHRASES.get(tokens[place].folded, ()):
        end = place + len(phrase)
        if end <= len(tokens) and _same_words(tokens, place, phrase):
            strength = 0.4 if " ".join(phrase) in lexicon.FAINT else 1.0
            return Mention(slug=slug, start=place, end=end, strength=strength)
    return None


def _same_words(tokens: Sequence[Token], place: int, phrase: tuple[str, ...]) -> bool:
    """The phrase stands here unbroken: no comma, bracket or sentence end inside it."""
    return all(
        tokens[place + offset].folded == word
        and (offset == 0 or not set(tokens[place + offset].before) & set(",;()!?\n|"))
        for offset, word in enumerate(phrase)
    )


def _is_guarded(tokens: Sequence[Token], span: Mention) -> bool:
    if span.end - span.start > 1:
        return False
    word = tokens[span.start].folded
    return (
        word in lexicon.CASE_BOUND
        or word in lexicon.UPPER_ONLY
        or word in lexicon.PROPER_NAMES
        or word in lexicon.VERB_NAMES
        or word == "bi"
    )


def _passes_guard(tokens: Sequence[Token], span: Mention, technical: set[int]) -> bool:
    place = span.start
    token = tokens[place]
    word = token.folded
    company = _in_company(tokens, place, technical)
    if word in lexicon.CASE_BOUND:
        return token.raw == lexicon.CASE_BOUND[word] and not _is_part_of_pair(tokens, place) and company
    if word in lexicon.UPPER_ONLY:
        return token.raw.isupper() and not (place and tokens[place - 1].is_number)
    if word in lexicon.VERB_NAMES and _reads_as_verb(tokens, place):
        return False
    if word in lexicon.PROPER_NAMES:
        return company or _capital_in_sentence(tokens, place)
    if word == "bi":
        return _next(tokens, place) not in {
            "weekly",
            "monthly",
            "annual",
            "annually",
            "directional",
            "lingual",
        }
    return True


def _is_figurative(tokens: Sequence[Token], span: Mention) -> bool:
    others = lexicon.FIGURATIVE.get(tokens[span.start].folded)
    return others is not None and any(token.folded in others for token in _after(tokens, span, _ACT_REACH))


def _tells_how_to_apply(tokens: Sequence[Token], span: Mention) -> bool:
    if tokens[span.start].folded not in lexicon.APPLICATION_THINGS:
        return False
    before = tokens[max(0, span.start - 4) : span.start]
    clause = tokens[span.start].clause
    return any(token.folded in lexicon.APPLICATION_WORDS for token in before if token.clause == clause)


def _after(tokens: Sequence[Token], span: Mention, reach: int) -> list[Token]:
    """The tokens that follow in the same clause."""
    clause = tokens[span.end - 1].clause
    return [token for token in tokens[span.end : span.end + reach] if token.clause == clause]


def _reads_as_verb(tokens: Sequence[Token], place: int) -> bool:
    if _next(tokens, place) == "at":
        return True
    return tokens[place].raw.islower() and _previous(tokens, place) in lexicon.VERB_BEFORE


def _is_part_of_pair(tokens: Sequence[Token], place: int) -> bool:
    """ "R&D", "C-level", "G.R.": the letter belongs to something else."""
    glued_after = place + 1 < len(tokens) and tokens[place + 1].before in {"&", "-", "'", "."}
    glued_before = bool(place) and tokens[place].before in {"&", "-", "'", "."}
    return glued_after or glued_before


def _in_company(tokens: Sequence[Token], place: int, technical: set[int]) -> bool:
    """Beside programming words, or in a list with a technical skill."""
    before, after = _previous(tokens, place), _next(tokens, place)
    named = not tokens[place].raw.islower()
    if (named and before in lexicon.TECH_BEFORE) or after in lexicon.TECH_AFTER:
        return True
    return _listed_before(tokens, place, technical) or _listed_after(tokens, place, technical)


def _listed_before(tokens: Sequence[Token], place: int, technical: set[int]) -> bool:
    if place and place - 1 in technical and set(tokens[place].before) & set(",/&+|"):
        return True
    return place > 1 and tokens[place - 1].folded in _CONJUNCTIONS and place - 2 in technical


def _listed_after(tokens: Sequence[Token], place: int, technical: set[int]) -> bool:
    if place + 1 in technical and set(tokens[place + 1].before) & set(",/&+|"):
        return True
    return place + 2 in technical and tokens[place + 1].folded in _CONJUNCTIONS


def _capital_in_sentence(tokens: Sequence[Token], place: int) -> bool:
    """Capitalised where the words around it are not: a name, not a heading or the start of a sentence."""
    token = tokens[place]
    if not token.raw[0].isupper() or token.raw.isupper() or place == 0:
        return False
    previous = tokens[place - 1]
    return previous.clause == token.clause and previous.raw[0].islower()


def _weighed(tokens: Sequence[Token], span: Mention) -> Mention:
    """Stronger beside words of requirement, weaker where the skill is called optional."""
    clause = tokens[span.start].clause
    first = max(0, span.start - _CUE_REACH)
    last = min(len(tokens), span.end + _CUE_REACH)
    words = [token.folded for token in tokens[first:last] if token.clause == clause]
    if _is_optional(words):
        return replace(span, strength=span.strength * 0.6)
    if lexicon.REQUIRED_WORDS.intersection(words):
        return replace(span, strength=span.strength * lexicon.REQUIRED_BOOST)
    return span


def _is_optional(words: Sequence[str]) -> bool:
    if not lexicon.OPTIONAL_WORDS.isdisjoint(words):
        return True
    return any(
        (word == "plus" and place > 0 and words[place - 1] in {"a", "big", "huge"})
        or (word == "have" and list(words[max(0, place - 2) : place]) == ["nice", "to"])
        for place, word in enumerate(words)
    )


def _negated_places(tokens: Sequence[Token], mentions: Sequence[Mention]) -> set[int]:
    """Token places under a negation: "no Excel, Word or SQL", "Python is not needed"."""
    mentioned = {place for mention in mentions for place in range(mention.start, mention.end)}
    negated: set[int] = set()
    for place, token in enumerate(tokens):
        if token.folded in lexicon.NEGATORS and _next(tokens, place) not in lexicon.NOT_NEGATING_AFTER:
            if _negates_backward(tokens, place):
                negated.update(_reach_back(tokens, place))
            else:
                negated.update(_reach_forward(tokens, place, mentioned))
    return negated


def _negates_backward(tokens: Sequence[Token], place: int) -> bool:
    """ "... is not needed", "... isn't required": the skill came first."""
    following = [token.folded for token in tokens[place + 1 : place + 3]]
    return tokens[place].folded in {"not", "isn't", "aren't"} and bool(
        lexicon.NEED_WORDS.intersection(following)
    )


def _reach_back(tokens: Sequence[Token], place: int) -> range:
    first = place
    while first > 0 and place - first < _CUE_REACH and tokens[first - 1].clause == tokens[place].clause:
        first -= 1
        if "," in tokens[first].before:
            break
    return range(first, place)


def _reach_forward(tokens: Sequence[Token], place: int, mentioned: set[int]) -> list[int]:
    reached: list[int] = []
    left = _NEGATION_REACH
    cursor = place + 1
    end = min(len(tokens), place + _NEGATION_LIST)
    while cursor < end and left > 0 and tokens[cursor].clause == tokens[place].clause:
        token = tokens[cursor]
        listed = bool(reached) and any(spot in mentioned for spot in reached[-2:])
        if token.folded in {"but", "just", "only", "instead", "because"} or (
            "," in token.before and not listed
        ):
            break
        reached.append(cursor)
        left = _NEGATION_REACH if cursor in mentioned and listed else left - 1
        cursor += 1
    return reached


def _acts(tokens: Sequence[Token], negated: set[int]) -> list[Mention]:
    """Skills asked for by what is to be done ("edit ... videos") rather than by name."""
    found: list[Mention] = []
    for place, token in enumerate(tokens):
        for act in lexicon.ACTS_BY_VERB.get(token.folded, ()):
            last = min(len(tokens), place + 1 + _ACT_REACH)
            for other in range(place + 1, last):
                if tokens[other].clause != token.clause:
                    break
                if tokens[other].folded in act.objects:
                    hidden = place in negated or other in negated
                    found.append(Mention(act.slug, place, place + 1, 0.9, negated=hidden))
                    break
    return found


def _previous(tokens: Sequence[Token], place: int) -> str:
    return tokens[place - 1].folded if place else ""


def _next(tokens: Sequence[Token], place: int) -> str:
    return tokens[place + 1].folded if place + 1 < len(tokens) else ""
