"""What the rules know beyond names: which words mislead, which acts name a skill, and what one skill brings along.

All of it is general knowledge of the trades, kept as tables so that it can be read and argued with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.parsing.text import fold, tokenize
from app.parsing.words import words
from app.skills.taxonomy import SKILLS

TECHNICAL_CATEGORIES = frozenset({"software", "web", "data"})

# One letter or a common word: a skill only in this very spelling and among technical words.
CASE_BOUND = {"r": "R", "c": "C", "go": "Go"}
# Acronyms that are other words, units or places in lower case ("hr" is an hour, "va" a state, "ml" a volume).
UPPER_ONLY = frozenset(
    {"va", "hr", "ml", "sas", "aso", "cro", "sem", "ocr", "bim", "fba", "dba", "sop", "pr"}
)
# Product names that are also common words: a capital in mid-sentence, or technical company, makes them a skill.
PROPER_NAMES = frozenset(
    {
        "word",
        "swift",
        "rust",
        "sketch",
        "flask",
        "notion",
        "react",
        "ruby",
        "scala",
        "blender",
        "premiere",
        "azure",
    }
    | {
        "oracle",
        "divi",
        "gutenberg",
        "amplitude",
        "audacity",
        "reel",
        "hive",
        "illustrator",
        "angular",
        "svelte",
    }
)
# Names that are verbs too: in lower case after these words, or before "at", they are the verb.
VERB_NAMES = frozenset(
    {"excel", "react", "sketch", "graph", "chart", "research", "survey", "forecast", "report"}
)
VERB_BEFORE = words("to will you who can must should we they i could would ll that not please")
TECH_BEFORE = words("in using use with via language lang programming")
TECH_AFTER = words(
    "programming language developer development script scripting code coding studio package programmer engineer"
    " software app application skill experience expert template document doc file format plugin shiny"
)

# Words that lose their trade beside certain others: one translates needs into plans, and interprets results.
_MATTERS = words(
    "data result insight finding number metric trend requirement need strategy action business analysis"
)
FIGURATIVE: Mapping[str, frozenset[str]] = {
    "translate": _MATTERS - {"data"},
    "translating": _MATTERS - {"data"},
    "interpreting": _MATTERS,
    "interpretation": _MATTERS,
}
# How to apply is not what to do: "send your resume" orders no resume.
APPLICATION_THINGS = words("resume cover portfolio")
APPLICATION_WORDS = words("your send submit attach include provide share forward apply applying application")

# Everyday nouns: one mention in passing is faint evidence of the skill that bears the name.
FAINT = words(
    "report website web-site article blog writer editor graphics illustration icon vector english testing tester"
    " research calendar scheduling admin administration administrative marketing marketer social-media youtube"
    " facebook instagram linkedin podcast invoice receipt inventory sourcing lead api database ai presentation"
    " slide banner poster survey macro hr sales accounting graph chart forecast forecasting documentation"
    " spreadsheet reporting kpi newsletter logo influencer crm automation render rendering prototype mockup caption"
    " story lesson collections logistics architecture architect moderator animation music teaching teacher essay"
    " outreach analytics visualization email-list email-campaign branding linux ios android hosting trading"
    " pandas-dataframe admin-task real-estate graphic designer ebook resume programming coding voice-over"
)

NEGATORS = words(
    "no not without don't dont doesn't isn't aren't excluding except never avoid won't neither nor"
)
NOT_NEGATING_AFTER = words(
    "only just sure later rush problem matter limited necessarily longer doubt less more than"
)
NEED_WORDS = words("needed need required require necessary wanted mandatory essential important")
OPTIONAL_WORDS = words("bonus optional optionally preferred preferably ideally advantage advantageous")
REQUIRED_BOOST = 1.25  # asked for, not mentioned in passing
REQUIRED_WORDS = words(
    "skill required requirement must proficient proficiency expertise expert experienced experience knowledge"
    " qualification familiar fluent need looking hire hiring seeking"
)


def _forms(*verbs: str) -> frozenset[str]:
    """The folded inflections of regular verbs: edit, editing, edited. One that starts with "=" stays as it is."""
    found: set[str] = set()
    for verb in verbs:
        if verb.startswith("="):
            found.add(verb[1:])
            continue
        stem = verb.removesuffix("e")
        doubled = verb + verb[-1]
        found.update({verb, f"{verb}s", f"{stem}ing", f"{stem}ed", f"{doubled}ing", f"{doubled}ed"})
    return frozenset(fold(form) for form in found)


def _nouns(line: str) -> frozenset[str]:
    return frozenset(fold(word) for word in line.split())


@dataclass(frozen=True, slots=True)
class Act:
    """A verb that acts on a thing nearby in the same clause asks for a skill ("edit ... videos")."""

    verbs: frozenset[str]
    objects: frozenset[str]
    slug: str


_MAKE = ("design", "redesign", "create", "make", "draw")
_BUILD = ("build", "develop", "create", "redesign", "fix", "update", "make", "redo", "code", "revamp")
_WRITE = ("write", "rewrite", "draft", "author", "=written")

ACTS: tuple[Act, ...] = tuple(
    Act(_forms(*verbs), _nouns(objects), slug)
    for verbs, objects, slug in (
        (("analyze", "interpret", "examine", "explore", "=analysis"),
         "data dataset metric number trend result figure statistics statistic spreadsheet", "data-analysis"),
        (("visualize", "chart", "plot", "graph", "=visualization"),
         "data dataset metric number trend result figure", "data-visualization"),
        (("build", "create", "design", "develop", "make"), "dashboard", "dashboards"),
        (("clean", "cleanse", "tidy", "dedupe", "deduplicate", "organize", "validate"),
         "data dataset spreadsheet sheet database record row", "data-cleaning"),
        (("enter", "type", "input", "key", "copy", "encode", "=entry"),
         "data record row spreadsheet entry contact card", "data-entry"),
        (("scrape", "crawl", "harvest"), "website site web data page listing email lead directory", "web-scraping"),
        (("extract", "pull", "collect"), "website site web page directory", "web-scraping"),
        (("edit", "cut", "trim", "splice"), "video footage reel vlog clip short film interview", "video-editing"),
        (("edit", "retouch", "crop"), "photo image picture photograph portrait headshot", "photo-editing"),
        (("edit", "clean", "mix", "master"), "audio podcast recording track episode", "audio-editing"),
        (("animate",), "logo character video explainer scene illustration icon", "motion-graphics"),
        (_MAKE, "logo logotype wordmark", "logo-design"),
        (_MAKE, "flyer brochure poster leaflet postcard menu catalog", "print-design"),
        (_MAKE, "slide deck presentation powerpoint", "presentation-design"),
        (_MAKE, "banner thumbnail billboard", "banner-design"),
        (_MAKE, "infographic", "infographics"),
        (_MAKE, "packaging label box", "packaging-design"),
        (_BUILD, "website site webpage homepage", "web-development"),
        (_BUILD, "app", "mobile-development"),
        (("design", "redesign"), "website site webpage homepage", "web-design"),
        (("design", "redesign"), "app screen interface", "ui-design"),
        (_WRITE, "article", "article-writing"),
        (_WRITE, "blog", "blog-writing"),
        (_WRITE, "script", "scriptwriting"),
        (_WRITE, "description", "product-descriptions"),
        (_WRITE, "content page text", "content-writing"),
        (_WRITE, "copy headline ad slogan", "copywriting"),
        (_WRITE, "email newsletter", "email-copywriting"),
        (_WRITE, "manual guide documentation handbook policy procedure", "technical-writing"),
        (("proofread", "correct"),
         "document text article book essay grammar manuscript page thesis", "proofreading"),
        (("manage", "run", "schedule", "grow"),
         "instagram facebook tiktok twitter post", "social-media-management"),
        (("manage", "run", "create", "send", "design"), "newsletter klaviyo mailchimp", "email-marketing"),
        (("find", "research", "collect", "gather", "compile"), "lead prospect", "lead-generation"),
        (("find", "research", "compile", "gather", "collect", "build"), "contact phone company list", "list-building"),
        (("research", "investigate"), "market competitor industry trend", "market-research"),
        (("=instagram", "=tiktok", "=facebook", "=linkedin"), "post content caption story page account",
         "social-media-management"),
        (("=name",), "phone email website", "list-building"),
        (("answer", "reply", "respond"), "customer ticket inquiry enquiry chat complaint", "customer-service"),
        (("reconcile", "categorize"), "bank account transaction statement expense ledger", "bookkeeping"),
        (("upload", "list", "add"), "product sku listing item", "product-listing"),
        (("book", "arrange", "plan"), "flight hotel trip travel", "travel-planning"),
        (("book", "schedule", "manage", "arrange"), "meeting calendar appointment", "calendar-management"),
        (("record",), "voice voiceover narration", "voice-over"),
        (("predict", "forecast"), "demand sale price revenue churn trend", "predictive-analytics"),
        (("model",), "3d object product furniture", "3d-modeling"),
    )
)  # fmt: skip

# A skill that is rarely asked for without the second one. The number is how much of the evidence carries over.
IMPLIED: Mapping[str, tuple[tuple[str, float], ...]] = {
    "power-bi": (
        ("data-visualization", 0.8),
        ("business-intelligence", 0.6),
        ("data-analysis", 0.6),
        ("dashboards", 0.4),
    ),
    "tableau": (
        ("data-visualization", 0.9),
        ("business-intelligence", 0.5),
        ("data-analysis", 0.6),
        ("dashboards", 0.4),
    ),
    "looker-studio": (
        ("data-visualization", 0.8),
        ("dashboards", 0.5),
        ("data-analysis", 0.6),
        ("business-intelligence", 0.4),
    ),
    "qlik": (("data-visualization", 0.8), ("business-intelligence", 0.6), ("data-analysis", 0.5)),
    "metabase": (("data-visualization", 0.8), ("dashboards", 0.6), ("sql", 0.4)),
    "dashboards": (("data-visualization", 0.9), ("data-analysis", 0.6), ("business-intelligence", 0.4)),
    "business-intelligence": (("data-analysis", 0.8), ("data-visualization", 0.6)),
    "reporting": (("data-analysis", 0.6),),
    "data-visualization": (("data-analysis", 0.7),),
    "data-science": (("data-analysis", 0.8), ("python", 0.5), ("machine-learning", 0.4)),
    "machine-learning": (("python", 0.6), ("data-science", 0.6)),
    "deep-learning": (("machine-learning", 0.8), ("python", 0.6)),
    "computer-vision": (("machine-learning", 0.6), ("python", 0.4)),
    "predictive-analytics": (("data-analysis", 0.7), ("statistics", 0.5)),
    "statistics": (("data-analysis", 0.8),),
    "regression-analysis": (("statistics", 0.9), ("data-analysis", 0.7)),
    "ab-testing": (("statistics", 0.4), ("data-analysis", 0.5)),
    "spss": (("statistics", 0.9), ("data-analysis", 0.7)),
    "stata": (("statistics", 0.9), ("data-analysis", 0.7)),
    "sas": (("statistics", 0.8), ("data-analysis", 0.7)),
    "r": (("statistics", 0.7), ("data-analysis", 0.7)),
    "pandas": (("python", 1.0), ("data-analysis", 0.7)),
    "power-query": (("microsoft-excel", 0.8), ("data-analysis", 0.5)),
    "google-analytics": (("data-analysis", 0.5),),
    "google-tag-manager": (("google-analytics", 0.6),),
    "product-analytics": (("data-analysis", 0.8),),
    "marketing-analytics": (("data-analysis", 0.8),),
    "sales-analytics": (("data-analysis", 0.8),),
    "financial-modeling": (("microsoft-excel", 0.7), ("financial-analysis", 0.8)),
    "data-engineering": (("sql", 0.6), ("python", 0.5)),
    "data-warehousing": (("sql", 0.7), ("data-engineering", 0.5)),
    "data-mining": (("data-analysis", 0.7),),
    "survey-design": (("data-analysis", 0.3),),
    "spreadsheets": (("microsoft-excel", 0.8),),
    "vba": (("microsoft-excel", 0.9),),
    "web-scraping": (("python", 0.4), ("data-mining", 0.4)),
    "data-entry": (("microsoft-excel", 0.3),),
    "django": (("python", 1.0), ("back-end-development", 0.6)),
    "flask": (("python", 1.0), ("back-end-development", 0.6)),
    "fastapi": (("python", 1.0), ("back-end-development", 0.6)),
    "laravel": (("php", 1.0), ("back-end-development", 0.5)),
    "react": (("javascript", 0.9), ("front-end-development", 0.7)),
    "nextjs": (("react", 0.8), ("javascript", 0.7), ("front-end-development", 0.6)),
    "vue": (("javascript", 0.9), ("front-end-development", 0.7)),
    "angular": (("javascript", 0.7), ("typescript", 0.6), ("front-end-development", 0.7)),
    "nodejs": (("javascript", 0.8), ("back-end-development", 0.6)),
    "css": (("html", 0.8), ("front-end-development", 0.5)),
    "html": (("css", 0.5),),
    "wordpress": (("web-development", 0.7), ("web-design", 0.3)),
    "webflow": (("web-design", 0.7), ("web-development", 0.5)),
    "wix": (("web-design", 0.7), ("web-development", 0.5)),
    "squarespace": (("web-design", 0.7), ("web-development", 0.5)),
    "woocommerce": (("wordpress", 0.8), ("ecommerce", 0.7)),
    "shopify": (("ecommerce", 0.7),),
    "landing-pages": (("web-design", 0.7),),
    "ios-development": (("mobile-development", 0.9),),
    "android-development": (("mobile-development", 0.9),),
    "flutter": (("mobile-development", 0.9),),
    "react-native": (("mobile-development", 0.9), ("javascript", 0.5)),
    "swift": (("ios-development", 0.9),),
    "kotlin": (("android-development", 0.9),),
    "ui-design": (("ux-design", 0.6), ("figma", 0.3)),
    "figma": (("ui-design", 0.6),),
    "wireframing": (("ux-design", 0.7),),
    "logo-design": (("graphic-design", 0.8), ("brand-identity", 0.4), ("adobe-illustrator", 0.4)),
    "brand-identity": (("graphic-design", 0.8), ("logo-design", 0.4)),
    "print-design": (("graphic-design", 0.8),),
    "packaging-design": (("graphic-design", 0.7),),
    "banner-design": (("graphic-design", 0.8),),
    "social-media-design": (("graphic-design", 0.8),),
    "infographics": (("graphic-design", 0.7),),
    "t-shirt-design": (("graphic-design", 0.7), ("illustration", 0.4)),
    "book-cover-design": (("graphic-design", 0.7),),
    "adobe-illustrator": (("graphic-design", 0.6),),
    "adobe-photoshop": (("graphic-design", 0.4), ("photo-editing", 0.4)),
    "presentation-design": (("powerpoint", 0.5), ("graphic-design", 0.3)),
    "powerpoint": (("presentation-design", 0.7),),
    "adobe-premiere": (("video-editing", 1.0),),
    "final-cut": (("video-editing", 1.0),),
    "davinci-resolve": (("video-editing", 1.0),),
    "capcut": (("video-editing", 1.0),),
    "after-effects": (("motion-graphics", 0.9), ("video-editing", 0.5)),
    "youtube-marketing": (("video-editing", 0.2),),
    "podcast-production": (("audio-editing", 0.8),),
    "blog-writing": (("content-writing", 0.8), ("seo-writing", 0.3)),
    "article-writing": (("content-writing", 0.8),),
    "seo-writing": (("content-writing", 0.8), ("seo", 0.5)),
    "product-descriptions": (("copywriting", 0.7), ("ecommerce", 0.3)),
    "email-copywriting": (("copywriting", 0.8), ("email-marketing", 0.6)),
    "social-media-management": (("social-media-marketing", 0.7), ("content-writing", 0.2)),
    "instagram": (("social-media-management", 0.4), ("social-media-marketing", 0.4)),
    "facebook": (("social-media-management", 0.4), ("social-media-marketing", 0.4)),
    "pinterest": (("social-media-marketing", 0.5),),
    "facebook-ads": (("ppc-advertising", 0.7), ("digital-marketing", 0.4)),
    "google-ads": (("ppc-advertising", 0.8), ("digital-marketing", 0.4)),
    "seo": (("keyword-research", 0.4), ("digital-marketing", 0.3)),
    "link-building": (("seo", 0.8),),
    "keyword-research": (("seo", 0.8),),
    "cold-email": (("lead-generation", 0.7),),
    "linkedin-outreach": (("lead-generation", 0.8),),
    "appointment-setting": (("lead-generation", 0.4), ("cold-calling", 0.3)),
    "list-building": (("web-research", 0.6), ("lead-generation", 0.4)),
    "hubspot": (("crm", 0.8),),
    "salesforce": (("crm", 0.8),),
    "quickbooks": (("bookkeeping", 0.8),),
    "xero": (("bookkeeping", 0.8),),
    "email-management": (("virtual-assistance", 0.8),),
    "calendar-management": (("virtual-assistance", 0.7),),
    "travel-planning": (("virtual-assistance", 0.7),),
    "virtual-assistance": (("administrative-support", 0.7),),
    "chat-support": (("customer-service", 0.9),),
    "email-support": (("customer-service", 0.9),),
    "phone-support": (("customer-service", 0.8),),
    "product-listing": (("ecommerce", 0.6), ("data-entry", 0.4)),
    "amazon-seller": (("ecommerce", 0.6),),
    "competitor-analysis": (("market-research", 0.7),),
    "autocad": (("floor-plans", 0.2),),
    "sketchup": (("3d-modeling", 0.8),),
    "blender": (("3d-modeling", 0.8),),
    "3d-rendering": (("3d-modeling", 0.6),),
}


def _phrase(name: str) -> tuple[str, ...]:
    return tuple(token.folded for token in tokenize(name))


def _phrases() -> Iterable[tuple[tuple[str, ...], str]]:
    for skill in SKILLS:
        for name in (skill.name, skill.slug.replace("-", " "), *skill.aliases):
            yield _phrase(name), skill.slug


# Aliases by their first word, longest first: the longest that fits wins.
PHRASES: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]
SLUG_BY_PHRASE: Mapping[tuple[str, ...], str]


def _index() -> tuple[dict[str, tuple[tuple[tuple[str, ...], str], ...]], dict[tuple[str, ...], str]]:
    unique: dict[tuple[str, ...], str] = {}
    for phrase, slug in _phrases():
        unique.setdefault(phrase, slug)
    by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for phrase, slug in unique.items():
        by_first.setdefault(phrase[0], []).append((phrase, slug))
    ordered = {
        first: tuple(sorted(entries, key=lambda entry: (-len(entry[0]), entry[0])))
        for first, entries in by_first.items()
    }
    return ordered, unique


PHRASES, SLUG_BY_PHRASE = _index()


def slug_for(label: str) -> str | None:
    """The skill that `label` names exactly (a name, slug or alias, folded), or None."""
    return SLUG_BY_PHRASE.get(_phrase(label))


def _acts_by_verb() -> dict[str, tuple[Act, ...]]:
    found: dict[str, list[Act]] = {}
    for act in ACTS:
        for verb in act.verbs:
            found.setdefault(verb, []).append(act)
    return {verb: tuple(acts) for verb, acts in found.items()}


ACTS_BY_VERB: Mapping[str, tuple[Act, ...]] = _acts_by_verb()
