"""What clients ask for in the demo, and the files that go back and forth."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Post:
    """A client's post."""

    title: str
    description: str
    urgency: str = "normal"


STORY = Post(
    title="Landing page for our delivery menu",
    description=(
        "We run a small noodle house and start delivery next month. We need one responsive landing page in HTML "
        "and CSS, with our menu (24 dishes in 5 groups), opening hours, a map and an order button that leads to "
        "WhatsApp.\n\n"
        "Please design it in Figma first (desktop and mobile), then build it. The copywriting is half done: our "
        "notes are attached, and need polishing into short, friendly English. Our logo is ready; the colours are "
        "lime green and lotus pink. It should load fast on phones. About 8 hours of work, we think."
    ),
)
NOTES_NAME = "menu-and-notes.md"
NOTES = b"""# Lotus & Lime: notes for the page

- Kuy teav with pork, beef or mushrooms; the broth simmers for nine hours
- Delivery 11:00 to 21:00, closed on Mondays
- Tone: a friend who cooks. Short sentences. No exclamation marks.
"""
REVISION = (
    "The order button still says Basket; it should say Order on WhatsApp, and the map is missing on phones."
)

_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lotus &amp; Lime</title></head>
<body><h1>Noodles, to your door</h1><a href="https://wa.me/85500000000">%s</a></body></html>
"""
DELIVERABLE_NAME, DELIVERABLE_TYPE = "index.html", "text/html"


def page(*, revised: bool) -> bytes:
    """The landing page that the worker delivers."""
    return _PAGE % (b"Order on WhatsApp" if revised else b"Basket")


# Templates of the posts of many clients at once; one for each trade of the seeded workers, and more.
_TEMPLATES = (
    (
        "Landing page for {what}",
        "One responsive landing page in HTML and CSS for {what}. Copy is ready. {hours}",
    ),
    ("Logo design for {what}", "A simple logo design in two colours for {what}, with a brand guide. {hours}"),
    ("Blog posts about {what}", "Content writing: two blog posts of 600 words about {what}. {hours}"),
    (
        "Sales dashboard for {what}",
        "Clean our spreadsheet and build an Excel dashboard with charts for {what}. {hours}",
    ),
    (
        "Research suppliers for {what}",
        "Web research and data entry: a list of 50 suppliers for {what}, in a spreadsheet. {hours}",
    ),
    (
        "Short video for {what}",
        "Video editing in Adobe Premiere: one 60-second clip about {what} from our footage. {hours}",
    ),
)
_WHAT = (
    "our new bakery",
    "a bicycle workshop",
    "our ceramics shop",
    "a yoga studio",
    "our summer tours",
    "a dental practice",
    "a coffee roaster",
    "our handmade soaps",
    "a garden centre",
    "our pet hotel",
)


def bulk_post(random: Random, number: int) -> Post:
    """The post of one of many jobs."""
    title, description = _TEMPLATES[number % len(_TEMPLATES)]
    what, hours = random.choice(_WHAT), random.choice((2, 3, 4, 5))
    return Post(
        title=title.format(what=what),
        description=description.format(what=what, hours=f"About {hours} hours of work."),
        urgency=random.choice(("normal", "normal", "low", "high")),
    )


def branch_post(number: int) -> Post:
    """A small post, for a job off the main road."""
    title, description = _TEMPLATES[number % len(_TEMPLATES)]
    what = _WHAT[number % len(_WHAT)]
    return Post(title.format(what=what), description.format(what=what, hours="About 2 hours of work."))
